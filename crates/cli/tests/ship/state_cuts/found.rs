//! What is on a disk after a cut, as one sees it who mounts it elsewhere, and what the machine's next boot makes of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_backup::check;
use hoopy_boot::state::{HOME, KEPT, NEW, READY, RESTORE, RESTORING};
use hoopy_secrets::Identities;
use hoopy_secrets::stream::decrypting;
use hoopyd::state::Keep;

use super::{DIRECTORIES, FILES};
use crate::machine::{Machine, succeeds};

/// The files of a directory; what a link leads to is in its place.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

pub fn files(dir: &Path) -> Files {
    let (mut found, mut dirs) = (Files::new(), vec![dir.to_owned()]);
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            let kind = entry.symlink_metadata().unwrap().file_type();
            let content = match () {
                () if kind.is_dir() => {
                    dirs.push(entry);
                    continue;
                }
                () if kind.is_symlink() => {
                    fs::read_link(&entry).unwrap().into_os_string().into_encoded_bytes()
                }
                () => fs::read(&entry).unwrap(),
            };
            found.insert(entry.strip_prefix(dir).unwrap().to_owned(), content);
        }
    }
    found
}

/// What the machine's filesystem may hold.
pub struct Known {
    /// Those of the image, which are the state from the first boot on.
    pub image: Files,
    /// Those that the backup has which is restored.
    pub saved: Files,
    pub owner: Identities,
}

/// The filesystem of the state, as it is while the record is written to it again.
pub struct Partition {
    /// All that was flushed.
    pub flushed: File,
    pub path: PathBuf,
    pub start: u64,
    pub end: u64,
}

impl Partition {
    /// That of a machine's disk.
    pub fn of(machine: &Machine, name: &str) -> Self {
        let said = succeeds(machine.command("disk", &["-o", "other.img", "--json"]), "");
        fs::remove_file(machine.home.path("other.img")).unwrap();
        let disk: serde_json::Value = serde_json::from_str(&said).unwrap();
        let number =
            |key: &str| disk["partitions"][1][key].as_u64().unwrap_or_else(|| panic!("{key}: {said}"));
        let (start, size) = (number("start"), number("size"));
        let path = machine.home.path(name);
        let mut partition = Self { flushed: File::create(&path).unwrap(), path, start, end: start + size };
        partition.copy(machine.disk());
        partition
    }

    /// Takes what the disk has now, holes left out.
    pub fn copy(&mut self, disk: &Path) {
        let said = Command::new("dd")
            .args(["bs=1M", "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"])
            .arg(format!("if={}", disk.display()))
            .arg(format!("of={}", self.path.display()))
            .args([format!("skip={}", self.start), format!("count={}", self.end - self.start)])
            .status();
        assert!(said.unwrap().success());
        self.flushed = File::options().read(true).write(true).open(&self.path).unwrap();
        self.flushed.set_len(self.end - self.start).unwrap();
    }

    /// What of a write goes here: its place in the partition.
    pub fn takes(&self, offset: u64) -> Option<u64> {
        (self.start..self.end).contains(&offset).then(|| offset - self.start)
    }
}

/// What an owner finds on the filesystem after a cut: what is mounted at `/persist`.
pub struct Found {
    dir: tempfile::TempDir,
}

impl Found {
    /// Mends `cut` as a mount does, and takes out what hoopy keeps there.
    pub fn of(cut: &Path) -> Self {
        let fsck = Command::new("/usr/sbin/e2fsck").args(["-fy"]).arg(cut).output().unwrap();
        let said = String::from_utf8_lossy(&fsck.stdout);
        assert!(matches!(fsck.status.code(), Some(0 | 1)), "{said}");
        let dir = tempfile::tempdir().unwrap();
        for name in ["hoopy", "backups"] {
            let request = format!("rdump /{name} {}", dir.path().display());
            let dump = Command::new("/usr/sbin/debugfs").args(["-R", &request]).arg(cut).output().unwrap();
            assert!(dump.status.success(), "{request}");
        }
        Self { dir }
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join(HOME).join(name)
    }

    /// The state below `name`, if it is there: each directory whole, as `expected` one of them.
    pub fn state(&self, name: &str, whole: &[&Files], at: &str) -> Option<Vec<(String, usize)>> {
        let entries = fs::read_dir(self.home(name)).ok()?;
        let one = |path: PathBuf| {
            let stored = path.file_name().unwrap().to_str().unwrap().to_owned();
            let expected: Vec<Files> = match stored.as_str() {
                "var-lib-app" => whole.iter().map(|files| (*files).clone()).collect(),
                "var-lib-more" => vec![Files::new(); whole.len()],
                other => panic!("{at}: {name} has {other}"),
            };
            let found = files(&path);
            let which = expected.iter().position(|files| *files == found);
            let which = which.unwrap_or_else(|| {
                panic!("{at}: {name}/{stored} is not whole: {} files of {}", found.len(), expected[0].len())
            });
            (stored, which)
        };
        Some(entries.map(|entry| one(entry.unwrap().path())).collect())
    }

    /// The state after the agent's next boot, in which only the mounts are left out: all directories, each whole, of one
    /// kind, and nothing beside them. Which of `whole` it is.
    pub fn after_the_next_boot(&self, image: &Path, whole: &[&Files], at: &str) -> usize {
        let keep = Keep::open(self.dir.path()).unwrap();
        keep.finish_restore().unwrap_or_else(|error| panic!("{at}: {error}"));
        for path in DIRECTORIES {
            keep.directory(path, &image.join(path)).unwrap_or_else(|error| panic!("{at}: {path}: {error}"));
        }
        for left in [NEW, READY, RESTORE, RESTORING] {
            assert!(!self.home(left).exists(), "{at}: {left} is left");
        }
        let state = self.state(KEPT, whole, at).unwrap();
        assert_eq!(state.len(), DIRECTORIES.len(), "{at}: {state:?}");
        state.iter().find(|(name, _)| name == "var-lib-app").unwrap().1
    }

    /// How many whole backups there are. There is nothing else.
    pub fn backups(&self, known: &Known, at: &str) -> usize {
        let Ok(entries) = fs::read_dir(self.dir.path().join("backups")) else { return 0 };
        let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        for path in &paths {
            let file = BufReader::new(File::open(path).unwrap());
            let whole = decrypting(file, &known.owner).map(check);
            let contents = whole.unwrap_or_else(|error| panic!("{at}: {path:?}: {error}"));
            let contents = contents.unwrap_or_else(|error| panic!("{at}: {path:?}: {error}"));
            assert!(contents.entries > FILES as u64, "{at}: {path:?} has {} entries", contents.entries);
        }
        paths.len()
    }
}
