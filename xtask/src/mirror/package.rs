//! A package being put together out of files that come from elsewhere.

use std::fs;
use std::path::Path;

use hoopy_apk::package::write::{DataWriter, NewPackage};
use hoopy_apk::package::{PackageInfo, ScriptKind};
use hoopy_apk::signature::SigningKey;
use hoopy_apk::tar::{self, Kind};
use hoopy_apk::{Record, Version};

use super::Target;
use super::repack::finish;

/// A package being put together, under a name that Alpine uses.
pub struct Package {
    record: Record,
    files: Vec<(tar::Entry, Vec<u8>)>,
    scripts: Vec<(ScriptKind, Vec<u8>)>,
}

impl Package {
    pub fn new(name: &str, version: &str, target: &Target) -> Self {
        let mut record = Record::empty();
        record.name = name.into();
        record.version = Version::new(version);
        record.arch = target.arch.into();
        record.origin = name.into();
        record.license = "custom".into();
        record.description =
            format!("{name}: a stand-in made by hoopy for tests, not Alpine's package").into();
        record.build_time = 1_760_000_000;
        Self { record, files: Vec::new(), scripts: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.record.name
    }

    pub fn script(&mut self, kind: ScriptKind, text: &str) {
        self.scripts.push((kind, text.as_bytes().to_vec()));
    }

    pub fn depends(&mut self, name: &str) {
        self.record.depends.extend(name.parse().ok());
    }

    pub fn file(mut self, dir: &str, name: &str, from: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        if let Ok(target) = fs::read_link(from) {
            self.link(dir, name, &target.to_string_lossy());
            return Ok(self);
        }
        let mode = fs::metadata(from)?.permissions().mode() & 0o7777;
        self.bytes(dir, name, mode, fs::read(from)?);
        Ok(self)
    }

    pub fn text(&mut self, dir: &str, name: &str, mode: u32, text: &str) {
        self.bytes(dir, name, mode, text.as_bytes().to_vec());
    }

    pub fn link(&mut self, dir: &str, name: &str, target: &str) {
        let path = join(dir, name);
        let entry = tar::Entry {
            kind: Kind::Symlink(target.as_bytes().to_vec()),
            mode: 0o777,
            ..tar::Entry::file(path.as_bytes(), 0)
        };
        self.files.push((entry, Vec::new()));
    }

    pub fn bytes(&mut self, dir: &str, name: &str, mode: u32, bytes: Vec<u8>) {
        let path = join(dir, name);
        self.files
            .push((tar::Entry { mode, ..tar::Entry::file(path.as_bytes(), bytes.len() as u64) }, bytes));
    }

    pub fn write(mut self, dir: &Path, key: &SigningKey) -> anyhow::Result<Record> {
        self.files.sort_by(|a, b| a.0.path.cmp(&b.0.path));
        let mut data = DataWriter::new()?;
        let mut dirs = std::collections::BTreeSet::new();
        for (entry, content) in &self.files {
            let cuts = entry.path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i);
            for parent in cuts.map(|cut| entry.path[..cut].to_vec()) {
                if dirs.insert(parent.clone()) {
                    data.add(
                        tar::Entry { kind: Kind::Dir, mode: 0o755, ..tar::Entry::file(&parent, 0) },
                        &[],
                    )?;
                }
            }
            data.add(tar::Entry { mtime: self.record.build_time, ..entry.clone() }, content)?;
        }
        let mtime = self.record.build_time;
        let info = PackageInfo { record: self.record, triggers: Vec::new(), datahash: None };
        finish(&NewPackage { info, scripts: self.scripts, mtime }, data, key, dir)
    }
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}
