//! `hoopy export`.

use std::collections::BTreeSet;

use hoopy_base::destination;
use hoopy_build::config::Overrides;
use hoopy_diskless::export;
use hoopy_diskless::report::TransferReport;

use super::Resources;
use crate::args::{Export, Global};
use crate::error::{Exit, Result};
use crate::output::{note, print, print_json};
use crate::progress::Progress;

pub fn run(global: &Global, own: &Export) -> Result<Exit> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    if own.world {
        let mut report = TransferReport::default();
        print(export::world(&target.system, &BTreeSet::new(), &mut report))?;
        if !global.quiet {
            report.left.iter().for_each(|left| note(format!("left out {}: {}", left.what, left.why)));
        }
        return Ok(Exit::Success);
    }
    let progress = Progress::new(global.quiet || own.json);
    let resources = Resources::open(global)?;
    let mut runner = super::runner(global, &target, own.scripts, &resources.store, super::temp())?;
    let file = own.output.clone().unwrap_or_else(|| export::file_name(&target.system).into());
    let report = export::export(&target, &file, &mut runner, resources.context(&progress))?;
    progress.done();
    if destination::is_standard_output(&file) {
        // What is not the overlay itself must not get into it.
        note(report.to_string().trim_end());
    } else if own.json {
        print_json(&report)?
    } else {
        print(report.to_string())?
    }
    Ok(Exit::Success)
}
