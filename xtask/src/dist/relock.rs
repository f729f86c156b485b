//! Choosing the packages of the container image: the newest that apt knows here, with all that they need, and their digests
//! as apt verified them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::container;

/// What the image has beside hoopy.
const WANTED: &str =
    "base-files btrfs-progs ca-certificates coreutils dash e2fsprogs git openssh-client ipxe-qemu";

const HEAD: &str =
    "# Written by `cargo xtask dist --relock-container`: Debian's packages of the container image.\n";

/// Writes the list for `arch`.
pub fn run(arch: &str) -> anyhow::Result<()> {
    let (debian, machines) = match arch {
        "aarch64" => ("arm64", "qemu-system-arm qemu-efi-aarch64"),
        _ => ("amd64", "qemu-system-x86 ovmf"),
    };
    let empty = tempfile::NamedTempFile::new()?;
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--print-uris", "--yes", "--no-install-recommends"]);
    apt.arg("-o").arg(format!("Dir::State::status={}", empty.path().display()));
    apt.arg("-o").arg(format!("APT::Architecture={debian}"));
    let chosen = said(apt.args(WANTED.split(' ').chain(machines.split(' '))))?;
    // 'ADDRESS' NAME_VERSION_ARCH.deb SIZE CHECKSUM
    let files: BTreeMap<String, String> = chosen.lines().filter_map(file).collect();
    let names: Vec<String> = files.keys().cloned().collect();
    let mut show = Command::new("apt-cache");
    show.arg("-o").arg(format!("APT::Architecture={debian}"));
    let shown = said(show.arg("show").args(&names))?;
    let mut lines = Vec::new();
    for (name, address) in &files {
        let path = address.split_once("/pool/").map(|(_, path)| decoded(path)).unwrap_or_default();
        let own = shown.split("\n\n").find(|of| of.contains(&format!("\nFilename: pool/{path}\n")));
        let digest = own.and_then(|of| of.lines().find_map(|line| line.strip_prefix("SHA256: ")));
        let digest = digest.with_context(|| format!("apt knows no SHA-256 of {name}"))?;
        lines.push(format!("{digest} {address}\n"));
    }
    let list = container::list(arch);
    fs::create_dir_all(list.parent().context("a directory")?)?;
    fs::write(&list, HEAD.to_owned() + &lines.concat())?;
    println!("dist: {}: {} packages", list.display(), lines.len());
    Ok(())
}

/// `NAME:ARCH=VERSION` and the address of a line.
fn file(line: &str) -> Option<(String, String)> {
    let (address, rest) = line.strip_prefix('\'')?.split_once('\'')?;
    let mut parts = rest.split_whitespace().next()?.strip_suffix(".deb")?.split('_');
    let (name, version) = (parts.next()?, decoded(parts.next()?));
    Some((format!("{name}={version}"), address.to_owned()))
}

/// Without the escapes of addresses.
fn decoded(text: &str) -> String {
    [("%3a", ":"), ("%2b", "+"), ("%7e", "~")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let out = command.output().with_context(|| format!("start {command:?}"))?;
    ensure!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
