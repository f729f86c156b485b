//! `hoopy lock` and `hoopy update`.

use std::process::ExitCode;

use anyhow::Context as _;
use hoopy_build::config::Overrides;
use hoopy_build::locking as lock;
use hoopy_build::locking::Keep;
use hoopy_build::road::BuildError;
use hoopy_build::target::Target;

use crate::args::{Global, System, Update};
use crate::ui::Teller;

pub fn lock(global: &Global, own: &System) -> anyhow::Result<ExitCode> {
    relock(global, &own.dir, &[], false)
}

pub fn update(global: &Global, own: &Update) -> anyhow::Result<ExitCode> {
    relock(global, &own.dir, &own.packages, own.dry_run)
}

fn relock(global: &Global, dir: &std::path::Path, only: &[String], dry: bool) -> anyhow::Result<ExitCode> {
    let target = Target::to_lock(super::system(dir, global, Overrides::default())?, global.arch)?;
    let resources = super::Resources::open(global)?;
    let (path, old) = (&target.lock.path, &target.lock.content);
    let keep = old.as_ref().filter(|_| !only.is_empty());
    let keep = keep.map(|old| Keep { packages: &old.packages, moving: only }).unwrap_or_default();
    let new =
        lock::make(&target, keep, resources.context(&Teller::new(global.quiet))).map_err(BuildError::Make)?;
    match old {
        None => println!("{}: {} packages", path.display(), new.packages.len()),
        Some(old) => {
            let changes = hoopy_lock::changes(old, &new);
            changes.iter().for_each(|change| println!("{change}"));
            if changes.is_empty() {
                println!("{}: nothing changes", path.display());
            }
        }
    }
    if !dry {
        new.write(path).context("the lock could not be written")?;
    }
    Ok(ExitCode::SUCCESS)
}
