//! What the system makes of modes while apk extracts a package: what an installed machine has, an image has too.

use std::collections::BTreeMap;

use hoopy_store::layer::{Entry, EntryPath};
use hoopy_store::tree::Tree;

/// The bits of a mode beyond permissions.
const SPECIAL: u32 = 0o7000;
const SET_GROUP_ID: u32 = 0o2000;

/// A directory made in one whose group it inherits passes that on, mkdir(2); apk sets the mode again only where it has
/// such a bit itself.
pub(super) fn inherit_set_group_id(entries: &mut [Entry], below: &Tree) {
    let mut own: BTreeMap<EntryPath, u32> = BTreeMap::new();
    for entry in entries.iter_mut().filter(|e| e.is_dir()) {
        let is_new = below.get(&entry.path).is_none();
        let above = entry
            .path
            .parent()
            .and_then(|dir| own.get(&dir).copied().or_else(|| below.get(&dir).map(|e| e.mode)));
        if is_new && entry.mode & SPECIAL == 0 && above.is_some_and(|mode| mode & SET_GROUP_ID != 0) {
            entry.mode |= SET_GROUP_ID;
        }
        own.insert(entry.path.clone(), entry.mode);
    }
}
