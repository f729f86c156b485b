//! `cargo xtask mirror --boards`: `target/mirror-boards`, the stand-in mirror with what systems of boards need beside that.
//!
//! A mirror of its own, since it takes 60 MB of downloads that nothing in CI needs. Its files are the plain one's (hard
//! links), and so is its key. It has `community` for aarch64, made of Debian's packages as for x86_64.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{KEY, Target, community};
use crate::chores;

/// Changes whenever its contents do.
const STAMP: &str = "1";

/// Makes it out of the plain mirror, where it is not there yet; gives its directory.
pub fn make(plain: &Path) -> anyhow::Result<PathBuf> {
    let mirror = chores::target().join("mirror-boards");
    let stamp = stamp(plain)?;
    if fs::read_to_string(mirror.join("stamp-boards")).is_ok_and(|found| found == stamp) {
        return Ok(mirror);
    }
    let _making = super::only_maker()?;
    let target = Target::of("aarch64")?;
    super::prepare(&[target])?;
    println!("mirror: community for aarch64 in {}", mirror.display());
    let work = chores::target().join("mirror-boards.new");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir(&work).with_context(|| format!("make {}", work.display()))?;
    chores::command(Command::new("cp").args(["-al"]).arg(plain.join(".")).arg(&work))?;
    super::extend(&work, target.arch, &|dir, key, have| community::all(target, dir, key, have))?;
    fs::write(work.join("stamp-boards"), stamp)?;
    let _ = fs::remove_dir_all(&mirror);
    fs::rename(&work, &mirror)?;
    println!("mirror: done. Use it with --mirror {0}/alpine --keys {0}/keys", mirror.display());
    Ok(mirror)
}

/// What it is made of, as far as that changes.
fn stamp(plain: &Path) -> anyhow::Result<String> {
    let digest = Sha256::digest(fs::read(plain.join("keys").join(KEY))?);
    Ok(format!("{STAMP} {}", HEXLOWER.encode(&digest)))
}
