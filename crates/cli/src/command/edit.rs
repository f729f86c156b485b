//! What `hoopy add` and `hoopy remove` share: a new `packages`, tried before it is written.

use std::fs;
use std::path::Path;

use hoopy_build::config::System;
use hoopy_build::config::world::World;

use super::relocked::{Moving, Relocked};
use crate::args::{Change, Global};
use crate::error::{Context as _, Exit, Result};

/// Writes `packages` as `make` makes it, and the lock of that; neither where no set of packages fits.
pub fn edit(
    global: &Global,
    own: &Change,
    mut system: System,
    make: impl FnOnce(&Path, &str) -> Result<String>,
) -> Result<Exit> {
    let file = system.path("packages");
    let old = fs::read_to_string(&file).context(format!("cannot read {}", file.display()))?;
    let new = make(&file, &old)?;
    system.world = World::parse(&file, &new)?;
    let relocked = Relocked::new(global, system, Moving::Only(&[], &[]), own.json)?;
    relocked.refuse_older(own.json)?;
    if !own.dry_run {
        // The lock last: where it cannot be written, the next build says that it does not fit `packages`.
        hoopy_base::atomic::edit_file(&file, new.as_bytes())
            .context(format!("cannot write {}", file.display()))?;
        relocked.write()?;
    }
    relocked.show(own.json)?;
    Ok(Exit::Success)
}
