//! Removing what no build has used for long.
//!
//! A file of the store was last used when it was made, or when the newest note that names it was (see
//! `super::used`). First goes what was last used too long ago; then, where the store is to be smaller than that
//! leaves it, what was used least recently. The list is made beside running builds; it is made anew, and things are
//! removed, only with the store held alone (see `super::lock`): no build ever sees a file go.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hoopy_base::digest::{ContentId, LayerId};
use serde::Serialize;

use super::used::{self, Name};
use super::{Part, StoreError, at, lock};

/// What to keep.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// What was used in this time stays.
    pub keep: Duration,
    /// Most bytes that the store may take; what was used last stays.
    pub max_size: Option<u64>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// A number of files and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub files: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// What was removed, and what is left.
#[derive(Debug, Default, Serialize)]
pub struct Collected {
    /// What went, by the directory of the store that it was in.
    pub removed: Vec<(&'static str, Tally)>,
    /// Unpacked layers that went.
    pub unpacked: Tally,
    /// What stays, but for unpacked layers.
    pub kept: Tally,
}

impl Collected {
    /// All that went.
    pub fn freed(&self) -> Tally {
        self.removed.iter().map(|(_, tally)| tally).chain([&self.unpacked]).fold(
            Tally::default(),
            |sum, tally| Tally { files: sum.files + tally.files, bytes: sum.bytes + tally.bytes },
        )
    }
}

/// Who can remove unpacked layers: most are owned by ids that only the sandbox which made them can take on.
pub trait UnpackedLayers {
    /// Removes all but those of `keep`; nothing where they are in use.
    ///
    /// # Errors
    /// What cannot be removed.
    fn clear(&self, keep: &[LayerId]) -> Result<Tally, Box<dyn std::error::Error + Send + Sync>>;
}

/// A store that could not be trimmed.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// There is none.
    #[error("{}: not a store of hoopy", .0.display())]
    NoStore(PathBuf),
    /// A file could not be read or removed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Unpacked layers could not be removed.
    #[error("unpacked layers could not be removed: {0}")]
    Unpacked(Box<dyn std::error::Error + Send + Sync>),
}

/// A file that may go.
struct Candidate {
    path: PathBuf,
    dir: &'static str,
    name: Option<Name>,
    used: SystemTime,
    bytes: u64,
}

/// Trims the store at `root`. `waiting` is called where a running build must be waited for. Unpacked layers are
/// removed by `unpacked`, where there is one.
///
/// # Errors
/// [`GcError`]; what was removed until then is gone.
pub fn collect(
    root: &Path,
    policy: &Policy,
    now: SystemTime,
    unpacked: Option<&dyn UnpackedLayers>,
    waiting: &dyn Fn(),
) -> Result<Collected, GcError> {
    if !root.join("CACHEDIR.TAG").is_file() || !root.join("blob").is_dir() {
        return Err(GcError::NoStore(root.to_owned()));
    }
    let _alone = if policy.dry_run { None } else { Some(lock::alone(root, waiting)?) };
    if !policy.dry_run {
        lock::sweep(&root.join("tmp"))?;
    }
    let (go, stay) = judge(candidates(root)?, policy, now);
    let mut collected = Collected::default();
    stay.iter().for_each(|file| collected.kept.add(file.bytes));
    for dir in Part::ALL.map(Part::dir).into_iter().chain(["partial", "used"]) {
        let mut tally = Tally::default();
        for file in go.iter().filter(|file| file.dir == dir) {
            if policy.dry_run || removed(&file.path)? {
                tally.add(file.bytes);
            }
        }
        collected.removed.push((dir, tally));
    }
    if let Some(unpacked) = unpacked.filter(|_| !policy.dry_run) {
        collected.unpacked = clear(unpacked, &stay, policy)?;
    }
    Ok(collected)
}

/// Unpacked layers are copies of what is kept: they go with that, and all of them where room is short.
fn clear(unpacked: &dyn UnpackedLayers, stay: &[Candidate], policy: &Policy) -> Result<Tally, GcError> {
    let layers = stay.iter().filter_map(|file| file.name).filter(|(part, _)| *part == Part::Layer);
    let keep: Vec<LayerId> = layers.map(|(_, id)| LayerId::from_bytes(id)).collect();
    let keep = if policy.max_size.is_some() { &[] } else { keep.as_slice() };
    unpacked.clear(keep).map_err(GcError::Unpacked)
}

/// Splits what there is into what goes and what stays.
fn judge(mut files: Vec<Candidate>, policy: &Policy, now: SystemTime) -> (Vec<Candidate>, Vec<Candidate>) {
    // The least recently used first. Of what was used at the same time, what can be made again without the network.
    files.sort_by(|a, b| {
        (a.used, a.dir == Part::Blob.dir(), &a.path).cmp(&(b.used, b.dir == Part::Blob.dir(), &b.path))
    });
    let mut size: u64 = files.iter().map(|file| file.bytes).sum();
    files.into_iter().partition(|file| {
        // A time to come, by a clock that was put back, is as good as now.
        let age = now.duration_since(file.used).unwrap_or_default();
        let goes = age > policy.keep || policy.max_size.is_some_and(|max| size > max);
        size -= if goes { file.bytes } else { 0 };
        goes
    })
}

/// Every file of the store that may be removed, with when it was last used. Nothing that hoopy did not name is.
fn candidates(root: &Path) -> Result<Vec<Candidate>, StoreError> {
    let mut noted: HashMap<Name, SystemTime> = HashMap::new();
    let mut found = Vec::new();
    for (path, _, meta) in named(root, "used")? {
        let time = meta.modified().map_err(at(&path))?;
        for name in used::read(&path) {
            noted.entry(name).and_modify(|last| *last = time.max(*last)).or_insert(time);
        }
        found.push(Candidate { bytes: on_disk(&meta), path, dir: "used", name: None, used: time });
    }
    for (path, _, meta) in named(root, "partial")? {
        let used = meta.modified().map_err(at(&path))?;
        found.push(Candidate { bytes: on_disk(&meta), path, dir: "partial", name: None, used });
    }
    for part in Part::ALL {
        for (path, id, meta) in named(root, part.dir())? {
            let made = meta.modified().map_err(at(&path))?;
            let name = (part, *id.as_bytes());
            let used = noted.get(&name).map_or(made, |noted| made.max(*noted));
            found.push(Candidate { bytes: on_disk(&meta), path, dir: part.dir(), name: Some(name), used });
        }
    }
    Ok(found)
}

/// The files in a directory of the store whose names are digests.
fn named(root: &Path, dir: &str) -> Result<Vec<(PathBuf, ContentId, Metadata)>, StoreError> {
    let dir = root.join(dir);
    let entries = match fs::read_dir(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(at(&dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(at(&dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        // A build beside a dry run may have replaced it.
        let meta = fs::symlink_metadata(&path).ok().filter(Metadata::is_file);
        if let (Some(id), Some(meta)) = (name, meta) {
            found.push((path, id, meta));
        }
    }
    Ok(found)
}

fn on_disk(meta: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    // st_blocks counts 512 bytes, whatever the filesystem's blocks are (inode(7)).
    meta.blocks() * 512
}

fn removed(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true).map_err(at(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn file(days: u32, bytes: u64, dir: &'static str) -> Candidate {
        let used = SystemTime::UNIX_EPOCH + 100 * DAY - days * DAY;
        Candidate { path: format!("{dir}/{days}").into(), dir, name: None, used, bytes }
    }

    fn gone(files: Vec<Candidate>, keep: u32, max_size: Option<u64>) -> Vec<String> {
        let policy = Policy { keep: keep * DAY, max_size, dry_run: false };
        let (go, _) = judge(files, &policy, SystemTime::UNIX_EPOCH + 100 * DAY);
        go.iter().map(|file| file.path.display().to_string()).collect()
    }

    #[test]
    fn what_was_used_too_long_ago_goes() {
        let files = vec![file(3, 1, "data"), file(31, 1, "data"), file(29, 1, "blob")];
        assert_eq!(gone(files, 30, None), ["data/31"]);
    }

    #[test]
    fn what_was_used_least_recently_goes_until_the_rest_fits() {
        let files = || vec![file(1, 40, "data"), file(3, 40, "data"), file(2, 40, "data")];
        assert_eq!(gone(files(), 30, Some(80)), ["data/3"]);
        assert_eq!(gone(files(), 30, Some(79)), ["data/3", "data/2"]);
        assert_eq!(gone(files(), 30, Some(120)), [""; 0]);
    }

    #[test]
    fn downloads_go_last_of_what_was_used_together() {
        let files = vec![file(1, 40, "blob"), file(1, 40, "data"), file(1, 40, "segment")];
        assert_eq!(gone(files, 30, Some(40)), ["data/1", "segment/1"]);
    }

    #[test]
    fn a_time_to_come_counts_as_now() {
        let ahead = Candidate { used: SystemTime::UNIX_EPOCH + 200 * DAY, ..file(0, 1, "data") };
        assert_eq!(gone(vec![ahead], 30, None), [""; 0]);
    }
}
