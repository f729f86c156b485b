//! Files of the root that were changed since the machine was started: the next boot unpacks the image anew and erases
//! them.
//!
//! Nothing on the machine lists the image's files with their content, and nothing need: the kernel unpacks all of them
//! before the first program runs, and a change since then shows in a file's time of change (`st_ctime`, which no program
//! can set). When the first program ran is the birth of the filesystem at `/run`. `hoopy drift` compares contents, and may
//! so find less: a file that was written again as it was is none there.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hoopy_boot::drift::Ignored;
use hoopy_boot::status::Changed;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// How many are named.
const NAMED: usize = 8;

/// A root with more files than this is no image in memory.
const MAX_FILES: u64 = 500_000;

/// How deep a tree is followed.
const MAX_DEPTH: usize = 64;

/// The filesystems that a root in memory is on (`RAMFS_MAGIC`, `TMPFS_MAGIC` of linux/magic.h).
const IN_MEMORY: [u64; 2] = [0x8584_58f6, 0x0102_1994];

/// A time: seconds since 1970, and nanoseconds.
type Time = (i64, i64);

/// Walks the root. Nothing where it is not in memory, or the system does not tell when it was started.
pub fn look(root: &Path, ignored: &Ignored) -> Option<Changed> {
    let kind = rustix::fs::statfs(root).ok()?.f_type;
    if !IN_MEMORY.contains(&u64::try_from(kind).ok()?) {
        return None;
    }
    since(root, started(&root.join("run"))?, ignored)
}

/// What was changed below `root` at `started` or later.
fn since(root: &Path, started: Time, ignored: &Ignored) -> Option<Changed> {
    let device = fs::symlink_metadata(root).ok()?.dev();
    let mut walk = Walk { root, device, started, ignored, seen: 0, files: 0, named: Vec::new() };
    walk.directory(root, 0)?;
    walk.named.sort();
    walk.named.truncate(NAMED);
    let first = walk.named.iter().map(|path| format!("/{}", path.display())).collect();
    Some(Changed { files: walk.files, first })
}

/// When the filesystem at `run` was made, where it is one of its own.
fn started(run: &Path) -> Option<Time> {
    let device = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.dev()).ok();
    if device(run)? == device(run.parent()?)? {
        return None;
    }
    let found = statx(CWD, run, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME).ok()?;
    let told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    told.then_some((found.stx_btime.tv_sec, i64::from(found.stx_btime.tv_nsec)))
}

struct Walk<'a> {
    root: &'a Path,
    device: u64,
    started: Time,
    ignored: &'a Ignored,
    seen: u64,
    files: u64,
    named: Vec<PathBuf>,
}

impl Walk<'_> {
    /// Whether something in the directory was changed; nothing where there is too much to look at.
    fn directory(&mut self, dir: &Path, depth: usize) -> Option<bool> {
        let mut any = false;
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            self.seen += 1;
            if self.seen > MAX_FILES || depth > MAX_DEPTH {
                return None;
            }
            let path = entry.path();
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            let below = path.strip_prefix(self.root).unwrap_or(&path).to_owned();
            let changed = self.is_changed(&meta);
            any |= changed;
            if meta.dev() != self.device || self.ignored.matches(below.as_os_str().as_bytes()) {
                continue;
            }
            if !meta.is_dir() {
                if changed {
                    self.note(below);
                }
            } else if !self.directory(&path, depth + 1)? && changed {
                // Nothing that is in it: something that was.
                self.note(below);
            }
        }
        Some(any)
    }

    fn is_changed(&self, meta: &Metadata) -> bool {
        (meta.ctime(), meta.ctime_nsec()) >= self.started
    }

    fn note(&mut self, path: PathBuf) {
        self.files += 1;
        // Sorted later: those that are read first are not the first.
        self.named.push(path);
        if self.named.len() > 1000 {
            self.named.sort();
            self.named.truncate(NAMED);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn time_of(path: &Path) -> Time {
        let meta = fs::symlink_metadata(path).unwrap();
        (meta.ctime(), meta.ctime_nsec())
    }

    /// A tree, and a time at which it was as it is.
    fn tree() -> (tempfile::TempDir, Time) {
        let dir = tempfile::tempdir().unwrap();
        for path in ["etc/conf.d", "var/log", "home/me"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in ["etc/motd", "etc/conf.d/sshd", "var/log/messages", "home/me/notes"] {
            fs::write(dir.path().join(path), "old").unwrap();
        }
        // The clock of files is coarse: some milliseconds.
        let mark = dir.path().join("etc/mark");
        let newest = time_of(&dir.path().join("home/me/notes"));
        while {
            fs::write(&mark, "").unwrap();
            time_of(&mark)
        } <= newest
        {
            std::thread::yield_now();
        }
        let started = time_of(&mark);
        (dir, started)
    }

    fn changed(dir: &Path, started: Time) -> Vec<String> {
        since(dir, started, &Ignored::new(&["home/*/cache".to_owned()])).unwrap().first
    }

    #[test]
    fn what_was_written_since_the_start_is_named_and_what_services_always_write_is_not() {
        let (dir, started) = tree();
        fs::write(dir.path().join("var/log/messages"), "new").unwrap();
        fs::write(dir.path().join("etc/motd"), "new").unwrap();
        fs::create_dir(dir.path().join("home/me/cache")).unwrap();
        fs::write(dir.path().join("home/me/cache/x"), "new").unwrap();
        assert_eq!(changed(dir.path(), started), ["/etc/mark", "/etc/motd"]);
    }

    #[test]
    fn a_directory_from_which_something_was_removed_is_named() {
        let (dir, started) = tree();
        fs::remove_file(dir.path().join("etc/conf.d/sshd")).unwrap();
        fs::remove_file(dir.path().join("home/me/notes")).unwrap();
        assert_eq!(changed(dir.path(), started), ["/etc/conf.d", "/etc/mark", "/home/me"]);
    }

    #[test]
    fn many_files_are_counted_and_the_first_are_named() {
        let (dir, started) = tree();
        for number in 0..3000 {
            fs::write(dir.path().join(format!("home/me/{number:04}")), "").unwrap();
        }
        let found = since(dir.path(), started, &Ignored::new(&[])).unwrap();
        assert_eq!((found.files, found.first.len()), (3001, NAMED));
        assert_eq!(found.first.last().unwrap(), "/home/me/0006");
    }

    #[test]
    fn a_root_on_a_disk_loses_nothing() {
        assert_eq!(look(Path::new(env!("CARGO_MANIFEST_DIR")), &Ignored::new(&[])), None);
    }
}
