//! The kernel modules, compiled out of `zfs-dkms` with the headers of the kernel that they are for.
//!
//! Nothing of Debian's is installed but the compiler: sources and headers are unpacked below the target directory. What was
//! compiled is kept in `target/mirror-source/zfs`, by the kernel's release and ZFS's version, so that it is compiled once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Debian;
use crate::chores;

/// Every module that ZFS has.
pub const MODULES: [&str; 9] =
    ["icp", "spl", "zavl", "zcommon", "zfs", "zlua", "znvpair", "zunicode", "zzstd"];

/// The directory with the modules for the kernel `release`.
pub fn of(release: &str, debian: &Debian) -> anyhow::Result<PathBuf> {
    let source = debian.find(&["zfs-dkms"])?.remove(0);
    let all = chores::target().join("mirror-source/zfs");
    let kept = all.join(format!("{release}-zfs-{}", source.version));
    if kept.exists() {
        return Ok(kept);
    }
    fs::create_dir_all(&all)?;
    // On the disk of the target directory: it takes half a gigabyte for a while
    let work = tempfile::Builder::new().prefix("new-").tempdir_in(&all)?;
    let headers = Headers::unpack(release, debian, &work.path().join("headers"))?;
    let tree = work.path().join("zfs");
    let from = source.tree()?.join("usr/src").join(format!("zfs-{}", source.version));
    chores::command(Command::new("cp").arg("-r").arg(&from).arg(&tree))?;
    println!("mirror: compiling ZFS {} for {release}: 10 to 25 minutes on two cores", source.version);
    headers.compile(&tree)?;
    let done = work.path().join("done");
    fs::create_dir(&done)?;
    for module in MODULES {
        let (from, to) = (find(&tree.join("module"), module)?, done.join(format!("{module}.ko")));
        chores::command(Command::new("strip").arg("-g").arg("-o").arg(&to).arg(&from))?;
    }
    fs::rename(&done, &kept).with_context(|| format!("write {}", kept.display()))?;
    Ok(kept)
}

/// A module of this name, below its directory.
fn find(dir: &Path, module: &str) -> anyhow::Result<PathBuf> {
    let name = format!("{module}.ko");
    let places = fs::read_dir(dir)?.flatten().map(|entry| entry.path().join(&name));
    places.into_iter().find(|path| path.is_file()).with_context(|| format!("ZFS was compiled without {name}"))
}

/// What Debian's kernel needs to have modules compiled.
struct Headers {
    /// What all kernels of this version have in common.
    common: PathBuf,
    /// What is of this very kernel.
    own: PathBuf,
}

impl Headers {
    fn unpack(release: &str, debian: &Debian, to: &Path) -> anyhow::Result<Self> {
        let name = format!("linux-headers-{release}");
        let found = debian.find(&[&name]).with_context(|| {
            format!(
                "no headers for {release}: Debian has a newer kernel than the mirror; remove target/mirror, and make it again"
            )
        })?;
        let needs = |start: &'static str| {
            let depends = found.iter().flat_map(|deb| &deb.depends);
            depends.into_iter().find(|name| name.starts_with(start) && **name != *release).cloned()
        };
        let common = needs("linux-headers-").context("the headers have nothing in common")?;
        let kbuild = needs("linux-kbuild-").context("the headers need no kbuild")?;
        fs::create_dir_all(to)?;
        for deb in found.iter().chain(&debian.find(&[&common, &kbuild])?) {
            chores::command(Command::new("cp").arg("-al").arg(deb.tree()?.join(".")).arg(to))?;
        }
        let headers = Self { common: to.join("usr/src").join(common), own: to.join("usr/src").join(name) };
        headers.relocate(to)?;
        Ok(headers)
    }

    /// Lets the kernel's Makefile find what it includes, which it looks for where the packages would be installed.
    fn relocate(&self, to: &Path) -> anyhow::Result<()> {
        let file = self.own.join("Makefile");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        ensure!(text.contains("/usr/src/"), "{}: expected /usr/src/ in it", file.display());
        // The package's own tree has the same file.
        fs::remove_file(&file)?;
        fs::write(&file, text.replace("/usr/src/", &format!("{}/usr/src/", to.display())))?;
        Ok(())
    }

    /// Runs ZFS's own build, of its modules alone.
    fn compile(&self, tree: &Path) -> anyhow::Result<()> {
        let mut configure = Command::new("./configure");
        configure.args(["--quiet", "--disable-dependency-tracking", "--with-config=kernel"]);
        configure.arg(format!("--with-linux={}", self.common.display()));
        configure.arg(format!("--with-linux-obj={}", self.own.display()));
        chores::command(configure.current_dir(tree))?;
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut make = Command::new("make");
        // Debug information is stripped anyway, and takes half of the time
        make.args(["--silent", "KCFLAGS=-g0", &format!("-j{jobs}")]);
        chores::command(make.current_dir(tree))
    }
}
