//! `hoopy gc`.

use std::time::{Duration, SystemTime};

use hoopy_base::size;
use hoopy_store::gc::{self, Collected, Policy, Tally};

use crate::args::{Gc, Global};
use crate::error::{Context as _, Exit, Result};
use crate::output::{note, print, print_json};

/// A day in seconds.
const DAY: u64 = 24 * 60 * 60;

pub fn run(global: &Global, own: &Gc) -> Result<Exit> {
    let dir = super::store_dir(global)?;
    let policy = Policy {
        keep: Duration::from_secs(u64::from(own.keep_days) * DAY),
        max_size: own.max_size.as_deref().map(size::parse).transpose().context("--max-size")?,
        dry_run: own.dry_run,
    };
    let sandbox = super::sandbox(&dir);
    let waiting = || {
        if !global.quiet {
            note(format!("waiting for builds that use {}", dir.display()));
        }
    };
    let collected = gc::collect(
        &dir,
        &policy,
        SystemTime::now(),
        sandbox.as_ref().map(|sandbox| sandbox as _),
        &waiting,
    )?;
    match (own.json, global.quiet) {
        (true, _) => print_json(&collected)?,
        (false, true) => {}
        (false, false) => print(table(&collected, own.dry_run))?,
    }
    Ok(Exit::Success)
}

fn table(collected: &Collected, dry_run: bool) -> String {
    let tally = |t: &Tally| format!("{} ({} files)", size::show(t.bytes), t.files);
    let mut out =
        format!("{}{}\n", if dry_run { "would free" } else { "freed     " }, tally(&collected.freed()));
    for (dir, freed) in collected.removed.iter().filter(|(_, freed)| freed.files > 0) {
        out += &format!("  {dir:8}  {}\n", tally(freed));
    }
    if collected.unpacked.files > 0 {
        let layers = collected.unpacked;
        out += &format!("  unpacked  {} ({} layers)\n", size::show(layers.bytes), layers.files);
    }
    out + &format!("kept      {}\n", tally(&collected.kept))
}
