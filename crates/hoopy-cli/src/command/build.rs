//! `hoopy build`.

use std::process::ExitCode;

use anyhow::Context as _;
use hoopy::config::Overrides;
use hoopy::road::{self, Options, Output};

use crate::args::{self, Build, Global};
use crate::ui::{Teller, table};

pub fn run(global: &Global, own: &Build) -> anyhow::Result<ExitCode> {
    let over = Overrides { compression: own.compression.clone(), ..Overrides::default() };
    let system = super::system(&own.system.dir, global, over)?;
    let store = super::store(global)?;
    let teller = Teller::new(global.quiet || own.json);
    let mut runner = super::runner(&system, own.scripts, &store, &teller)?;
    let options = Options {
        locked: own.locked,
        output: match own.output {
            args::Output::Uki => Output::Uki,
            args::Output::KernelAndInitramfs => Output::KernelAndInitramfs,
            args::Output::Tar => Output::Tar,
        },
        day: today()?,
        version: own.image_version.clone(),
    };
    let built = road::build(&system, &options, &store, &mut runner, &teller)?;
    match (own.json, global.quiet) {
        (true, _) => println!("{}", serde_json::to_string_pretty(&built)?),
        (false, true) => println!("{}", built.path.display()),
        (false, false) => print!("{}", table(&built)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The day in UTC, or that of SOURCE_DATE_EPOCH (reproducible-builds.org).
pub(super) fn today() -> anyhow::Result<String> {
    let now = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            jiff::Timestamp::from_second(text.parse().context("SOURCE_DATE_EPOCH is no number of seconds")?)?
        }
        Err(_) => jiff::Timestamp::now(),
    };
    Ok(now.strftime("%Y%m%d").to_string())
}
