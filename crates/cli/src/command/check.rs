//! `hoopy check`.

use hoopy_base::report::Silent;
use hoopy_build::check::{self, Severity};
use hoopy_build::config::Overrides;

use hoopy_build::check::Finding;
use hoopy_secrets::Secrets;
use std::path::Path;

use crate::args::{Check, Global};
use crate::error::{Exit, Result};
use crate::output::{note, print, print_json};

pub fn run(global: &Global, own: &Check) -> Result<Exit> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let mut report = check::unbuilt(&target, super::Resources::open(global)?.context(&Silent))?;
    report.findings.extend(super::branch::check(&target)?);
    report.findings.extend(opened(&target.system.dir));
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

/// What opening every secret shows, where a key of the owner is at hand that needs no passphrase.
fn opened(system: &Path) -> Vec<Finding> {
    let Ok(Some(secrets)) = Secrets::read(system) else { return Vec::new() };
    let identities = super::owner::silent_identities();
    // Another key than the owner's finds nothing out.
    if secrets.machine_identity(&identities).is_err() {
        return Vec::new();
    }
    let faults = hoopy_secrets::check::open(&secrets, &identities);
    faults.iter().map(|fault| check::secrets::of_fault(system, fault)).collect()
}
