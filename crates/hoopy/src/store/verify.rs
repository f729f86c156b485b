//! Looking through the whole store for what is not as its digest says.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::{Store, StoreError, at};
use crate::digest::{ContentId, LayerId, of_reader};
use crate::layer::{Entry, Kind};

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many files were looked at.
    pub checked: usize,
    /// Those that were damaged, and are gone: a build makes or fetches them again.
    pub removed: Vec<PathBuf>,
}

impl Store {
    /// Digests every download and every layer's contents, and removes what is damaged. Segments and answers of
    /// recipes check themselves when they are used. Safe beside a running build, which finds a file that it
    /// needs or makes it again.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        self.verify_dir("blob", &mut verified, |name, file| {
            Ok(name.parse::<ContentId>().is_ok_and(|id| of_reader(file).is_ok_and(|(found, _)| found == id)))
        })?;
        self.verify_dir("data", &mut verified, |name, file| {
            let entries = name.parse::<LayerId>().ok().and_then(|id| self.layer(id));
            entries.map_or(Ok(false), |entries| holds(file, &entries))
        })?;
        Ok(verified)
    }

    fn verify_dir(
        &self,
        dir: &str,
        verified: &mut Verified,
        is_whole: impl Fn(&str, &mut File) -> io::Result<bool>,
    ) -> Result<(), StoreError> {
        let dir = self.root.join(dir);
        for entry in fs::read_dir(&dir).map_err(at(&dir))? {
            let path = entry.map_err(at(&dir))?.path();
            verified.checked += 1;
            if !self.is_whole(&path, &is_whole)? {
                self.drop_damaged(&path);
                verified.removed.push(path);
            }
        }
        Ok(())
    }

    fn is_whole(
        &self,
        path: &Path,
        check: &impl Fn(&str, &mut File) -> io::Result<bool>,
    ) -> Result<bool, StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match File::open(path) {
            // Another process removed it meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(at(path)(e)),
            Ok(mut file) => check(&name, &mut file).map_err(at(path)),
        }
    }
}

/// Whether `file` has the contents of `entries` end to end, and nothing more.
fn holds(file: &mut File, entries: &[Entry]) -> io::Result<bool> {
    let mut file = BufReader::with_capacity(128 << 10, file);
    for entry in entries {
        if let Kind::File { size, content } = entry.kind
            && of_reader(&mut (&mut file).take(size))? != (content, size)
        {
            return Ok(false);
        }
    }
    Ok(file.read(&mut [0])? == 0)
}
