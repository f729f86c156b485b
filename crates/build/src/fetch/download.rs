//! One package file: downloaded, resumed, verified, kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use hoopy_apk::Checksum;
use hoopy_base::digest::{ContentId, Hasher, of_reader};
use hoopy_base::report::{Event, Observer};
use hoopy_store::Store;

use super::{Client, FetchError};

/// A package file that is wanted.
#[derive(Debug, Clone)]
pub struct Download {
    /// Its address or path.
    pub location: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it must be.
    pub proof: Proof,
}

/// What makes a package file the right one.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The digest of the whole file: what a lock has.
    Sha256(ContentId),
    /// The checksum of its control member, which has the digest of its data: what a signed index has.
    Index(Checksum),
}

/// Bytes of all downloads of a build together.
pub struct Progress<'a> {
    done: AtomicU64,
    total: u64,
    observer: &'a dyn Observer,
}

impl<'a> Progress<'a> {
    /// Of `total` bytes to come.
    pub fn new(total: u64, observer: &'a dyn Observer) -> Self {
        Self { done: AtomicU64::new(0), total, observer }
    }

    fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.observer.event(Event::Bytes(done, self.total));
    }
}

/// Brings one package file into the store; gives its digest.
///
/// # Errors
/// [`FetchError`]; what came of the file is kept for the next try where it may still be good.
pub fn package(
    download: &Download,
    store: &Store,
    client: &Client,
    progress: &Progress<'_>,
) -> Result<ContentId, FetchError> {
    if let Proof::Sha256(id) = download.proof
        && store.has_blob(id, download.size)
    {
        progress.add(download.size);
        return Ok(id);
    }
    let file = download.location.rsplit('/').next().unwrap_or_default();
    let _span = tracing::debug_span!("fetch", what = file).entered();
    let mut part = Part::open(download, store)?;
    client.retry(|| part.grow(download, client, progress))?;
    part.prove(download).and_then(|id| part.keep(store, id)).inspect_err(|_| part.discard())
}

/// A file that is growing in `partial/`, locked against other builds.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn open(download: &Download, store: &Store) -> Result<Self, FetchError> {
        let path = store.partial_path(&Self::key(download));
        let io = |source| FetchError::Io { path: path.clone(), source };
        loop {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true).mode(store.file_mode());
            let file = match options.open(&path) {
                // Another user's, in a store that users share: begun anew.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied && fs::remove_file(&path).is_ok() => {
                    continue;
                }
                opened => opened.map_err(io)?,
            };
            file.lock().map_err(io)?;
            // Another build may have finished and renamed the file while this one waited for the lock.
            if fs::metadata(&path).is_ok_and(|there| same_file(&there, &file)) {
                return Ok(Self { path, file });
            }
        }
    }

    /// What is wanted, not where from: an interrupted download goes on from another mirror.
    fn key(download: &Download) -> String {
        let mut hasher = Hasher::new("hoopy partial download");
        match &download.proof {
            Proof::Sha256(id) => hasher.field(id.as_bytes()),
            Proof::Index(checksum) => hasher.field(checksum.to_string().as_bytes()),
        };
        ContentId::from_bytes(hasher.finish()).to_string()
    }

    fn grow(
        &mut self,
        download: &Download,
        client: &Client,
        progress: &Progress<'_>,
    ) -> Result<(), FetchError> {
        let io = |source| FetchError::Io { path: self.path.clone(), source };
        let have = self.file.metadata().map_err(io)?.len();
        if have == download.size {
            return Ok(());
        }
        let opened = client.open(&download.location, if have < download.size { have } else { 0 })?;
        self.file.set_len(opened.offset).map_err(io)?;
        let mut body = opened.body.take(download.size + 1 - opened.offset);
        let mut found = opened.offset;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = body.read(&mut buffer).map_err(|e| FetchError::broken(&download.location, &e))?;
            if n == 0 {
                break;
            }
            self.file.write_all(&buffer[..n]).map_err(io)?;
            found += n as u64;
            progress.add(n as u64);
        }
        if found != download.size {
            self.discard();
            return Err(FetchError::WrongSize {
                place: download.location.clone(),
                expected: download.size,
                found,
            });
        }
        Ok(())
    }

    /// The digest of the file, when it is what is wanted.
    fn prove(&mut self, download: &Download) -> Result<ContentId, FetchError> {
        let io = |source| FetchError::Io { path: self.path.clone(), source };
        self.file.rewind().map_err(io)?;
        let found = of_reader(&mut &self.file).map_err(io)?.0;
        match &download.proof {
            Proof::Sha256(expected) if *expected == found => Ok(found),
            Proof::Sha256(expected) => Err(hoopy_store::StoreError::WrongDigest {
                what: download.location.clone(),
                expected: *expected,
                found,
            })?,
            Proof::Index(checksum) => {
                self.file.rewind().map_err(io)?;
                let bad = |source| FetchError::Package { place: download.location.clone(), source };
                let reader = BufReader::with_capacity(128 << 10, &self.file);
                hoopy_apk::package::verify(reader, checksum).map_err(bad)?;
                Ok(found)
            }
        }
    }

    fn keep(&self, store: &Store, id: ContentId) -> Result<ContentId, FetchError> {
        store.adopt_blob(&self.path, &self.file, id)?;
        Ok(id)
    }

    fn discard(&self) {
        // Best effort: what is left is proved before it is used, and thrown away then.
        let _ = self.file.set_len(0);
        let _ = fs::remove_file(&self.path);
    }
}

fn same_file(there: &fs::Metadata, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|mine| (mine.dev(), mine.ino()) == (there.dev(), there.ino()))
}
