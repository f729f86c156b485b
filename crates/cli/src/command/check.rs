//! `hoopy check`.

use hoopy_base::report::Silent;
use hoopy_build::check::{self, Severity};
use hoopy_build::config::Overrides;

use crate::args::{Check, Global};
use crate::error::{Exit, Result};
use crate::output::{note, print, print_json};

pub fn run(global: &Global, own: &Check) -> Result<Exit> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let report = check::unbuilt(&target, super::Resources::open(global)?.context(&Silent))?;
    if own.json {
        print_json(&report)?;
    } else {
        for finding in &report.findings {
            let prefix = if finding.severity == Severity::Error { "error" } else { "warning" };
            print(format!("{prefix}: {finding}\n"))?;
        }
        if let Some(unchecked) = report.unchecked.as_ref().filter(|_| !global.quiet) {
            note(unchecked);
        }
    }
    Ok(if report.has_errors() { Exit::System } else { Exit::Success })
}
