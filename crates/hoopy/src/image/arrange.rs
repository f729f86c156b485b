//! Which segments an initramfs is made of, and in which order they lie.
//!
//! ```text
//! large packages ▸ groups of small ones ▸ everything else as in the stack ▸ directories
//! ```
//!
//! No path is in two segments but for directories: what a later layer replaces is masked. So packages need not lie in
//! the order in which they are installed, and are not moved about when that changes. Only directories count again and
//! again, the last one for good: those that would come out otherwise than in the stack follow at the end, which are
//! none as long as no script changes a directory that a later package has as well.

use std::collections::HashMap;
use std::io;

use super::ImageError;
use crate::layer::{Entry, EntryPath, Layer};
use crate::segment::codec::Codec;
use crate::segment::groups::Groups;
use crate::segment::{Member, Plan};
use crate::stack::{Origin, Stack, database::is_boot};
use crate::store::Store;

/// What comes last, where there is any.
const DIRECTORIES: &str = "directories";

/// A segment to be.
pub struct Arranged {
    /// What it is made of.
    pub plan: Plan,
    /// Where that comes from.
    pub origins: Vec<String>,
}

/// The segments of `stack`, in order.
///
/// # Errors
/// [`ImageError::Store`].
pub fn arrange(stack: &Stack, codec: Codec, store: &Store) -> Result<Vec<Arranged>, ImageError> {
    let groups = Groups::of(stack.packages().map(AsRef::as_ref), &is_boot);
    let mut grouped: Vec<Vec<(usize, Member, String)>> = groups.sizes().iter().map(|_| Vec::new()).collect();
    let (mut large, mut others) = (Vec::new(), Vec::new());
    for (index, (layer, origin)) in stack.iter().enumerate() {
        let member = Member { layer: layer.clone(), masked: stack.tree.masked(index, &is_boot) };
        if member.is_empty() {
            continue;
        }
        let place = match origin {
            Origin::Package(package) => groups.place(&package.record.name),
            _ => None,
        };
        match (place.and_then(|(group, nth)| Some((grouped.get_mut(group)?, nth))), origin) {
            (Some((group, nth)), _) => group.push((nth, member, origin.label())),
            (None, Origin::Package(_)) => large.push(vec![(0, member, origin.label())]),
            (None, _) => others.push(vec![(0, member, origin.label())]),
        }
    }
    let segments = large.into_iter().chain(grouped).chain(others).filter(|segment| !segment.is_empty());
    let mut arranged: Vec<Arranged> = segments.flat_map(|segment| pieces(segment, codec)).collect();
    let again = directories(stack, &arranged);
    if !again.is_empty() {
        let id = store.put_layer(&again)?;
        if !store.has_data(id, 0) {
            store.put_data(id, &mut io::empty())?;
        }
        let plan = Plan::of(Layer::whole(id, again), Vec::new(), codec);
        arranged.push(Arranged { plan, origins: vec![DIRECTORIES.to_owned()] });
    }
    Ok(arranged)
}

fn pieces(mut segment: Vec<(usize, Member, String)>, codec: Codec) -> Vec<Arranged> {
    segment.sort_by_key(|(nth, ..)| *nth);
    let (members, origins): (Vec<_>, Vec<_>) =
        segment.into_iter().map(|(_, member, origin)| (member, origin)).unzip();
    let pieces = Plan { members, codec }.pieces().into_iter();
    pieces.map(|plan| Arranged { plan, origins: origins.clone() }).collect()
}

/// The directories whose mode or owner is not what the stack says when all of that was unpacked. Their times do not
/// count: the kernel takes them from wherever a directory is named first (init/initramfs.c).
fn directories(stack: &Stack, arranged: &[Arranged]) -> Vec<Entry> {
    let access = |entry: &Entry| (entry.mode, entry.user.id, entry.group.id);
    let mut found: HashMap<&EntryPath, (u32, u32, u32)> = HashMap::new();
    let members = arranged.iter().flat_map(|segment| &segment.plan.members);
    for entry in members.flat_map(Member::left).map(|(_, entry)| entry).filter(|entry| entry.is_dir()) {
        found.insert(&entry.path, access(entry));
    }
    let wrong = |(path, entry): &(&EntryPath, &Entry)| {
        entry.is_dir() && found.get(*path).is_some_and(|found| *found != access(entry))
    };
    let all = stack.tree.iter().map(|(path, entry, _)| (path, entry));
    all.filter(wrong).map(|(_, entry)| entry.clone()).collect()
}
