//! `hoopy check`.

use std::process::ExitCode;

use hoopy_base::report::Silent;
use hoopy_build::check::{self, Severity};
use hoopy_build::config::Overrides;

use crate::args::{Check, Global};
use crate::error::WRONG_DIRECTORY;

pub fn run(global: &Global, own: &Check) -> anyhow::Result<ExitCode> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let report = check::unbuilt(&target, super::Resources::open(global)?.context(&Silent))?;
    if own.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        for finding in &report.findings {
            let prefix = if finding.severity == Severity::Error { "error" } else { "warning" };
            println!("{prefix}: {finding}");
        }
        if let Some(unchecked) = report.unchecked.as_ref().filter(|_| !global.quiet) {
            eprintln!("{unchecked}");
        }
    }
    Ok(if report.has_errors() { ExitCode::from(WRONG_DIRECTORY) } else { ExitCode::SUCCESS })
}
