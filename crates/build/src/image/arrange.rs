//! Which segments an initramfs is made of, and in which order they lie.
//!
//! ```text
//! large packages, the largest first ▸ groups of small ones ▸ everything else as in the stack ▸ directories
//! ```
//!
//! The largest are made first, so that what is made first can be written first; what changes with every edit is last.
//! No path is in two segments but for directories: what a later layer replaces is masked. So packages need not lie in
//! the order in which they are installed, and are not moved about when that changes. Only directories count again and
//! again, the last one for good: those that would come out otherwise than in the stack follow at the end, which are
//! none as long as no script changes a directory that a later package has as well.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io;

use hoopy_cpio::codec::Codec;
use hoopy_store::Store;
use hoopy_store::layer::{Entry, EntryPath, Layer};

use super::ImageError;
use crate::segment::groups::Groups;
use crate::segment::{Member, Plan};
use crate::stack::database::is_boot;
use crate::stack::{Origin, Stack};

/// What comes last, where there is any.
const DIRECTORIES: &str = "directories";

/// A segment to be.
pub struct PlannedSegment {
    /// What it is made of.
    pub plan: Plan,
    /// Where that comes from.
    pub origins: Vec<String>,
}

/// What decides where a segment lies.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A package alone: its size, and its place in the stack.
    Large(Reverse<u64>, usize),
    /// A group of packages.
    Group(usize),
    /// Something else, by its place in the stack.
    Other(usize),
}

/// What is in a segment, and where it comes from, by the places in the group and in the stack.
type Members = BTreeMap<(usize, usize), (Member, String)>;

/// The segments of `stack`, in order, with small packages together as `groups` says.
///
/// # Errors
/// [`ImageError::Store`].
pub fn arrange(
    stack: &Stack,
    groups: &Groups,
    codec: Codec,
    store: &Store,
) -> Result<Vec<PlannedSegment>, ImageError> {
    let mut segments: BTreeMap<Place, Members> = BTreeMap::new();
    for (index, (layer, origin)) in stack.iter().enumerate() {
        let member = Member { layer: layer.clone(), masked: stack.tree.masked(index, &is_boot) };
        if member.is_empty() {
            continue;
        }
        let (place, nth) = match (groups.place(origin), origin) {
            (Some((group, nth)), _) => (Place::Group(group), nth),
            (None, Origin::Package(_)) => (Place::Large(Reverse(member.size()), index), 0),
            (None, _) => (Place::Other(index), 0),
        };
        segments.entry(place).or_default().insert((nth, index), (member, origin.label()));
    }
    let mut arranged = Vec::new();
    for segment in segments.into_values() {
        let (members, origins): (Vec<_>, Vec<_>) = segment.into_values().unzip();
        let pieces = Plan { members, codec }.pieces().into_iter();
        arranged.extend(pieces.map(|plan| PlannedSegment { plan, origins: origins.clone() }));
    }
    let again = directories(stack, &arranged);
    if !again.is_empty() {
        let id = store.put_layer(&again)?;
        if !store.has_data(id, 0) {
            store.put_data(id, &mut io::empty())?;
        }
        let plan = Plan::of(Layer::whole(id, again), Vec::new(), codec);
        arranged.push(PlannedSegment { plan, origins: vec![DIRECTORIES.to_owned()] });
    }
    Ok(arranged)
}

/// The directories whose mode or owner is not what the stack says when all of that was unpacked. Their times do not
/// count: the kernel takes them from wherever a directory is named first (init/initramfs.c).
fn directories(stack: &Stack, arranged: &[PlannedSegment]) -> Vec<Entry> {
    let mut found: HashMap<&EntryPath, (u32, u32, u32)> = HashMap::new();
    let members = arranged.iter().flat_map(|segment| &segment.plan.members);
    for entry in members.flat_map(Member::left).map(|(_, entry)| entry).filter(|entry| entry.is_dir()) {
        found.insert(&entry.path, entry.access());
    }
    let wrong = |(path, entry): &(&EntryPath, &Entry)| {
        entry.is_dir() && found.get(*path).is_some_and(|found| *found != entry.access())
    };
    let all = stack.tree.iter().map(|(path, entry, _)| (path, entry));
    all.filter(wrong).map(|(_, entry)| entry.clone()).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;

    use hoopy_cpio::{Reader, file_type};
    use hoopy_store::layer::Kind;
    use hoopy_store::layer::builder::Builder;
    use hoopy_store::layer::package::Package;
    use proptest::prelude::*;

    use super::*;
    use crate::segment::groups::SMALL;
    use crate::segment::write_archive;

    #[derive(Debug, Clone)]
    enum Is {
        Dir(u32),
        File(u32, u8),
        Large,
        Gone,
    }

    /// A layer: whether it is a package, and what it has where.
    type Made = (bool, BTreeMap<String, Is>);

    fn made() -> impl Strategy<Value = Vec<Made>> {
        let is = prop_oneof![
            6 => (0_u32..8).prop_map(|mode| Is::Dir(0o700 + mode)),
            6 => (0_u32..8, any::<u8>()).prop_map(|(mode, byte)| Is::File(0o600 + mode, byte)),
            1 => Just(Is::Large),
            1 => Just(Is::Gone),
        ];
        let entries = prop::collection::btree_map("[ab](/[ab]){0,2}", is, 1..5);
        prop::collection::vec((any::<bool>(), entries), 1..9)
    }

    fn stack(made: &[Made], store: &Store) -> Stack {
        let mut stack = Stack::default();
        for (nth, (is_package, entries)) in made.iter().enumerate() {
            let mut builder = Builder::new(store, 0);
            for (path, is) in entries {
                let path = EntryPath::new(path).unwrap();
                // What is below a file of the same layer is nothing that a layer could have.
                let above = std::iter::successors(path.parent(), EntryPath::parent);
                if above.into_iter().any(|dir| builder.get_mut(&dir).is_some_and(|e| !e.is_dir())) {
                    continue;
                }
                match is {
                    Is::Dir(mode) => builder.add(&path, Kind::Dir { opaque: false }, *mode),
                    Is::File(mode, byte) => builder.add_bytes(&path, *mode, &[*byte]).unwrap(),
                    Is::Large => builder.add_bytes(&path, 0o644, &vec![7; SMALL as usize]).unwrap(),
                    Is::Gone => builder.add(&path, Kind::Whiteout, 0),
                }
            }
            let layer = builder.finish(store).unwrap();
            let record = hoopy_testkit::maker::record(&format!("p{nth}"), "1-r0", "x86_64");
            let package = Package {
                record,
                layer: layer.clone(),
                scripts: Vec::new(),
                triggers: Vec::new(),
                checksums: HashMap::new(),
            };
            let script = || Origin::Script(format!("script {nth}"));
            stack.push(layer, if *is_package { Origin::Package(Arc::new(package)) } else { script() });
        }
        stack
    }

    fn arranged(stack: &Stack, store: &Store) -> Vec<PlannedSegment> {
        let groups = Groups::of(stack.packages().map(AsRef::as_ref), &is_boot);
        arrange(stack, &groups, Codec::None, store).unwrap()
    }

    /// What the kernel makes of the segments. None may have what another has, but for directories.
    fn unpacked(stack: &Stack, store: &Store) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut found: BTreeMap<String, (u32, Vec<u8>)> = BTreeMap::new();
        for segment in arranged(stack, store) {
            let mut archive = Vec::new();
            write_archive(&segment.plan, store, &mut archive).unwrap();
            let mut reader = Reader::new(archive.as_slice());
            while let Some(entry) = reader.next_entry().unwrap() {
                let path = String::from_utf8(entry.name).unwrap();
                let is_dir = |mode: u32| mode & file_type::MASK == file_type::DIR;
                if let Some((above, _)) = path.rsplit_once('/') {
                    assert!(found.get(above).is_some_and(|(mode, _)| is_dir(*mode)), "{path}");
                }
                let mut content = Vec::new();
                reader.read_to_end(&mut content).unwrap();
                let before = found.insert(path.clone(), (entry.mode, content));
                assert!(before.is_none_or(|(mode, _)| is_dir(mode) && is_dir(entry.mode)), "{path}");
            }
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn segments_unpack_to_what_the_stack_is(made in made()) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            let stack = stack(&made, &store);
            let mut expected = BTreeMap::new();
            for (path, entry, at) in stack.tree.iter() {
                let kind = if entry.is_dir() { file_type::DIR } else { file_type::FILE };
                let content = stack.tree.layers()[at.layer].read_file(&store, path).unwrap();
                expected.insert(path.to_string(), (kind | entry.mode, content.unwrap_or_default()));
            }
            prop_assert_eq!(unpacked(&stack, &store), expected);
        }
    }

    #[test]
    fn packages_lie_before_the_rest_the_largest_first_and_small_ones_together() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let of = |path: &str, is| BTreeMap::from([(path.to_owned(), is)]);
        let made = [
            (true, of("a/b", Is::File(0o644, 1))),
            (false, of("a", Is::Dir(0o700))),
            (true, of("b", Is::Large)),
            (true, of("a/a", Is::File(0o644, 2))),
        ];
        let stack = stack(&made, &store);
        let segments = arranged(&stack, &store).into_iter();
        let mut origins: Vec<_> = segments.map(|segment| segment.origins).collect();
        origins.iter_mut().for_each(|origins| origins.sort());
        // The last package gives the directory the mode that it had before the script.
        let expected = [vec!["p2-1-r0"], vec!["p0-1-r0", "p3-1-r0"], vec!["script 1"], vec![DIRECTORIES]];
        assert_eq!(origins, expected);
    }
}
