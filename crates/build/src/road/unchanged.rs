//! Whether anything was changed since the last build, found without reading a file.
//!
//! A build reads the system directory, the trusted keys and what git says of the directory. Of each file, its name,
//! inode, size, mode and change time are put into one digest before the build begins. Programs can set a file's
//! modification time (`touch -d`) but not its change time, which the kernel takes from its clock whenever a file is
//! written to, renamed or given another mode. So the same digest later means that the same files were seen, if
//!
//! - no file was changed in the instant of the look: the clock that the kernel takes change times from ticks, and a
//!   second change within a tick leaves no mark. Where the newest change is that young, nothing is remembered;
//! - the filesystem keeps change times, and by this machine's clock: others are not trusted;
//! - nobody writes through a shared mapping that was written through before: the kernel takes the time when a page
//!   is first written to, and again only after it went to disk. No editor works so;
//! - the machine was not booted since: a power cut may take a change back, and its time with it.
//!
//! Whatever is not sure leads to the whole build, which reads everything and finds out.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoopy_base::digest::{Hasher, RecipeId};
use hoopy_base::report::{Event, Timings};
use hoopy_secrets::Secrets;
use hoopy_store::Store;
use hoopy_store::layer::files::MAX_DEPTH;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::previous::PreviousImage;
use crate::built::Built;
use crate::context::Context;
use crate::image::Spec;
use crate::stack::UNREAD;
use crate::stack::secrets::agent;
use crate::target::Target;
use crate::working_tree::WorkingTree;

/// The grain of filesystems that keep no nanoseconds: FAT's two seconds are the coarsest.
const COARSE: Duration = Duration::from_secs(2);

/// A directory with more files than this takes longer to look at than to find unchanged in the store.
const MAX_FILES: usize = 100_000;

/// Filesystems that keep change times by this machine's clock (include/uapi/linux/magic.h; ZFS and bcachefs have
/// theirs in their own sources).
const TRUSTED: [u64; 8] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x0102_1994, // tmpfs
    0x794C_7630, // overlayfs
    0xF2F5_2010, // F2FS
    0x2FC1_2FC1, // ZFS
    0xCA45_1A4E, // bcachefs
];

/// What was seen of the files that a build reads.
#[derive(Debug)]
pub struct Snapshot {
    seen: String,
    /// Whether a later change of any file would be noticed.
    settled: bool,
}

/// What a build left for the next one.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    seen: String,
    image: PreviousImage,
    warnings: Vec<String>,
}

impl Snapshot {
    /// Looks at what a build of `target` will read. `None` where that cannot be told by looking.
    pub fn of(target: &Target, agents: &[PathBuf]) -> Option<Self> {
        let system = &target.system;
        // Whether programs would come out otherwise, only building them tells; and a lock is to be made.
        if !system.programs.is_empty() || target.lock.content.is_none() {
            return None;
        }
        let dir = system.dir.canonicalize().ok()?;
        let now = now()?;
        let mut look =
            Look { hasher: Hasher::new("hoopy look at a directory 1"), files: 0, newest: Duration::ZERO };
        look.top(&dir)?;
        if let Some(keys) = &system.keys {
            look.top(&keys.canonicalize().ok()?)?;
        }
        let has_agent = Secrets::are_in(&dir) || system.monitor.is_some() || !system.state.lines.is_empty();
        if let Some(agent) = has_agent.then(|| agent(agents, target.arch)).flatten() {
            look.hasher.field(agent.as_os_str().as_bytes());
            look.file(&fs::metadata(&agent).ok()?);
        }
        let grain = if look.newest.subsec_nanos() == 0 { COARSE } else { Duration::ZERO };
        let settled = look.newest + grain < now;
        let seen = RecipeId::from_bytes(look.hasher.finish()).to_string();
        Some(Self { seen, settled })
    }

    /// The same, with which files git tracks: their modes in the image depend on it.
    pub fn tracked(self, tree: &WorkingTree) -> Self {
        let mut hasher = Hasher::new("hoopy look at a directory and what git tracks of it 1");
        hasher.field(self.seen.as_bytes());
        tree.digest_into(&mut hasher);
        Self { seen: RecipeId::from_bytes(hasher.finish()).to_string(), ..self }
    }

    /// The image that was built of the same, where it is still there as it was written and the newest. Its warnings are
    /// given again.
    pub fn recall(&self, target: &Target, spec: &Spec, context: Context<'_>) -> Option<Built> {
        let last: Remembered = context.store.recall(recipe(target, spec))?;
        if last.seen != self.seen || !last.image.is_untouched(spec, context.store) {
            return None;
        }
        last.warnings.iter().for_each(|text| context.observer.event(Event::Warning(text)));
        Some(last.image.into_built(Timings::default()))
    }

    /// Remembers what was built of what was seen. Not doing so costs the next build time, and nothing else.
    pub fn remember(self, target: &Target, spec: &Spec, built: &Built, warnings: Vec<String>, store: &Store) {
        let Some(image) = PreviousImage::of(spec, built, store).filter(|_| self.settled) else { return };
        let last = Remembered { seen: self.seen, image, warnings };
        let _ = store.remember(recipe(target, spec), &last);
    }
}

/// What was asked for, of which directory.
fn recipe(target: &Target, spec: &Spec) -> RecipeId {
    let (target, spec) = (target.fingerprint(), spec.fingerprint());
    let fields = [env!("CARGO_PKG_VERSION").as_bytes(), target.as_bytes(), spec.as_bytes()];
    RecipeId::of_fields("hoopy unchanged directory 1", &fields)
}

/// The clock that the kernel takes change times from (fs/inode.c, `current_time`): what is changed from now on has this
/// time or a later one. Since Linux 6.13 change times can be finer, and never earlier.
fn now() -> Option<Duration> {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    Some(Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?))
}

/// A look being taken. Every function gives `None` where looking is not enough.
struct Look {
    hasher: Hasher,
    files: usize,
    newest: Duration,
}

impl Look {
    /// A directory that a build reads by its path, and everything in it that a build or a script can see.
    fn top(&mut self, dir: &Path) -> Option<()> {
        let kind = rustix::fs::statfs(dir).ok()?.f_type as u64;
        // Without the sign that it has on some architectures.
        if !TRUSTED.contains(&(kind & 0xFFFF_FFFF)) {
            return None;
        }
        let device = fs::metadata(dir).ok()?.dev();
        for (name, meta) in listing(dir).ok()? {
            if UNREAD.iter().any(|unread| name == *unread) {
                continue;
            }
            let path = dir.join(&name);
            self.one(&path, name.as_bytes(), &meta, device, 0)?;
            // `packages`, `setup.sh` and `root` may be links, which are followed.
            if meta.is_symlink() {
                match fs::metadata(&path) {
                    Ok(target) if target.is_file() && target.dev() == device => self.file(&target),
                    Ok(_) => return None,
                    Err(_) => {}
                }
            }
        }
        self.hasher.field(b"end");
        Some(())
    }

    fn one(&mut self, path: &Path, name: &[u8], meta: &Metadata, device: u64, depth: usize) -> Option<()> {
        self.files += 1;
        // What is mounted below may be of a kind that is not trusted.
        if self.files > MAX_FILES || depth > MAX_DEPTH || meta.dev() != device {
            return None;
        }
        self.hasher.field(name).field(&meta.mode().to_le_bytes());
        if !meta.is_dir() {
            self.file(meta);
            return Some(());
        }
        for (name, meta) in listing(path).ok()? {
            self.one(&path.join(&name), name.as_bytes(), &meta, device, depth + 1)?;
        }
        self.hasher.field(b"end");
        Some(())
    }

    fn file(&mut self, meta: &Metadata) {
        let numbers = [meta.ino(), meta.size(), meta.ctime() as u64, meta.ctime_nsec() as u64];
        self.hasher.field(&numbers.map(u64::to_le_bytes).concat());
        let nanoseconds = u32::try_from(meta.ctime_nsec()).unwrap_or_default();
        // A time before 1970 is nobody's clock: as if it were to come, so that nothing is remembered.
        let seconds = u64::try_from(meta.ctime()).unwrap_or(u64::MAX >> 1);
        self.newest = self.newest.max(Duration::new(seconds, nanoseconds));
    }
}

fn listing(dir: &Path) -> io::Result<Vec<(std::ffi::OsString, Metadata)>> {
    let entry = |e: io::Result<fs::DirEntry>| e.and_then(|e| Ok((e.file_name(), e.metadata()?)));
    let mut entries = fs::read_dir(dir)?.map(entry).collect::<io::Result<Vec<_>>>()?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}
