//! Hard links within a segment: which of the names that remain carries the bytes.

use std::collections::BTreeMap;

use hoopy_store::layer::{Entry, EntryPath, Kind};

/// The names of one file that remain in a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Indexes of the entries that remain, ascending. The first carries the bytes.
    pub names: Vec<usize>,
}

/// The groups of `entries` that have more than one name in the layer, by the index of the name that carries
/// the bytes *in the layer*; `masked` are the entries left out.
pub fn groups(entries: &[Entry], masked: &dyn Fn(usize) -> bool) -> BTreeMap<usize, Group> {
    let mut first_at: BTreeMap<&EntryPath, usize> = BTreeMap::new();
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        match &entry.kind {
            Kind::File { .. } => {
                first_at.insert(&entry.path, i);
            }
            Kind::Hardlink(first) => {
                let Some(&source) = first_at.get(first) else { continue };
                let group = groups
                    .entry(source)
                    .or_insert_with(|| Group { names: if masked(source) { vec![] } else { vec![source] } });
                if !masked(i) {
                    group.names.push(i);
                }
            }
            _ => {}
        }
    }
    groups
}
