//! `target/mirror-arm/busybox`: Debian's static BusyBox for ARM with 32 bits, for tests whose made-up packages have scripts.

use std::fs;
use std::process::Command;

use anyhow::Context as _;

use super::Target;
use super::debian::Deb;
use crate::{chores, private_apt};

/// Debian's name of 32-bit ARM with hardware floating point.
static ARM: Target = Target { arch: "armhf", debian: "armhf", efi: "", platform: "", sha256: "" };

/// Fetches it where it is not there yet. apt is asked with a configuration of its own: of this computer, packages of 32-bit
/// ARM are no part.
pub fn busybox() -> anyhow::Result<()> {
    let dir = chores::target().join("mirror-arm");
    let file = dir.join("busybox");
    if file.exists() {
        return Ok(());
    }
    let configuration = private_apt::configure(&dir.join("apt"), &["debian bookworm main"], &[ARM.debian])?;
    let mut update = Command::new("apt-get");
    chores::command(update.args(["update", "-q"]).env("APT_CONFIG", &configuration))?;
    let asked = ["busybox-static".to_owned()];
    let found = Deb::find_all_with(Some(&configuration), &asked, &ARM)?;
    let deb = found.first().context("apt knows no busybox-static of armhf")?;
    let new = dir.join("busybox.new");
    fs::copy(deb.tree()?.join("bin/busybox"), &new)?;
    fs::rename(new, file)?;
    Ok(())
}
