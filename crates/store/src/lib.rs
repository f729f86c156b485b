//! The store: everything that a build need not make again, keyed by digest.
//!
//! ```text
//! STORE/
//!   CACHEDIR.TAG
//!   blob/SHA256           downloads: packages and indexes
//!   partial/KEY           downloads that are not done yet
//!   layer/ID              the entries of a layer; ID is their digest
//!   data/ID               contents of its regular files, end to end in entry order
//!   recipe/ID             what came of a recipe: a digest, and JSON
//!   segment/KEY           a compressed archive; its digest is remembered as a recipe
//!   lower/                unpacked layers, for scripts (see `sandbox`)
//!   used/                 what builds used, for `gc` (see `used`)
//!   tmp/                  files being written; swept when no build holds the lock
//!   gate, lock            who is in (see `lock`)
//! ```
//!
//! Every file is written under `tmp/` and renamed, so a kill at any instant leaves no half of one under its own
//! name. Downloads are synced. All else can be made again, and syncing it would cost more than making it; a power
//! cut may tear it, so each is checked against its digest when it is read, or by its seal when it was digested since
//! this boot, and what is damaged counts as missing.
//! Builds share the store; whoever removes what they may use has it alone.
//!
//! A store is its owner's alone (see `access`). Users share one where its directory is writable for their group
//! (`install -d -m 2770 -g builders DIR`): what is made in it is then, too. Who may write to a store can put anything into
//! the images that are built with it, and who may read it can read what is in them.

mod access;
pub mod gc;
pub mod layer;
mod lock;
mod recipe;
mod seal;
mod spread;
pub mod tree;
mod used;
mod verify;

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use hoopy_base::atomic::{Pending, sync_dir};
use hoopy_base::digest::{ContentId, LayerId, RecipeId, SegmentKey, of_reader};
use tempfile::{SpooledTempFile, TempDir};

use crate::access::Access;
use crate::layer::Entry;
use crate::layer::entry::layer_id;

pub use seal::Seal;
pub use spread::spread;
pub use verify::{Verified, segment_recipe, verify};

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system said no.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing can be written there.
    #[error("the store {} cannot be written to: {source}", .root.display())]
    ReadOnly {
        /// The store.
        root: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was to be kept is not what its digest says.
    #[error("{what}: expected SHA-256 {expected}, found {found}")]
    WrongDigest {
        /// What was to be kept.
        what: String,
        /// The digest asked for.
        expected: ContentId,
        /// The digest of what came.
        found: ContentId,
    },
}

/// Puts the path that failed beside an I/O error.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    move |source| StoreError::Io { path: path.to_owned(), source }
}

/// Layers have at most this many entries: a million files is over ten times the largest package of Alpine.
const MAX_ENTRIES: usize = 1 << 20;

/// How many bytes of scratch are held in memory: most layers that hoopy makes itself are smaller.
const MAX_IN_MEMORY: usize = 256 << 10;

/// The parts of the store: directories of files that are called by a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Blob,
    Layer,
    Data,
    Recipe,
    Segment,
}

impl Part {
    const ALL: [Self; 5] = [Self::Blob, Self::Layer, Self::Data, Self::Recipe, Self::Segment];

    const fn dir(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Layer => "layer",
            Self::Data => "data",
            Self::Recipe => "recipe",
            Self::Segment => "segment",
        }
    }
}

/// An open store. Cheap to share between threads.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    access: Access,
    /// The name that the kernel gave to this boot; empty where it has none to give.
    boot: String,
    /// Whether something damaged was found and removed.
    damage: AtomicBool,
    /// What was used of it.
    used: used::Used,
    /// Held shared for as long as the store is open, so that nobody removes what is used.
    lock: Mutex<Option<File>>,
}

impl Store {
    /// Opens the store in `root`, making it where it is not there yet, and sweeps what killed builds left. One that
    /// cannot be written to is opened, too: it serves those who find all in it.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be made or locked.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let access = make(root)?;
        let lock = lock::shared(root, access)?;
        Ok(Self {
            root: root.to_owned(),
            access,
            boot: seal::this_boot(),
            damage: AtomicBool::new(false),
            used: used::Used::default(),
            lock: Mutex::new(lock),
        })
    }

    /// Removes a file whose bytes are not what its digest says; what needs it is made again then.
    pub fn drop_damaged(&self, path: &Path) {
        // Gone already is as good as removed.
        let _ = fs::remove_file(path);
        self.damage.store(true, Ordering::Relaxed);
    }

    /// Whether something damaged was removed since this was asked last.
    pub fn take_damage(&self) -> bool {
        self.damage.swap(false, Ordering::Relaxed)
    }

    /// Where unpacked layers live.
    pub fn lowers(&self) -> PathBuf {
        self.root.join("lower")
    }

    /// A new temporary file beside the entries, to be kept or dropped.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be made.
    pub fn pending(&self) -> Result<Pending, StoreError> {
        let tmp = self.root.join("tmp");
        Pending::new_in(&tmp).map_err(self.refused(&tmp))
    }

    /// Room for bytes that are not kept: in memory while they are few, then in an unnamed file on the store's
    /// filesystem, which is gone when closed, however hoopy ends.
    pub fn scratch(&self) -> SpooledTempFile {
        tempfile::spooled_tempfile_in(MAX_IN_MEMORY, self.root.join("tmp"))
    }

    /// A directory for work that is not kept, gone when dropped; where hoopy is killed, whoever comes next sweeps it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be made.
    pub fn workspace(&self) -> Result<TempDir, StoreError> {
        let tmp = self.root.join("tmp");
        tempfile::Builder::new().prefix("work-").tempdir_in(&tmp).map_err(self.refused(&tmp))
    }

    /// What a failure to write at `path` means.
    fn refused(&self, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let (root, at) = (self.root.clone(), at(path));
        |source| if access::is_refusal(&source) { StoreError::ReadOnly { root, source } } else { at(source) }
    }

    /// Where the blob `id` is or would be.
    pub fn blob_path(&self, id: ContentId) -> PathBuf {
        self.path(Part::Blob, id.as_bytes())
    }

    /// The mode of files in it.
    pub fn file_mode(&self) -> u32 {
        self.access.file_mode()
    }

    /// Where a download that is known as `key` grows.
    pub fn partial_path(&self, key: &str) -> PathBuf {
        self.root.join("partial").join(key)
    }

    /// Whether the blob `id` is there whole, by its size; its digest is checked when it is read for building.
    pub fn has_blob(&self, id: ContentId, size: u64) -> bool {
        fs::metadata(self.blob_path(id)).is_ok_and(|m| m.is_file() && m.len() == size)
    }

    /// The blob `id` to be read from its beginning, where it is there and has that digest; one that has not is
    /// removed. It is digested where no seal vouches for it, and has one from then on.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn open_blob(&self, id: ContentId) -> Result<Option<File>, StoreError> {
        let path = self.blob_path(id);
        let mut file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(at(&path))?,
        };
        if self.recall::<Seal>(blob_seal(id)).is_some_and(|seal| self.is_sealed(&file, &seal)) {
            return Ok(Some(file));
        }
        // Before it is digested: what is written to it meanwhile breaks the seal.
        let seal = self.seal(&file).map_err(at(&path))?;
        if of_reader(&mut file).map_err(at(&path))?.0 != id {
            self.drop_damaged(&path);
            return Ok(None);
        }
        // Without its seal it is digested again, that is all.
        let _ = self.remember(blob_seal(id), &seal);
        file.rewind().map_err(at(&path))?;
        Ok(Some(file))
    }

    /// The blob `id`, where it is there and has that digest; one that has not is removed.
    pub fn read_blob(&self, id: ContentId) -> Option<Vec<u8>> {
        let path = self.blob_path(id);
        let bytes = fs::read(&path).ok()?;
        if ContentId::of(&bytes) == id {
            return Some(bytes);
        }
        self.drop_damaged(&path);
        None
    }

    /// Makes the file at `path`, which was just found to have the digest `id`, a blob: durable, and sealed.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be synced or renamed.
    pub fn adopt_blob(&self, path: &Path, file: &File, id: ContentId) -> Result<(), StoreError> {
        let blob = self.blob_path(id);
        file.sync_all().map_err(at(path))?;
        fs::rename(path, &blob).map_err(at(path))?;
        sync_dir(&blob).map_err(at(&blob))?;
        // After the rename, which counts as a change.
        let seal = self.seal(file).map_err(at(&blob))?;
        self.remember(blob_seal(id), &seal)
    }

    /// Keeps `bytes` as a blob.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be written.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<ContentId, StoreError> {
        let id = ContentId::of(bytes);
        self.put(&self.blob_path(id), bytes)?;
        Ok(id)
    }

    /// Keeps `pending`, which was just found to have the digest `id`, as a blob.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be renamed.
    pub fn keep_blob(&self, pending: Pending, id: ContentId) -> Result<(), StoreError> {
        self.name(pending, &self.blob_path(id))
    }

    /// Keeps the entries of a layer.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be written.
    pub fn put_layer(&self, entries: &[Entry]) -> Result<LayerId, StoreError> {
        let id = layer_id(entries);
        let path = self.path(Part::Layer, id.as_bytes());
        if !path.exists() {
            let mut bytes = Vec::new();
            entries.iter().for_each(|e| e.encode(&mut bytes));
            self.put(&path, &bytes)?;
        }
        Ok(id)
    }

    /// The entries of the layer `id`, or `None` where they are not there or not those of that id.
    pub fn layer(&self, id: LayerId) -> Option<Vec<Entry>> {
        self.used.mark(Part::Layer, id.as_bytes());
        self.read_layer(id)
    }

    fn read_layer(&self, id: LayerId) -> Option<Vec<Entry>> {
        let bytes = fs::read(self.file(Part::Layer, id.as_bytes())).ok()?;
        let mut rest = bytes.as_slice();
        let mut entries = Vec::new();
        while !rest.is_empty() && entries.len() < MAX_ENTRIES {
            entries.push(Entry::read(&mut rest).ok()?);
        }
        (layer_id(&entries) == id).then_some(entries)
    }

    /// Where the contents of the layer `id` are.
    pub fn data_path(&self, id: LayerId) -> PathBuf {
        self.path(Part::Data, id.as_bytes())
    }

    /// Whether they are there, by their size; digests are checked when they are read.
    pub fn has_data(&self, id: LayerId, size: u64) -> bool {
        fs::metadata(self.data_path(id)).is_ok_and(|m| m.is_file() && m.len() == size)
    }

    /// Keeps `pending` as the contents of the layer `id`; gives its seal.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be renamed.
    pub fn keep_data(&self, pending: Pending, id: LayerId) -> Result<Seal, StoreError> {
        let path = self.data_path(id);
        self.name(pending, &path)?;
        File::open(&path).and_then(|file| self.seal(&file)).map_err(at(&path))
    }

    /// Keeps the contents of a layer: all that `contents` gives.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read or written.
    pub fn put_data(&self, id: LayerId, contents: &mut dyn Read) -> Result<(), StoreError> {
        let path = self.data_path(id);
        let mut pending = self.pending()?;
        io::copy(contents, pending.file()).map_err(at(&path))?;
        self.name(pending, &path)
    }

    /// Where the segment `key` is or would be.
    pub fn segment_path(&self, key: SegmentKey) -> PathBuf {
        self.path(Part::Segment, key.as_bytes())
    }

    /// Keeps `pending` as the segment `key`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be renamed.
    pub fn keep_segment(&self, pending: Pending, key: SegmentKey) -> Result<(), StoreError> {
        self.name(pending, &self.segment_path(key))
    }

    /// Where a file of the store is, which is about to be used.
    fn path(&self, part: Part, id: &[u8; 32]) -> PathBuf {
        self.used.mark(part, id);
        self.file(part, id)
    }

    fn file(&self, part: Part, id: &[u8; 32]) -> PathBuf {
        self.root.join(part.dir()).join(ContentId::from_bytes(*id).to_string())
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut pending = self.pending()?;
        pending.file().write_all(bytes).map_err(at(path))?;
        self.name(pending, path)
    }

    fn name(&self, pending: Pending, path: &Path) -> Result<(), StoreError> {
        pending.name(path, self.access.readers()).map_err(at(path))
    }
}

/// Where the seal of a blob is remembered.
fn blob_seal(id: ContentId) -> RecipeId {
    RecipeId::of_fields("hoopy blob in the store 1", &[id.as_bytes()])
}

/// The directories of a store.
const DIRS: [&str; 9] = ["blob", "partial", "layer", "data", "recipe", "segment", "lower", "used", "tmp"];

/// Makes what is missing of a store; says who may use what is made in it.
fn make(root: &Path) -> Result<Access, StoreError> {
    if !root.is_dir() {
        make_new(root).map_err(at(root))?;
    }
    if !root.join("blob").is_dir() {
        spread(root);
    }
    access::close(root, &DIRS).map_err(at(root))?;
    let access = Access::of(&fs::metadata(root).map_err(at(root))?);
    for dir in DIRS.map(|dir| root.join(dir)) {
        match access.make_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            // Whoever writes to it will be told.
            Err(e) if access::is_refusal(&e) && root.join("blob").is_dir() => return Ok(access),
            other => other.map_err(at(&dir))?,
        }
    }
    let tag = root.join("CACHEDIR.TAG");
    if !tag.exists() {
        // https://bford.info/cachedir/: back-up programs leave such a directory out.
        let text = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by hoopy.\n";
        let mut options = File::options();
        let made = options.write(true).create(true).truncate(true).mode(access.file_mode()).open(&tag);
        made.and_then(|mut file| file.write_all(text.as_bytes())).map_err(at(&tag))?;
    }
    Ok(access)
}

/// Makes the directory of a store, unless another process is quicker. What is above it is not the store's.
fn make_new(root: &Path) -> io::Result<()> {
    let made = match (access::make_private(root), root.parent()) {
        (Err(e), Some(above)) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(above).and_then(|()| access::make_private(root))
        }
        (made, _) => made,
    };
    match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && root.is_dir() => Ok(()),
        made => made,
    }
}
