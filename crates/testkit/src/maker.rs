//! One package, made file by file: the directories above a file come by themselves, and every time is the same.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use hoopy_apk::package::write::{DataWriter, NewPackage, write};
use hoopy_apk::package::{PackageInfo, ScriptKind};
use hoopy_apk::signature::SigningKey;
use hoopy_apk::tar::{Entry, Kind};
use hoopy_apk::{Record, Version};

/// Seconds since 1970 at which every file of these packages was made.
const TIME: u64 = 1_760_000_000;

/// What a package says of itself before it says more.
///
/// # Panics
/// When its version is none.
pub fn record(name: &str, version: &str, arch: &str) -> Record {
    let mut record = Record::empty();
    record.name = name.into();
    record.version = Version::new(version);
    record.arch = arch.into();
    record.origin = name.into();
    record.license = "custom".into();
    record.description = "made for a test".into();
    record.build_time = TIME;
    record
}

/// A package being made.
pub struct Maker {
    /// What it says of itself.
    pub record: Record,
    /// Its scripts.
    pub scripts: Vec<(ScriptKind, Vec<u8>)>,
    data: DataWriter,
    dirs: BTreeSet<String>,
}

impl Maker {
    /// One without files.
    ///
    /// # Panics
    /// When no temporary file can be made; so do the others when they cannot write.
    pub fn new(record: Record) -> Self {
        let data = DataWriter::new().expect("a temporary file");
        Self { record, scripts: Vec::new(), data, dirs: BTreeSet::new() }
    }

    /// Adds what is at `path`, and the directories above it. A directory is added once.
    ///
    /// # Panics
    /// As [`Maker::new`].
    pub fn add(&mut self, path: &str, kind: Kind, mode: u32, content: &[u8]) {
        for (cut, _) in path.match_indices('/') {
            self.dir(&path[..cut]);
        }
        if kind == Kind::Dir { self.dir(path) } else { self.entry(path, kind, mode, content) }
    }

    fn dir(&mut self, path: &str) {
        if self.dirs.insert(path.to_owned()) {
            self.entry(path, Kind::Dir, 0o755, &[]);
        }
    }

    fn entry(&mut self, path: &str, kind: Kind, mode: u32, content: &[u8]) {
        let entry = Entry { kind, mode, mtime: TIME, ..Entry::file(path.as_bytes(), 0) };
        self.data.add(entry, content).expect("write a package");
    }

    /// Writes the package into `dir`, signed; gives its record.
    ///
    /// # Panics
    /// As [`Maker::new`].
    pub fn write(self, dir: &Path, key: &SigningKey) -> Record {
        let path = dir.join(format!("{}-{}.apk", self.record.name, self.record.version));
        let info = PackageInfo { record: self.record, triggers: Vec::new(), datahash: None };
        let draft = NewPackage { info, scripts: self.scripts, mtime: TIME };
        write(&draft, self.data, Some(key), &mut File::create(path).expect("a package"))
            .expect("write a package")
    }
}
