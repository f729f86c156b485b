//! Waiting until something in a directory changes (inotify(7)).
//!
//! Directories are watched, not files: an editor that writes a new file and renames it over the old one, and a file
//! that is deleted and made again, are changes of their directory. After every change all directories are watched
//! anew, which costs nothing for those that are already: so one that was made, moved in or put in another's place is
//! seen before whoever waits looks at what is in it, and nothing written to it later is missed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Editors save in several steps: a change counts when nothing more has come for so long.
const QUIET: Duration = Duration::from_millis(60);

/// Whoever writes without a pause is not waited for any longer.
const LONGEST: Duration = Duration::from_secs(1);

/// How often to check whether a directory that was removed as a whole exists again.
const GONE: Duration = Duration::from_millis(300);

/// More directories than this are not watched: far more than a system has, and below what Linux allows.
const MAX_DIRS: usize = 8192;

/// A directory cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system said no.
    #[error("{}: it cannot be watched: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are too many, for hoopy or for this user.
    #[error("{}: too many directories to watch (sysctl fs.inotify.max_user_watches)", .0.display())]
    TooMany(PathBuf),
}

/// A directory being watched, with all below it.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    /// Names in it that are nobody's business.
    hidden: Vec<String>,
    queue: OwnedFd,
    dirs: HashMap<i32, PathBuf>,
}

impl Watch {
    /// Watches `root`, but for what `hidden` names in it.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn new(root: &Path, hidden: &[&str]) -> Result<Self, WatchError> {
        let io = |e: Errno| WatchError::Io { path: root.to_owned(), source: e.into() };
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io)?;
        let hidden = hidden.iter().map(|name| (*name).to_owned()).collect();
        let mut watch = Self { root: root.to_owned(), hidden, queue, dirs: HashMap::new() };
        if !watch.renew()? {
            return Err(io(Errno::NOENT));
        }
        Ok(watch)
    }

    /// Waits for a change since this was called last, or since the beginning, at most `within`. Gives the first paths
    /// that changed; none when the time is up.
    ///
    /// # Errors
    /// [`WatchError`] when the queue cannot be read, or what is there cannot be watched any more.
    pub fn changed(&mut self, within: Option<Duration>) -> Result<Vec<PathBuf>, WatchError> {
        let until = within.map(|within| Instant::now() + within);
        let mut there = true;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let wait = if there { left } else { Some(left.unwrap_or(GONE).min(GONE)) };
            let mut changed = self.wait(wait)?;
            let came_back = !there;
            if !changed.is_empty() {
                self.settle(&mut changed)?;
            }
            there = self.renew()?;
            if there && came_back {
                changed.push(self.root.clone());
            }
            if there && !changed.is_empty() {
                return Ok(changed);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Vec::new());
            }
        }
    }

    /// Takes what else comes until it is quiet.
    fn settle(&mut self, changed: &mut Vec<PathBuf>) -> Result<(), WatchError> {
        let began = Instant::now();
        while began.elapsed() < LONGEST {
            let more = self.wait(Some(QUIET))?;
            if more.is_empty() {
                break;
            }
            more.into_iter().for_each(|path| {
                if !changed.contains(&path) {
                    changed.push(path);
                }
            });
        }
        Ok(())
    }

    /// Waits for events, at most `within`; the paths that they are about, without what nobody cares for.
    fn wait(&mut self, within: Option<Duration>) -> Result<Vec<PathBuf>, WatchError> {
        let until = within.map(|within| Instant::now() + within);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let time = left.map(|left| Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            match poll(&mut [PollFd::new(&self.queue, PollFlags::IN)], time.as_ref()) {
                Err(Errno::INTR) => {}
                Err(e) => return Err(self.io(e)),
                Ok(0) => return Ok(Vec::new()),
                Ok(_) => {
                    let paths = self.read()?;
                    if !paths.is_empty() {
                        return Ok(paths);
                    }
                }
            }
        }
    }

    fn read(&self) -> Result<Vec<PathBuf>, WatchError> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut events = Reader::new(&self.queue, &mut buffer);
        let mut paths = Vec::new();
        loop {
            let event = match events.next() {
                Err(Errno::AGAIN) => return Ok(paths),
                Err(Errno::INTR) => continue,
                other => other.map_err(|e| self.io(e))?,
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                // Something was lost: all may have changed.
                paths.push(self.root.clone());
                continue;
            }
            let Some(dir) = self.dirs.get(&event.wd()) else { continue };
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let hidden = *dir == self.root && self.hidden.contains(&name);
            let own = event.events().intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF);
            if (own || !name.is_empty()) && !hidden && !is_temporary(&name) {
                let path = if name.is_empty() { dir.clone() } else { dir.join(name) };
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
    }

    /// Watches every directory that is there now. False where the root is not.
    fn renew(&mut self) -> Result<bool, WatchError> {
        self.dirs.clear();
        let mut left = vec![self.root.clone()];
        while let Some(dir) = left.pop() {
            let changes = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MODIFY
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::ATTRIB
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF;
            match inotify::add_watch(&self.queue, &dir, changes | WatchFlags::ONLYDIR) {
                Ok(watch) => drop(self.dirs.insert(watch, dir.clone())),
                // Gone since its parent was read: the parent changes.
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(Errno::NOSPC) => return Err(WatchError::TooMany(dir)),
                Err(e) => return Err(WatchError::Io { path: dir, source: e.into() }),
            }
            if self.dirs.len() > MAX_DIRS {
                return Err(WatchError::TooMany(self.root.clone()));
            }
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let top = dir == self.root && self.hidden.iter().any(|name| entry.file_name() == **name);
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !top {
                    left.push(entry.path());
                }
            }
        }
        Ok(!self.dirs.is_empty())
    }

    fn io(&self, error: Errno) -> WatchError {
        WatchError::Io { path: self.root.clone(), source: error.into() }
    }
}

/// Whether an editor makes files of such names beside the one that it edits, and removes them again: vim, emacs, nano,
/// GNOME's.
fn is_temporary(name: &str) -> bool {
    let endings = ["~", ".swp", ".swx", ".swo"];
    let beginnings = [".#", ".goutputstream-"];
    name == "4913"
        || endings.iter().any(|ending| name.ends_with(ending))
        || beginnings.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Longer than any change takes to be told.
    const SOON: Option<Duration> = Some(Duration::from_secs(10));
    /// Long enough for a change that must not be told.
    const NOT: Option<Duration> = Some(Duration::from_millis(300));

    fn scene() -> (tempfile::TempDir, Watch) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/etc")).unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        fs::write(dir.path().join("root/etc/hostname"), "a").unwrap();
        let watch = Watch::new(dir.path(), &["images"]).unwrap();
        (dir, watch)
    }

    #[test]
    fn a_file_written_renamed_over_or_made_again_is_told() {
        let (dir, mut watch) = scene();
        let file = dir.path().join("root/etc/hostname");
        let new = dir.path().join("root/etc/new");
        fs::write(&file, "b").unwrap();
        assert_eq!(watch.changed(SOON).unwrap(), std::slice::from_ref(&file));
        fs::write(&new, "c").unwrap();
        fs::rename(&new, &file).unwrap();
        assert!(watch.changed(SOON).unwrap().contains(&file));
        fs::remove_file(&file).unwrap();
        assert_eq!(watch.changed(SOON).unwrap(), std::slice::from_ref(&file));
        fs::write(&file, "d").unwrap();
        assert_eq!(watch.changed(SOON).unwrap(), [file]);
        assert_eq!(watch.changed(NOT).unwrap(), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn what_is_written_to_a_new_directory_is_told_and_to_one_that_was_replaced() {
        let (dir, mut watch) = scene();
        let deep = dir.path().join("root/usr/share/deep");
        fs::create_dir_all(&deep).unwrap();
        assert!(!watch.changed(SOON).unwrap().is_empty());
        fs::write(deep.join("file"), "x").unwrap();
        assert_eq!(watch.changed(SOON).unwrap(), [deep.join("file")]);
        fs::remove_dir_all(dir.path().join("root")).unwrap();
        assert!(!watch.changed(SOON).unwrap().is_empty());
        fs::create_dir_all(&deep).unwrap();
        assert!(!watch.changed(SOON).unwrap().is_empty());
        fs::write(deep.join("again"), "x").unwrap();
        assert_eq!(watch.changed(SOON).unwrap(), [deep.join("again")]);
    }

    #[test]
    fn a_burst_is_one_change() {
        let (dir, mut watch) = scene();
        for n in 0..20 {
            fs::write(dir.path().join(format!("root/f{n}")), "x").unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(watch.changed(SOON).unwrap().len(), 20);
        assert!(watch.changed(NOT).unwrap().is_empty());
    }

    #[test]
    fn images_and_what_editors_leave_for_a_moment_are_not_told() {
        let (dir, mut watch) = scene();
        for name in ["images/nas.efi", "root/etc/.hostname.swp", "root/etc/4913", "root/etc/hostname~"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert!(watch.changed(NOT).unwrap().is_empty());
    }

    #[test]
    fn a_directory_that_is_gone_and_comes_back_is_told() {
        let (dir, _) = scene();
        let (here, away) = (dir.path().join("s"), dir.path().join("away"));
        fs::create_dir(&here).unwrap();
        let mut watch = Watch::new(&here, &[]).unwrap();
        fs::rename(&here, &away).unwrap();
        let back = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(400));
            fs::rename(away, here).unwrap();
        });
        assert!(!watch.changed(SOON).unwrap().is_empty());
        back.join().unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_refused() {
        assert!(Watch::new(Path::new("/no/such/directory"), &[]).is_err());
    }
}
