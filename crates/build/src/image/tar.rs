//! The root tree as a tar archive, for containers or for reading.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, BufWriter, Read, Seek as _, Write as _};
use std::path::Path;

use hoopy_apk::tar::{self, Writer};
use hoopy_base::atomic::{Pending, directory_of};
use hoopy_store::Store;
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::ImageError;
use crate::stack::Stack;
use crate::stack::database::is_boot;

/// Writes what shows of the stack to `path`, layer by layer.
///
/// # Errors
/// [`ImageError`].
pub fn tar_to(path: &Path, stack: &Stack, store: &Store) -> Result<u64, ImageError> {
    let io = |source| ImageError::Io { path: path.to_owned(), source };
    let mut pending = Pending::new_in(directory_of(path)).map_err(io)?;
    let mut archive = Writer::new(BufWriter::with_capacity(256 << 10, pending.file()));
    let mut dirs = HashSet::new();
    for (index, layer) in stack.tree.layers().iter().enumerate() {
        let masked: BTreeSet<usize> = stack.tree.masked(index, &is_boot).into_iter().collect();
        let mut carriers = carriers(&layer.entries, &masked);
        let mut at = 0;
        layer
            .stream(store, &mut |entry, content| {
                // A directory stands in every layer that has something in it: once in the archive, as it is in the end.
                let entry = if entry.is_dir() { stack.tree.get(&entry.path).unwrap_or(entry) } else { entry };
                let told = entry.is_dir() && !masked.contains(&at) && !dirs.insert(entry.path.clone());
                let result = match told {
                    true => Ok(()),
                    false => put(&mut archive, at, entry, content, &masked, &mut carriers),
                };
                at += 1;
                result
            })
            .map_err(|e| match e {
                // The archive could not be written: which one, the system does not say.
                ReadLayerError::Sink(source) => io(source),
                other => other.into(),
            })?;
    }
    archive.finish(true).and_then(|mut out| out.flush()).map_err(io)?;
    let size = pending.file().stream_position().map_err(io)?;
    pending.keep(path, stack.readers()).map_err(io)?;
    Ok(size)
}

/// For each file whose own name is masked and another is not: the name that carries its bytes.
fn carriers(entries: &[Entry], masked: &BTreeSet<usize>) -> HashMap<EntryPath, EntryPath> {
    let hidden: BTreeSet<&EntryPath> = masked.iter().map(|&i| &entries[i].path).collect();
    let mut carriers = HashMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if let Kind::Hardlink(first) = &entry.kind
            && !masked.contains(&i)
            && hidden.contains(first)
        {
            carriers.entry(first.clone()).or_insert_with(|| entry.path.clone());
        }
    }
    carriers
}

fn put<W: io::Write>(
    archive: &mut Writer<W>,
    index: usize,
    entry: &Entry,
    content: &mut dyn Read,
    masked: &BTreeSet<usize>,
    carriers: &mut HashMap<EntryPath, EntryPath>,
) -> io::Result<()> {
    let (path, kind) = match &entry.kind {
        Kind::Hardlink(first) => match carriers.get(first) {
            Some(carrier) if *carrier == entry.path => return Ok(()),
            carrier => (&entry.path, tar::Kind::Hardlink(carrier.unwrap_or(first).as_bytes().to_vec())),
        },
        Kind::File { size, .. } if masked.contains(&index) => match carriers.get(&entry.path) {
            Some(carrier) => (carrier, tar::Kind::File(*size)),
            None => return Ok(()),
        },
        kind => match kind.to_tar() {
            Some(kind) => (&entry.path, kind),
            None => return Ok(()),
        },
    };
    if masked.contains(&index) && !matches!(kind, tar::Kind::File(_)) {
        return Ok(());
    }
    archive.entry(&entry.tar_header(path, kind))?;
    io::copy(content, archive).map(|_| ())
}
