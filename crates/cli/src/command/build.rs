//! `hoopy build`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hoopy_base::digest::LayerId;
use hoopy_build::built::Built;
use hoopy_build::config::{BEST, Overrides};
use hoopy_build::road::{self, Options, Output};
use hoopy_build::stack::Stack;
use hoopy_build::target::Target;
use hoopy_build::timeline::{self, Recording};

use super::{Resources, reproduce, watch};
use crate::args::{self, Build, Global, Scripts};
use crate::ui::{Teller, table};

pub fn run(global: &Global, own: &Build, recording: Option<&Recording>) -> anyhow::Result<ExitCode> {
    if own.watch {
        return watch::run(global, own, recording);
    }
    let teller = Teller::new(global.quiet || own.json);
    let done = once(global, own, &teller, recording)?;
    if own.check {
        return reproduce::run(global, own, &done, &teller);
    }
    match (own.json, global.quiet) {
        (true, _) => println!("{}", serde_json::to_string_pretty(&done.built)?),
        (false, true) => println!("{}", done.built.path.display()),
        (false, false) => print!("{}", table(&done.built)),
    }
    Ok(ExitCode::SUCCESS)
}

/// A build that is done, and what it was made of.
pub struct Done {
    pub target: Target,
    pub options: Options,
    pub resources: Resources,
    pub built: Built,
    /// Known where it was asked for: an image that is up to date is found without it.
    pub stack: Option<Stack>,
}

/// Builds what there is now.
pub fn once(
    global: &Global,
    own: &Build,
    teller: &Teller,
    recording: Option<&Recording>,
) -> anyhow::Result<Done> {
    if let Some(recording) = recording {
        recording.restart();
    }
    let best = own.best.then(|| BEST.to_owned());
    let over = Overrides { compression: best.or(own.compression.clone()), ..Overrides::default() };
    let target = super::target(&own.system.dir, global, over)?;
    let resources = Resources::open(global)?;
    let mut runner = super::runner(global, &target, own.scripts, &resources.store, super::temp())?;
    let options = Options {
        locked: own.locked,
        output: match own.output {
            args::Output::Uki => Output::Uki,
            args::Output::KernelAndInitramfs => Output::KernelAndInitramfs,
            args::Output::Tar => Output::Tar,
        },
        day: today()?,
        version: own.image_version.clone(),
        source: None,
    };
    let context = resources.context(teller);
    let result = if own.check || own.timings.is_some() {
        let both = road::build_with_stack(&target, &options, &mut runner, context);
        both.map(|(built, stack)| (built, Some(stack)))
    } else {
        road::build(&target, &options, &mut runner, context).map(|built| (built, None))
    };
    drop(runner);
    teller.done();
    let (built, stack) = result?;
    if let (Some(file), Some(stack), Some(recording)) = (&own.timings, &stack, recording) {
        timeline(file, &built, stack, recording)?;
    }
    Ok(Done { target, options, resources, built, stack })
}

/// What a command wants of the image that it goes on with.
pub struct ImageRequest {
    pub scripts: Scripts,
    pub locked: bool,
    pub version: Option<String>,
}

/// The image of what there is now, which is built where it is not up to date.
pub fn image(
    global: &Global,
    target: &Target,
    asked: ImageRequest,
    teller: &Teller,
) -> anyhow::Result<PathBuf> {
    let ImageRequest { scripts, locked, version } = asked;
    let resources = Resources::open(global)?;
    let mut runner = super::runner(global, target, scripts, &resources.store, super::temp())?;
    let options = Options { locked, output: Output::Uki, day: today()?, version, source: None };
    Ok(road::build(target, &options, &mut runner, resources.context(teller))?.path)
}

/// Writes the page of what was recorded.
fn timeline(file: &Path, built: &Built, stack: &Stack, recording: &Recording) -> anyhow::Result<()> {
    let names: HashMap<LayerId, String> =
        stack.iter().map(|(layer, origin)| (layer.id, origin.label())).collect();
    let title = built.path.file_name().unwrap_or_default().to_string_lossy();
    let page = timeline::html(&title, recording, &|id| names.get(&id).cloned());
    hoopy_base::atomic::replace_file(file, page.as_bytes())
        .with_context(|| format!("write {}", file.display()))
}

/// The day in UTC, or that of SOURCE_DATE_EPOCH (reproducible-builds.org).
fn today() -> anyhow::Result<String> {
    let now = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            jiff::Timestamp::from_second(text.parse().context("SOURCE_DATE_EPOCH is no number of seconds")?)?
        }
        Err(_) => jiff::Timestamp::now(),
    };
    Ok(now.strftime("%Y%m%d").to_string())
}
