//! Comparing everything in the store with its digest.
//!
//! Downloads, layers, their contents, answers of recipes and segments are read whole. What is not looked at: a
//! download that is not done (it is proved when it is), and unpacked layers, which last for one boot.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hoopy_base::digest::{ContentId, LayerId, RecipeId, SegmentKey, of_reader};
use hoopy_base::jobs::Jobs;
use serde::{Deserialize, Serialize};

use super::{Part, Store, StoreError, at, lock};
use crate::layer::{Entry, Kind};

/// What was found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many files were looked at.
    pub checked: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Those that were damaged, and are gone: a build makes or fetches them again.
    #[serde(serialize_with = "hoopy_base::report::shown_paths")]
    pub removed: Vec<PathBuf>,
}

/// Digests all of the store at `root`, and removes what is damaged: with the store held alone, so that no build
/// loses what it is about to use. `waiting` is called where a running build must be waited for.
///
/// # Errors
/// [`StoreError`] when the store cannot be read, or what is damaged cannot be removed.
pub fn verify(root: &Path, waiting: &dyn Fn()) -> Result<Verified, StoreError> {
    let store = Store::open(root)?;
    let mut verified = store.damaged(&Part::ALL)?;
    if verified.removed.is_empty() {
        return Ok(verified);
    }
    // Its own hold on the store is given up, and what was found is looked at again once it is alone.
    drop(store.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
    let _alone = lock::alone(root, waiting)?;
    let mut removed = Vec::new();
    for path in std::mem::take(&mut verified.removed) {
        if !store.is_whole(&path)? {
            fs::remove_file(&path).map_err(at(&path))?;
            removed.push(path);
        }
    }
    Ok(Verified { removed, ..verified })
}

impl Store {
    /// Digests every download and every layer's contents, and removes what is damaged: for a build that found
    /// damage. Segments and answers of recipes check themselves when they are used.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let verified = self.damaged(&[Part::Blob, Part::Data])?;
        verified.removed.iter().for_each(|path| self.drop_damaged(path));
        Ok(verified)
    }

    /// What is damaged of `parts`; nothing is removed yet.
    fn damaged(&self, parts: &[Part]) -> Result<Verified, StoreError> {
        let mut files = Vec::new();
        for part in parts {
            let dir = self.root.join(part.dir());
            for entry in fs::read_dir(&dir).map_err(at(&dir))? {
                files.push(entry.map_err(at(&dir))?.path());
            }
        }
        files.sort();
        let bytes = AtomicU64::new(0);
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
        let whole = Jobs::default().map_largest_first(&files, size, |path| {
            bytes.fetch_add(size(path), Ordering::Relaxed);
            self.is_whole(path)
        })?;
        let checked = files.len();
        let removed = files.into_iter().zip(whole).filter(|(_, whole)| !whole).map(|(path, _)| path);
        Ok(Verified { checked, bytes: bytes.into_inner(), removed: removed.collect() })
    }

    /// Whether the file at `path` is what its name says; one that is gone meanwhile is.
    fn is_whole(&self, path: &Path) -> Result<bool, StoreError> {
        let name = |at: Option<&std::ffi::OsStr>| at.unwrap_or_default().to_string_lossy().into_owned();
        let (dir, id) = (name(path.parent().and_then(Path::file_name)), name(path.file_name()));
        let (Some(part), Ok(id)) = (Part::ALL.into_iter().find(|p| p.dir() == dir), id.parse::<ContentId>())
        else {
            return Ok(false);
        };
        match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(at(path)(e)),
            Ok(mut file) => self.holds_what_it_says(part, id, &mut file).map_err(at(path)),
        }
    }

    fn holds_what_it_says(&self, part: Part, id: ContentId, file: &mut File) -> io::Result<bool> {
        match part {
            Part::Blob => Ok(of_reader(file)?.0 == id),
            Part::Layer => Ok(self.read_layer(LayerId::from_bytes(*id.as_bytes())).is_some()),
            Part::Data => match self.read_layer(LayerId::from_bytes(*id.as_bytes())) {
                Some(entries) => holds(file, &entries),
                None => Ok(false),
            },
            Part::Recipe => Ok(self.read_recipe(RecipeId::from_bytes(*id.as_bytes())).is_some()),
            Part::Segment => {
                let answer = self.read_recipe(segment_recipe(SegmentKey::from_bytes(*id.as_bytes())));
                let known = answer.and_then(|answer| serde_json::from_slice::<Digested>(&answer).ok());
                // One that nothing is said of is used by nobody, and may be a running build's newest.
                known.map_or(Ok(true), |known| Ok(of_reader(file)?.0 == known.content))
            }
        }
    }
}

/// Where what is known of a segment is remembered.
pub fn segment_recipe(key: SegmentKey) -> RecipeId {
    RecipeId::of_fields("hoopy segment in the store 1", &[key.as_bytes()])
}

/// Of what is remembered of a segment, its digest.
#[derive(Deserialize)]
struct Digested {
    content: ContentId,
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
