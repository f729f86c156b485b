//! `cargo xtask mirror --zfs`: `target/mirror-zfs`, the stand-in mirror with ZFS beside its `linux-lts`.
//!
//! A mirror of its own, since compiling the modules takes minutes: the plain one is not touched, and nothing that CI runs
//! asks for it. Its files are the plain one's (hard links), and so is its key; `community` of x86_64 has these beside:
//!
//! | package | made of Debian's (contrib) |
//! |---|---|
//! | `zfs-lts` | `zfs-dkms`, compiled for the kernel of `linux-lts` and kept by its release and version ([`modules`]) |
//! | `zfs` | `zfsutils-linux` |
//! | `zfs-libs` | `libzfs4linux` and the libraries that come with it |
//! | `zfs-openrc` | nothing: the services are ours |

mod modules;
mod packages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::debian::Deb;
use super::{BRANCH, KEY, Target};
use crate::{chores, private_apt, setup};

/// Changes whenever the packages of ZFS do.
const STAMP: &str = "1";

/// Its modules are made for this architecture alone.
const ARCH: &str = "x86_64";

/// Where Debian has ZFS, and the newest kernels.
const SOURCES: [&str; 3] = [
    "debian bookworm main contrib",
    "debian bookworm-updates main contrib",
    "debian-security bookworm-security main contrib",
];

/// The directory of the mirror.
pub fn dir() -> PathBuf {
    chores::target().join("mirror-zfs")
}

/// Whether it was made, of the plain mirror that there is now.
pub fn is_made(plain: &Path) -> bool {
    let found = fs::read_to_string(dir().join("stamp-zfs"));
    stamp(plain).is_ok_and(|expected| found.is_ok_and(|found| found == expected))
}

/// Makes it out of the plain mirror, where it is not there yet; gives its directory.
pub fn make(plain: &Path) -> anyhow::Result<PathBuf> {
    let mirror = dir();
    if is_made(plain) {
        return Ok(mirror);
    }
    let _making = super::only_maker()?;
    let target = Target::of(ARCH)?;
    setup::for_zfs()?;
    let debian = Debian::prepare(target)?;
    let linux = linux_lts(plain)?;
    println!("mirror: ZFS for {} {} in {}", linux.package, linux.release, mirror.display());
    let modules = modules::of(&linux.release, &debian)?;
    let work = chores::target().join("mirror-zfs.new");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir(&work).with_context(|| format!("make {}", work.display()))?;
    chores::command(Command::new("cp").args(["-al"]).arg(plain.join(".")).arg(&work))?;
    super::extend(&work, ARCH, &|dir, key, have| packages::all(&debian, &linux, &modules, dir, key, have))?;
    fs::write(work.join("stamp-zfs"), stamp(plain)?)?;
    let _ = fs::remove_dir_all(&mirror);
    fs::rename(&work, &mirror)?;
    println!("mirror: done. Use it with --mirror {0}/alpine --keys {0}/keys", mirror.display());
    Ok(mirror)
}

/// What it is made of, as far as that changes.
fn stamp(plain: &Path) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    digest.update(fs::read(plain.join("keys").join(KEY))?);
    packages::SERVICES.iter().for_each(|(name, text)| digest.update(format!("{name}\n{text}")));
    Ok(format!("{STAMP} {}", HEXLOWER.encode(&digest.finalize())))
}

/// The kernel that the modules are for.
struct Linux {
    /// `linux-lts=6.1.192-r0`.
    package: String,
    /// `6.1.0-57-cloud-amd64`.
    release: String,
}

/// The plain mirror's `linux-lts`: its package has the directory `lib/modules/RELEASE`.
fn linux_lts(plain: &Path) -> anyhow::Result<Linux> {
    let dir = plain.join("alpine").join(BRANCH).join("main").join(ARCH);
    let version = fs::read_dir(&dir)?.flatten().find_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        Some(name.strip_prefix("linux-lts-")?.strip_suffix(".apk")?.to_owned())
    });
    let version = version.with_context(|| format!("no linux-lts in {}", dir.display()))?;
    let mut tar = Command::new("tar");
    tar.args(["--warning=no-unknown-keyword", "-tzf"]).arg(dir.join(format!("linux-lts-{version}.apk")));
    let listed = tar.output()?;
    let release = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .find_map(|path| Some(path.strip_prefix("lib/modules/")?.strip_suffix("/modules.order")?.to_owned()));
    let release = release.context("linux-lts: expected lib/modules/RELEASE/modules.order, found none")?;
    Ok(Linux { package: format!("linux-lts={version}"), release })
}

/// Debian with contrib, where ZFS is.
struct Debian {
    configuration: PathBuf,
    target: &'static Target,
}

impl Debian {
    fn prepare(target: &'static Target) -> anyhow::Result<Self> {
        let dir = chores::target().join("mirror-source/apt-contrib");
        let configuration = private_apt::configure(&dir, &SOURCES, &[target.debian])?;
        let mut update = Command::new("apt-get");
        chores::command(update.args(["update", "-q"]).env("APT_CONFIG", &configuration))?;
        Ok(Self { configuration, target })
    }

    /// These packages, in this order.
    fn find(&self, names: &[&str]) -> anyhow::Result<Vec<Deb>> {
        let asked: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut found = Deb::find_all_with(Some(&self.configuration), &asked, self.target)?;
        let missing: Vec<_> =
            names.iter().filter(|name| found.iter().all(|deb| deb.name != **name)).collect();
        ensure!(missing.is_empty(), "apt knows no {missing:?}");
        found.sort_by_key(|deb| names.iter().position(|name| *name == deb.name));
        Ok(found)
    }
}
