//! `hoopy lock` and `hoopy update`.

use std::process::ExitCode;

use anyhow::Context as _;
use hoopy_build::config::Overrides;
use hoopy_build::locking as lock;
use hoopy_build::locking::{Keep, Older};
use hoopy_build::road::BuildError;
use hoopy_build::target::Target;

use crate::args::{Global, System, Update};
use crate::ui::Teller;

pub fn lock(global: &Global, own: &System) -> anyhow::Result<ExitCode> {
    relock(global, &own.dir, &Relock::default())
}

pub fn update(global: &Global, own: &Update) -> anyhow::Result<ExitCode> {
    let (only, dry_run, allow_downgrade) = (own.packages.clone(), own.dry_run, own.allow_downgrade);
    relock(global, &own.dir, &Relock { only, dry_run, allow_downgrade })
}

/// How to lock anew.
#[derive(Default)]
struct Relock {
    /// The packages that move; all where none is named.
    only: Vec<String>,
    dry_run: bool,
    /// Whether indexes and packages may be older than those of the lock.
    allow_downgrade: bool,
}

fn relock(global: &Global, dir: &std::path::Path, how: &Relock) -> anyhow::Result<ExitCode> {
    let target = Target::to_lock(super::system(dir, global, Overrides::default())?, global.arch)?;
    let resources = super::Resources::open(global)?;
    let (path, old) = (&target.lock.path, &target.lock.content);
    let keep = old.as_ref().filter(|_| !how.only.is_empty());
    let keep = keep.map(|old| Keep { packages: &old.packages, moving: &how.only }).unwrap_or_default();
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
    let older = old.as_ref().filter(|_| !how.allow_downgrade).and_then(|old| Older::than(old, &new));
    if let Some(older) = older {
        return Err(older.into());
    }
    if !how.dry_run {
        new.write(path).context("the lock could not be written")?;
    }
    Ok(ExitCode::SUCCESS)
}
