//! A kernel's package with its modules as they are when unpacked: what is compressed once, in the segment, takes less
//! than what is compressed module by module and then once more.
//!
//! Alpine's kernels bring `lib/modules/VERSION/kernel/**/*.ko.gz`. The package becomes another form of itself before
//! anything else sees it, with `.ko` files of the same contents and signatures, which every kernel loads; so scripts
//! (kmod's trigger runs depmod), the installed database and the unpacked tree all agree. `modules.dep` names the files
//! and is rewritten: the virtual machine for scripts reads it, and BusyBox's modprobe. `modules.dep.bin`, its form for
//! kmod, is left out: nobody reads it but kmod, which makes it anew with its trigger. The other lists name no files
//! (`modules.alias`), or name them as `.ko` always (`modules.order`, `modules.builtin`).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use hoopy_apk::Checksum;
use hoopy_base::digest::{HashingWriter, LayerId, RecipeId};
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::package::{ImportError, Package};
use super::stored::Layer;
use super::{Entry, EntryPath, Kind};
use crate::{Seal, Store};

/// Changes whenever the same package would take another form.
const VERSION: &str = "hoopy package with modules unpacked 1";

/// The largest module, unpacked: forty times the largest of Alpine's.
const MAX_MODULE: u64 = 256 << 20;

const PACKED: &[u8] = b".ko.gz";
const PLAIN: &[u8] = b".ko";

/// What the store remembers of the other form.
#[derive(Serialize, Deserialize)]
struct Remembered {
    layer: LayerId,
    data: Seal,
    checksums: Vec<(usize, String)>,
}

/// `package` with its modules unpacked; itself where it has none that are packed.
///
/// # Errors
/// [`ImportError`]; a module that is no gzip file is one.
pub fn unpacked(package: &Arc<Package>, store: &Store) -> Result<Arc<Package>, ImportError> {
    let names: HashSet<&EntryPath> = package.layer.entries.iter().map(|e| &e.path).collect();
    let renamed: HashMap<EntryPath, EntryPath> = names
        .iter()
        .filter_map(|path| Some(((*path).clone(), plain_name(path)?)))
        .filter(|(_, plain)| !names.contains(plain))
        .collect();
    if renamed.is_empty() {
        return Ok(package.clone());
    }
    let recipe = RecipeId::of_fields(VERSION, &[package.layer.id.as_bytes()]);
    if let Some((layer, checksums)) = store.recall(recipe).and_then(|known| revive(known, store)) {
        return Ok(Arc::new(with(package, layer, checksums)));
    }
    let label = format!("{}-{}", package.record.name, package.record.version);
    let _span = tracing::debug_span!("import", what = format!("{label}, modules")).entered();
    let (layer, seal, checksums) = Unpacking { package, label, renamed }.run(store)?;
    let index = |(i, entry): (usize, &Entry)| Some((i, checksums.get(&entry.path)?.to_string()));
    let known = Remembered {
        layer: layer.id,
        data: seal,
        checksums: layer.entries.iter().enumerate().filter_map(index).collect(),
    };
    store.remember(recipe, &known)?;
    Ok(Arc::new(with(package, layer, checksums)))
}

fn with(package: &Package, layer: Layer, checksums: HashMap<EntryPath, Checksum>) -> Package {
    Package {
        record: package.record.clone(),
        layer,
        scripts: package.scripts.clone(),
        triggers: package.triggers.clone(),
        checksums,
    }
}

fn revive(known: Remembered, store: &Store) -> Option<(Layer, HashMap<EntryPath, Checksum>)> {
    let entries = store.layer(known.layer)?;
    if !store.has_data(known.layer, Layer::data_size(&entries)) {
        return None;
    }
    let layer = Layer::whole(known.layer, entries).sealed(known.data);
    let checksum =
        |(i, text): &(usize, String)| Some((layer.entries.get(*i)?.path.clone(), text.parse().ok()?));
    let checksums = known.checksums.iter().map(checksum).collect::<Option<_>>()?;
    Some((layer, checksums))
}

/// The name of a packed module when it is unpacked.
fn plain_name(path: &EntryPath) -> Option<EntryPath> {
    let within = path.is_within(b"lib/modules") || path.is_within(b"usr/lib/modules");
    let stem = path.as_bytes().strip_suffix(PACKED).filter(|_| within)?;
    EntryPath::new([stem, PLAIN].concat()).ok()
}

/// Whether it is a list of modules' files, and whether it is one for programs.
fn list(path: &EntryPath) -> Option<bool> {
    let dir = path.parent()?.parent()?;
    let within = [&b"lib/modules"[..], b"usr/lib/modules"].contains(&dir.as_bytes());
    match path.name() {
        b"modules.dep" if within => Some(false),
        b"modules.dep.bin" if within => Some(true),
        _ => None,
    }
}

struct Unpacking<'a> {
    package: &'a Package,
    label: String,
    renamed: HashMap<EntryPath, EntryPath>,
}

type Unpacked = (Layer, Seal, HashMap<EntryPath, Checksum>);

impl Unpacking<'_> {
    fn run(&self, store: &Store) -> Result<Unpacked, ImportError> {
        let mut pending = store.pending()?;
        let mut entries = Vec::new();
        let mut checksums = HashMap::new();
        // Told only when all was read: where the store's copy is damaged, that is the cause, and is mended.
        let mut refused = None;
        let streamed = self.package.layer.stream(store, &mut |before, content| {
            if list(&before.path) == Some(true) {
                return Ok(());
            }
            let mut entry = self.renamed(before);
            let sha1 = self.content(before, &mut entry, content, pending.file()).unwrap_or_else(|e| {
                refused.get_or_insert(e);
                None
            });
            let known = self.package.checksums.get(&before.path).copied();
            if let Some(checksum) = sha1.map(Checksum::Sha1).or(known) {
                checksums.insert(entry.path.clone(), checksum);
            }
            entries.push(entry);
            Ok(())
        });
        let streamed = streamed.and_then(|()| refused.map_or(Ok(()), |e| Err(e.into())));
        streamed.map_err(|source| ImportError::Modules { package: self.label.clone(), source })?;
        let id = store.put_layer(&entries)?;
        let seal = store.keep_data(pending, id)?;
        Ok((Layer::whole(id, entries).sealed(seal.clone()), seal, checksums))
    }

    /// The entry under its new name, linked to a new name.
    fn renamed(&self, before: &Entry) -> Entry {
        let plain = |path: &EntryPath| self.renamed.get(path).unwrap_or(path).clone();
        let kind = match &before.kind {
            Kind::Hardlink(first) => Kind::Hardlink(plain(first)),
            other => other.clone(),
        };
        Entry { path: plain(&before.path), kind, ..before.clone() }
    }

    /// Writes the new content of what was `before` to `out`; gives its SHA-1 where it is another than before.
    fn content(
        &self,
        before: &Entry,
        entry: &mut Entry,
        content: &mut dyn Read,
        out: &mut File,
    ) -> io::Result<Option<[u8; 20]>> {
        if !matches!(entry.kind, Kind::File { .. }) {
            return Ok(None);
        }
        if self.renamed.contains_key(&before.path) {
            let mut reader = MultiGzDecoder::new(BufReader::new(content)).take(MAX_MODULE + 1);
            let named = |e: io::Error| io::Error::new(e.kind(), format!("/{}: {e}", before.path));
            return copy(entry, &mut reader, out).map(Some).map_err(named);
        }
        if list(&before.path) == Some(false) {
            let mut text = Vec::new();
            content.read_to_end(&mut text)?;
            return copy(entry, &mut plain_names(&text).as_slice(), out).map(Some);
        }
        io::copy(content, out).map(|_| None)
    }
}

/// Writes what `from` gives to `out`, as the content of `entry`; gives its SHA-1.
fn copy(entry: &mut Entry, from: &mut dyn Read, out: &mut File) -> io::Result<[u8; 20]> {
    let mut sha1 = Sha1::new();
    let mut out = HashingWriter::new(out);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = from.read(&mut buffer)?;
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else { break };
        sha1.update(read);
        out.write_all(read)?;
    }
    let (_, content, size) = out.finish();
    if size > MAX_MODULE {
        let what = format!("more than {MAX_MODULE} bytes unpacked");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    entry.kind = Kind::File { size, content };
    Ok(sha1.finalize().into())
}

/// The text with every `.ko.gz` as `.ko`.
fn plain_names(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(PACKED.len()).position(|window| window == PACKED) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(PLAIN);
        rest = after.get(PACKED.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text).unwrap()
    }

    #[test]
    fn modules_and_nothing_else_get_another_name() {
        let plain = |text| plain_name(&path(text)).map(|p| p.to_string());
        assert_eq!(
            plain("lib/modules/6.18/kernel/fs/a.ko.gz").as_deref(),
            Some("lib/modules/6.18/kernel/fs/a.ko")
        );
        assert_eq!(plain("usr/share/a.ko.gz"), None);
        assert_eq!(plain("lib/modules/6.18/kernel/fs/a.ko"), None);
        assert_eq!(plain("lib/modules/6.18/readme.gz"), None);
    }

    #[test]
    fn lists_of_files_are_known_by_name_and_place() {
        assert_eq!(list(&path("lib/modules/6.18/modules.dep")), Some(false));
        assert_eq!(list(&path("lib/modules/6.18/modules.dep.bin")), Some(true));
        assert_eq!(list(&path("etc/modules.dep")), None);
        let text = b"kernel/a.ko.gz: kernel/b.ko.gz kernel/c.ko.gz\nkernel/d.ko:\n";
        assert_eq!(plain_names(text), b"kernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/d.ko:\n");
    }
}
