//! `setup.sh`: run inside the image after packages and `root/`, with the system directory readable at `/mnt`
//! and as its working directory, as alpine-make-rootfs does it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use hoopy_base::digest::{Hasher, of_reader};
use hoopy_base::input;
use hoopy_sandbox::Script;
use hoopy_store::layer::files::FilesError;

use super::scripts::{Job, environment};
use super::{Origin, StackError};

/// What `setup.sh` does not see of the system directory: what hoopy or a program's build makes there, history,
/// and secrets. A result could not be reused if it might depend on them.
pub const HIDDEN: [&str; 4] = ["images", "target", ".git", "secrets"];

/// What a build does not read of the system directory.
pub const UNREAD: [&str; 3] = ["images", "target", ".git"];

/// The script of the system directory `dir`; `None` where it has none.
pub fn job(dir: &Path, network: bool, epoch: u64) -> Result<Option<Job>, StackError> {
    let path = dir.join("setup.sh");
    let body = match input::read(&path, input::Kind::Script) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| FilesError::Io { path, source })?,
    };
    let script = Script {
        name: "setup.sh".to_owned(),
        body,
        args: Vec::new(),
        env: environment(&[("HOME", "/root"), ("USER", "root")], epoch),
        cwd: "/mnt".into(),
        bind: Some(dir.canonicalize().map_err(|source| FilesError::Io { path: dir.to_owned(), source })?),
        hidden: HIDDEN.iter().map(Into::into).collect(),
        network,
    };
    let mut hasher = Hasher::new("hoopy directory at /mnt 1");
    digest(dir, true, &mut hasher)?;
    Ok(Some(Job { script, sees: hasher.finish().to_vec(), origin: Origin::Setup }))
}

/// Digests names, types, modes and contents: what a script can tell apart, but for times.
fn digest(dir: &Path, top: bool, hasher: &mut Hasher) -> Result<(), FilesError> {
    let io = |source| FilesError::Io { path: dir.to_owned(), source };
    let mut entries = fs::read_dir(dir).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if top && HIDDEN.iter().any(|h| name == *h) {
            continue;
        }
        digest_one(&path, name.as_bytes(), hasher)?;
    }
    hasher.field(b"end");
    Ok(())
}

fn digest_one(path: &Path, name: &[u8], hasher: &mut Hasher) -> Result<(), FilesError> {
    use std::os::unix::fs::PermissionsExt as _;
    let io = |source| FilesError::Io { path: path.to_owned(), source };
    let meta = fs::symlink_metadata(path).map_err(io)?;
    hasher.field(name).field(&(meta.permissions().mode() & 0o7755).to_le_bytes());
    if meta.is_dir() {
        hasher.field(b"dir");
        digest(path, false, hasher)?;
    } else if meta.is_symlink() {
        hasher.field(fs::read_link(path).map_err(io)?.as_os_str().as_bytes());
    } else if meta.is_file() {
        let mut file = input::open(path).map_err(io)?;
        hasher.field(of_reader(&mut file).map_err(io)?.0.as_bytes());
    }
    Ok(())
}
