//! A package as a layer: its files are the layer, its scripts and what it says of itself stand beside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use hoopy_apk::package::{PackageError, ScriptKind};
use hoopy_apk::{Checksum, Record, tar};
use hoopy_base::digest::{ContentId, LayerId, RecipeId};
use serde::{Deserialize, Serialize};

use super::stored::Layer;
use super::{BadPath, Entry, EntryPath, Kind, Owner, contents};
use crate::{Seal, Store, StoreError, at};

/// Changes whenever the same package would become another layer.
const VERSION: &str = "hoopy package layer 2";

/// A package, imported: the layer as the package has it, before it is settled on a stack.
#[derive(Debug)]
pub struct Package {
    /// What it says of itself.
    pub record: Record,
    /// Its files, in its own order.
    pub layer: Layer,
    /// Its scripts.
    pub scripts: Vec<(ScriptKind, Vec<u8>)>,
    /// The directories its trigger watches.
    pub triggers: Vec<String>,
    /// SHA-1 of its files and links, as the installed database lists them.
    pub checksums: HashMap<EntryPath, Checksum>,
}

/// A package that could not become a layer.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not what a package is.
    #[error("{package}: {source}")]
    Package {
        /// Name and version.
        package: String,
        /// What is wrong.
        source: PackageError,
    },
    /// A path that an image cannot hold.
    #[error("{package}: {source}")]
    Path {
        /// Name and version.
        package: String,
        /// The path.
        source: BadPath,
    },
    /// The file in the store is not the one that the lock names, and was removed.
    #[error(
        "{package}: the downloaded file does not have the SHA-256 in hoopy.lock; it was removed: try again"
    )]
    Damaged {
        /// Name and version.
        package: String,
    },
    /// Its kernel modules could not be unpacked.
    #[error("{package}: its modules could not be unpacked: {source}")]
    Modules {
        /// Name and version.
        package: String,
        /// Why.
        source: super::stored::ReadLayerError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the store remembers of an imported package.
#[derive(Serialize, Deserialize)]
struct Remembered {
    layer: LayerId,
    data: Seal,
    stanza: String,
    replaces: Vec<String>,
    replaces_priority: u32,
    triggers: Vec<String>,
    scripts: Vec<(String, ContentId)>,
    checksums: Vec<(usize, String)>,
}

/// The file of a package, as a lock names it.
#[derive(Debug, Clone)]
pub struct PackageFile {
    /// Name and version.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: ContentId,
    /// Bytes of the file.
    pub size: u64,
}

/// The package in this file, which was downloaded into the store.
///
/// # Errors
/// [`ImportError`].
pub fn import(file: &PackageFile, store: &Store) -> Result<Package, ImportError> {
    let recipe = RecipeId::of_fields(VERSION, &[file.sha256.as_bytes()]);
    let remembered = store.recall::<Remembered>(recipe).and_then(|r| revive(r, file, store));
    if let Some(package) = remembered {
        return Ok(package);
    }
    let name = &file.name;
    let _span = tracing::debug_span!("import", what = name).entered();
    let Some(archive) = store.open_blob(file.sha256)? else {
        return Err(ImportError::Damaged { package: name.clone() });
    };
    let (package, seal) = read(file, archive, store)?;
    store.remember(recipe, &freeze(&package, seal, store)?)?;
    Ok(package)
}

fn read(file: &PackageFile, archive: File, store: &Store) -> Result<(Package, Seal), ImportError> {
    let name = &file.name;
    let bad = |source| ImportError::Package { package: name.clone(), source };
    let path = store.blob_path(file.sha256);
    let archive = BufReader::with_capacity(128 << 10, archive);
    let mut opened = hoopy_apk::package::open(archive).map_err(bad)?;
    opened.data.bound(file.size);
    let mut entries = Vec::new();
    let mut checksums = HashMap::new();
    let mut pending = store.pending()?;
    let (read, written) = contents::write_beside(pending.file(), |contents| {
        while let Some(mut found) = opened.data.next_file().map_err(bad)? {
            if let tar::Kind::File(_) = found.entry.kind {
                contents.add(&mut found).map_err(|e| bad(e.into()))?;
            }
            let entry =
                entry(&found.entry).map_err(|source| ImportError::Path { package: name.clone(), source })?;
            if let Some(sha1) = found.entry.sha1 {
                checksums.insert(entry.path.clone(), Checksum::Sha1(sha1));
            }
            entries.push(entry);
        }
        opened.data.finish().map_err(bad)
    });
    // What could not be written is the cause of what could not be read.
    let written = written.map_err(at(&path))?;
    read?;
    let contents = entries.iter_mut().filter_map(|entry| match &mut entry.kind {
        Kind::File { content, .. } => Some(content),
        _ => None,
    });
    contents.zip(written).for_each(|(content, digest)| *content = digest);
    let id = store.put_layer(&entries)?;
    let seal = store.keep_data(pending, id)?;
    let record = Record { size: file.size, ..opened.info.record };
    let layer = Layer::whole(id, entries).sealed(seal.clone());
    let package =
        Package { record, layer, scripts: opened.scripts, triggers: opened.info.triggers, checksums };
    Ok((package, seal))
}

/// The digest of a file's content is not known yet.
fn entry(from: &tar::Entry) -> Result<Entry, BadPath> {
    let kind = match &from.kind {
        tar::Kind::Dir => Kind::Dir { opaque: false },
        tar::Kind::File(size) => Kind::File { size: *size, content: ContentId::from_bytes([0; 32]) },
        tar::Kind::Hardlink(target) => Kind::Hardlink(EntryPath::new(target)?),
        tar::Kind::Symlink(target) => Kind::Symlink(target.clone()),
        tar::Kind::Char(major, minor) => Kind::Char { major: *major, minor: *minor },
        tar::Kind::Block(major, minor) => Kind::Block { major: *major, minor: *minor },
        tar::Kind::Fifo => Kind::Fifo,
        tar::Kind::Sparse(_) => {
            return Err(BadPath {
                path: from.path.clone(),
                reason: "a sparse file, which packages do not have",
            });
        }
    };
    let owner =
        |id, name: &str| Owner { id, name: Some(name.to_owned()).filter(|n| !n.is_empty() && n != "root") };
    Ok(Entry {
        path: EntryPath::new(&from.path)?,
        kind,
        mode: from.mode,
        user: owner(from.uid, &from.uname),
        group: owner(from.gid, &from.gname),
        mtime: from.mtime,
        xattrs: from.xattrs.clone(),
    })
}

fn freeze(package: &Package, data: Seal, store: &Store) -> Result<Remembered, StoreError> {
    let script = |(kind, body): &(ScriptKind, Vec<u8>)| Ok((kind.to_string(), store.put_blob(body)?));
    let index = |(i, entry): (usize, &Entry)| Some((i, package.checksums.get(&entry.path)?.to_string()));
    Ok(Remembered {
        layer: package.layer.id,
        data,
        stanza: package.record.stanza(),
        replaces: package.record.replaces.iter().map(ToString::to_string).collect(),
        replaces_priority: package.record.replaces_priority,
        triggers: package.triggers.clone(),
        scripts: package.scripts.iter().map(script).collect::<Result<_, StoreError>>()?,
        checksums: package.layer.entries.iter().enumerate().filter_map(index).collect(),
    })
}

/// `None` where anything is missing or does not parse: the package is read again then.
fn revive(from: Remembered, file: &PackageFile, store: &Store) -> Option<Package> {
    if !store.has_blob(file.sha256, file.size) {
        return None;
    }
    let entries = store.layer(from.layer)?;
    if !store.has_data(from.layer, Layer::data_size(&entries)) {
        return None;
    }
    let layer = Layer::whole(from.layer, entries).sealed(from.data);
    let mut record = hoopy_apk::index::parse(&from.stanza).ok()?.pop()?;
    record.replaces = from.replaces.iter().map(|r| r.parse()).collect::<Result<_, _>>().ok()?;
    record.replaces_priority = from.replaces_priority;
    let script =
        |(kind, id): &(String, ContentId)| Some((ScriptKind::from_name(kind)?, store.read_blob(*id)?));
    let checksum =
        |(i, text): &(usize, String)| Some((layer.entries.get(*i)?.path.clone(), text.parse().ok()?));
    Some(Package {
        record,
        scripts: from.scripts.iter().map(script).collect::<Option<_>>()?,
        triggers: from.triggers,
        checksums: from.checksums.iter().map(checksum).collect::<Option<_>>()?,
        layer,
    })
}
