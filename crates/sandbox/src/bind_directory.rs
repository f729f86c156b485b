//! The directory that a script sees at `/mnt`.
//!
//! An ordinary user's helper finds it by its path. Root's helper has none of root's rights: root lends it a mount of the
//! directory on which owners are mapped (mount_setattr(2)), so that what is root's outside is root's inside, or a copy
//! where the filesystem knows nothing of that.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown, symlink,
};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::helper::sys;
use super::{SandboxError, Script};

/// Who owns what has no owner inside.
const NOBODY: u32 = 65534;

/// Deepest directory that is copied.
const MAX_DEPTH: usize = 128;

/// How it is lent.
pub(super) enum BindDirectory {
    /// By its path, or there is none.
    ByPath,
    /// As a mount with mapped owners.
    Mount(OwnedFd),
    /// As a copy, which goes when this is dropped.
    Copy(Box<DirectoryCopy>),
}

/// A copy of the directory, and the script that sees it.
pub(super) struct DirectoryCopy {
    script: Script,
    dir: PathBuf,
    /// Held: without it another session takes the copy for what a dead one left.
    _held: File,
}

impl DirectoryCopy {
    pub(super) fn script(&self) -> &Script {
        &self.script
    }
}

impl Drop for DirectoryCopy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Lends what `script` is to see, to a helper that runs as `owner` in the user namespace `namespace`. Copies are made in
/// `layers`.
pub(super) fn prepare(
    script: &Script,
    namespace: Option<&File>,
    owner: (u32, u32),
    layers: &Path,
) -> Result<BindDirectory, SandboxError> {
    let (Some(dir), Some(namespace)) = (&script.bind, namespace) else { return Ok(BindDirectory::ByPath) };
    if let Ok(mount) = mounted(dir, namespace) {
        return Ok(BindDirectory::Mount(mount));
    }
    let what = || format!("copy {}", dir.display());
    let copied = copied(script, dir, owner, layers);
    copied
        .map(|copy| BindDirectory::Copy(Box::new(copy)))
        .map_err(|source| SandboxError::Io { what: what(), source })
}

fn mounted(dir: &Path, namespace: &File) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let mount = open_tree(CWD, dir, flags)?;
    sys::map_owners(&mount, namespace.as_fd())?;
    Ok(mount)
}

fn copied(script: &Script, dir: &Path, owner: (u32, u32), layers: &Path) -> io::Result<DirectoryCopy> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    // A name that the next session removes if this one does not
    let name = format!("work-lent-{}-{now}", std::process::id());
    let to = layers.join(&name);
    DirBuilder::new().mode(0o700).create(&to)?;
    let held = File::open(&to)?;
    held.lock()?;
    let copy = DirectoryCopy {
        script: Script { bind: Some(name.into()), ..script.clone() },
        dir: to.clone(),
        _held: held,
    };
    directory(dir, &to, &|path| script.hidden.iter().any(|hidden| dir.join(hidden) == path), owner, 0)?;
    Ok(copy)
}

/// Copies what is in `from` to the directory `to`, and its owner and mode. What is `hidden` of it stays empty.
fn directory(
    from: &Path,
    to: &Path,
    hidden: &dyn Fn(&Path) -> bool,
    owner: (u32, u32),
    depth: usize,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!("{}: more than {MAX_DEPTH} directories deep", from.display())));
    }
    for entry in if hidden(from) { None } else { Some(fs::read_dir(from)?) }.into_iter().flatten() {
        let entry = entry?;
        let (path, copy, meta) = (entry.path(), to.join(entry.file_name()), entry.metadata()?);
        if meta.is_dir() {
            DirBuilder::new().mode(0o700).create(&copy)?;
            directory(&path, &copy, hidden, owner, depth + 1)?;
        } else if meta.is_symlink() {
            symlink(fs::read_link(&path)?, &copy)?;
            own(&copy, &meta, owner)?;
        } else if meta.is_file() {
            let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
            let mut content = OpenOptions::new().read(true).custom_flags(no_link).open(&path)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy)?;
            io::copy(&mut content, &mut file)?;
            own(&copy, &meta, owner)?;
            file.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o777))?;
            file.set_modified(meta.modified()?)?;
        }
    }
    let meta = fs::symlink_metadata(from)?;
    own(to, &meta, owner)?;
    fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o777))
}

/// Gives `path` the owner that `meta` says, as it is called inside.
fn own(path: &Path, meta: &fs::Metadata, (user, group): (u32, u32)) -> io::Result<()> {
    let inside = |id: u32, first: u32| first.saturating_add(if id > u16::MAX.into() { NOBODY } else { id });
    lchown(path, Some(inside(meta.uid(), user)), Some(inside(meta.gid(), group)))
}
