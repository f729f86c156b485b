//! The mount that a script sees: an overlay of unpacked layers with an empty directory on top.
//!
//! `userxattr` for root too: one set of attribute names in all that is captured and unpacked, and it turns
//! `metacopy` and `redirect_dir` off, so that the upper directory is complete in itself. `volatile`, because
//! nothing here outlives the helper and scripts like to call `sync`. Layers are named by short links in a
//! scratch directory: mount(2) takes one page of options, 500 paths of a store don't fit, and no character of
//! a path needs escaping. That also works on kernels without `lowerdir+` (before 6.5). `userxattr` needs 5.11.
//! Groups of layers are overlays of their own below it ([`crate::Lowers`] says why).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use super::{Result, resolver};
use crate::error::Ended;
use crate::lowers::MAX_STACK;
use crate::wire::{Doing as _, Upper};

/// Directories that the sandbox mounts on. They lie below all layers, so that they exist in the first script
/// and show in nothing that is captured.
const MOUNTPOINTS: [&str; 4] = ["proc", "sys", "dev", "mnt"];

/// What a script may change in memory, as an option of tmpfs: most change a few files. The kernel's own memory for each
/// of them is bounded too.
const IN_MEMORY: &CStr = c"mode=0755,size=32m,nr_inodes=64k";

/// The mounted stack.
pub(super) struct Overlay {
    /// Where it is mounted, from the working directory.
    pub(super) root: PathBuf,
    /// Where changes go.
    pub(super) upper: PathBuf,
    /// Whether that is bounded by [`IN_MEMORY`].
    bounded: bool,
}

/// Mounts these groups of layers, bottom first, with the changes in memory or in `dir`. The working directory becomes the
/// one from which its root is to be found by processes that cannot find the way there.
pub(super) fn stack(groups: &[Vec<PathBuf>], dir: &Path, to: Upper, network: bool) -> Result<Overlay> {
    let scratch = dir.join("scratch");
    make(&scratch)?;
    let options = if to == Upper::Memory { IN_MEMORY } else { c"mode=0755" };
    mount("hoopy", &scratch, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options)
        .doing("mount a tmpfs")?;
    // Options name paths by it
    std::env::set_current_dir(&scratch).doing("enter the scratch directory")?;
    lay_base(&scratch)?;
    let mut names = lowers(&scratch, groups)?;
    if network && resolver::lay(&groups.concat())? {
        make_room(&scratch, &mut names)?;
        names.push(resolver::DIRECTORY.to_owned());
    }
    let lower = lowerdir(&names);
    let place = place(to, dir, &scratch)?;
    let (upper, work) = (place.join("upper"), place.join("work"));
    make(&work)?;
    make(&upper)?;
    symlink(&upper, "u").and_then(|()| symlink(&work, "w")).doing("link the upper directory")?;
    let root = PathBuf::from("root");
    make(&root)?;
    overlay(&root, &format!("{lower},upperdir=u,workdir=w,volatile,index=off,xino=off"), MountFlags::NODEV)?;
    Ok(Overlay { root, upper, bounded: to == Upper::Memory && place == scratch })
}

impl Overlay {
    /// Bytes that are free on the store's disk, where changes go there.
    pub(super) fn free_on_disk(&self) -> Option<u64> {
        let on_disk = !self.bounded && self.upper.is_absolute();
        let found = on_disk.then(|| rustix::fs::statvfs(&self.upper).ok()).flatten();
        found.map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
    }

    /// Whether a script that ended so and wrote this may have lacked the room to change what it wanted to.
    pub(super) fn was_too_small(&self, ended: Ended, output: &[u8]) -> bool {
        /// strerror(3) of ENOSPC, as musl has it.
        const NO_SPACE: &[u8] = b"No space left on device";
        let is_full = || {
            rustix::fs::statvfs(&self.upper)
                .is_ok_and(|fs| fs.f_bavail < fs.f_blocks / 16 || fs.f_favail == 0)
        };
        let failed =
            || ended != Ended::Exit(0) && output.windows(NO_SPACE.len()).any(|words| words == NO_SPACE);
        self.bounded && (is_full() || failed())
    }
}

/// The names of the directories to stack, bottom first. The sandbox's own lies below them all.
fn lowers(scratch: &Path, groups: &[Vec<PathBuf>]) -> Result<Vec<String>> {
    let mut numbers = 0..usize::MAX;
    let mut names = vec!["base".to_owned()];
    for (n, group) in groups.iter().enumerate() {
        let mut linked = if n == 0 && group.len() > 1 { std::mem::take(&mut names) } else { Vec::new() };
        for (layer, number) in group.iter().zip(&mut numbers) {
            symlink(layer, scratch.join(number.to_string())).doing("link a layer")?;
            linked.push(number.to_string());
        }
        if linked.len() > 1 {
            names.push(nest(scratch, &format!("group{n}"), &linked)?);
        } else {
            names.append(&mut linked);
        }
    }
    Ok(names)
}

/// Sees to it that one directory more can be stacked. The bottom may be nested whatever it holds, once.
fn make_room(scratch: &Path, names: &mut Vec<String>) -> Result<()> {
    if names.len() >= MAX_STACK {
        let bottom: Vec<String> = names.drain(..2).collect();
        names.insert(0, nest(scratch, "bottom", &bottom)?);
    }
    Ok(())
}

/// These directories, bottom first, as one read-only overlay of that name.
fn nest(scratch: &Path, name: &str, directories: &[String]) -> Result<String> {
    let dir = scratch.join(name);
    make(&dir)?;
    overlay(&dir, &format!("{},xino=off", lowerdir(directories)), MountFlags::RDONLY | MountFlags::NODEV)?;
    Ok(name.to_owned())
}

/// The option for these directories, bottom first. overlayfs wants the top first.
fn lowerdir(names: &[String]) -> String {
    let top_first: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    format!("userxattr,lowerdir={}", top_first.join(":"))
}

fn overlay(at: &Path, options: &str, flags: MountFlags) -> Result<()> {
    let options = CString::new(options).map_err(io::Error::from).doing("mount an overlay")?;
    mount("hoopy", at, "overlay", flags | MountFlags::NOATIME, options.as_c_str())
        .map_err(|e| match e {
            Errno::NODEV => io::Error::other("this kernel has no overlayfs (`modprobe overlay`, as root)"),
            Errno::INVAL => io::Error::other(
                "the kernel refuses the overlay: it needs Linux 5.11 or later, and a store on a filesystem like \
                 ext4, XFS, Btrfs or tmpfs",
            ),
            other => other.into(),
        })
        .doing("mount the layers")
}

fn lay_base(scratch: &Path) -> Result<()> {
    let base = scratch.join("base");
    make(&base)?;
    for name in MOUNTPOINTS {
        make(&base.join(name))?;
    }
    Ok(())
}

/// Where the upper and work directories are. In the tmpfs, too, where the store's filesystem keeps no `user.`
/// attributes (NFS) or is itself an overlay (a container without a volume), which can't be an upper directory. A tmpfs
/// keeps them since Linux 6.6.
fn place<'a>(to: Upper, dir: &'a Path, scratch: &'a Path) -> Result<&'a Path> {
    /// OVERLAYFS_SUPER_MAGIC (include/uapi/linux/magic.h).
    const OVERLAY: u64 = 0x794c_7630;
    if to == Upper::Memory && keeps_attributes(scratch)? {
        return Ok(scratch);
    }
    let is_overlay = rustix::fs::statfs(dir).is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(OVERLAY));
    let place = if is_overlay || !keeps_attributes(dir)? { scratch } else { dir };
    if !keeps_attributes(place)? {
        let error = io::Error::other(format!(
            "neither {} nor a tmpfs keeps user attributes: put the store on ext4, XFS or Btrfs (--store)",
            dir.display()
        ));
        return Err(error).doing("mount the layers");
    }
    Ok(place)
}

fn keeps_attributes(dir: &Path) -> Result<bool> {
    match setxattr(dir, "user.overlay.try", b"y", XattrFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        Err(e) => Err(e).doing(format_args!("set an attribute of {}", dir.display())),
    }
}

fn make(dir: &Path) -> Result<()> {
    rustix::fs::mkdir(dir, rustix::fs::Mode::from_raw_mode(0o755))
        .doing(format_args!("make {}", dir.display()))
}
