//! systemd 257 beside that of this machine: its stub, its boot loader and systemd-measure, out of Debian's next release,
//! in `target/systemd-257`. Nothing of it is installed, and apt's own sources stay as they are.

use std::fs;
use std::process::Command;

use anyhow::Context as _;

use crate::{chores, private_apt};

/// What systemd-measure loads, as far as it must be as new as it; and the stubs of both architectures.
const PACKAGES: [&str; 6] = [
    "systemd",
    "libsystemd-shared",
    "libc6",
    "libssl3t64",
    "systemd-boot-efi:amd64",
    "systemd-boot-efi:arm64",
];

/// Downloads and unpacks it, unless it is there.
pub fn install() -> anyhow::Result<()> {
    let dir = chores::target().join("systemd-257");
    let stamp = dir.join("stamp");
    let wanted = PACKAGES.join(" ");
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
        return Ok(());
    }
    println!("setup: unpacking systemd 257 in {}", dir.display());
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    let architectures = if cfg!(target_arch = "aarch64") { ["arm64", "amd64"] } else { ["amd64", "arm64"] };
    let configuration = private_apt::configure(&dir.join("apt"), &["debian trixie main"], &architectures)?;
    let downloads = dir.join("deb");
    fs::create_dir_all(&downloads)?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("APT_CONFIG", &configuration).current_dir(&downloads);
        chores::command(&mut command)
    };
    apt(&["update", "-q"])?;
    apt(&[&["download", "-q"], PACKAGES.as_slice()].concat())?;
    for entry in fs::read_dir(&downloads)? {
        chores::command(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(dir.join("tree")))?;
    }
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}
