//! `hoopy lock` and `hoopy update`. Moving to another branch of Alpine is in `branch.rs`.

use std::path::Path;

use hoopy_build::config::Overrides;
use hoopy_build::locking::{self, Newer};

use super::relocked::{Moving, Relocked};
use crate::args::{self, Global, Update};
use crate::error::{CommandError, Exit, Result};
use crate::output::{note, print};

pub fn lock(global: &Global, own: &args::Lock) -> Result<Exit> {
    let system = super::system(&own.system.dir, global, Overrides::default())?;
    let relocked = Relocked::new(global, system, Moving::All, own.json)?;
    relocked.refuse_older(own.json)?;
    relocked.write()?;
    relocked.show(own.json)?;
    Ok(Exit::Success)
}

pub fn update(global: &Global, own: &Update) -> Result<Exit> {
    if let Some(branch) = &own.branch {
        return super::branch::update(global, own, branch);
    }
    let system = super::system(super::HERE.as_ref(), global, Overrides::default())?;
    let dir = system.dir.clone();
    // No package has a slash in its name, and every image has.
    let (images, packages): (Vec<String>, Vec<String>) =
        own.packages.iter().cloned().partition(|name| name.contains('/'));
    let moving = if own.packages.is_empty() { Moving::All } else { Moving::Only(&packages, &images) };
    let relocked = Relocked::new(global, system, moving, own.json)?;
    if let Some(name) = own.packages.iter().find(|name| !relocked.has(name)) {
        let message = format!("{name} is not in {}", relocked.path().display());
        return Err(CommandError::usage(message).hint(if name.contains('/') {
            "name the image as Image= of a file in root/etc/containers/systemd has it".to_owned()
        } else {
            format!("add the package with `hoopy add {name}`")
        }));
    }
    if !own.allow_downgrade {
        relocked.refuse_older(own.json)?;
    }
    if !own.dry_run {
        relocked.write()?;
    }
    if !own.packages.is_empty() {
        relocked.show(own.json)?;
        return Ok(Exit::Success);
    }
    let newer = || newer(global, &dir);
    if own.json {
        relocked.show_json(Some(newer()?))?;
    } else {
        relocked.show(false)?;
        tell(newer()?)?;
    }
    Ok(Exit::Success)
}

/// Images that files name by tag and digest, and of which there are newer ones: the owner writes the digest.
fn newer(global: &Global, dir: &Path) -> Result<Vec<Newer>> {
    let resources = super::Resources::open(global)?;
    let (newer, failed) = locking::newer(dir, &resources.client);
    for error in failed {
        note(format!("cannot tell whether there is a newer one: {error}"));
    }
    Ok(newer)
}

fn tell(newer: Vec<Newer>) -> Result<()> {
    for Newer { file, line, name, sha256 } in newer {
        print(format!("newer    {name} is sha256:{sha256}, and {}:{line} names another\n", file.display()))?;
    }
    Ok(())
}
