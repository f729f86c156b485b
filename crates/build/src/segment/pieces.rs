//! A large layer in pieces, each a segment of its own.
//!
//! - By class: where most of it is compressed already and so gets little effort, the rest still gets all of it. A
//!   kernel's package has a megabyte of tables beside its modules.
//! - In parts, where the codec is slow: every core has a part then, and each part's tables stay small.
//!
//! A piece is the same plan with everything else masked, so nothing downstream knows of pieces. The kernel unpacks
//! them in order, and a directory stands before what it holds in a layer; directories go into the first piece. Names of
//! one file must be in one segment (init/initramfs.c forgets inodes at the end of an archive): a layer with hard links
//! stays whole.

use hoopy_store::layer::{Entry, Kind};

use super::{Member, Plan, is_packed};

/// The largest part, by what it holds: twice the window, so that cutting costs little (kernel modules at level 19
/// become 1% larger), and 15 seconds of work.
const PART: u64 = 16 << 20;

/// So many bytes of another class are worth a segment of their own; what effort saves on less is hardly more than the
/// segment costs.
const WORTH: u64 = 64 << 10;

impl Plan {
    /// The plans of its pieces, in order; mostly it is its only one.
    pub fn pieces(self) -> Vec<Self> {
        self.by_class().into_iter().flat_map(Self::parts).collect()
    }

    fn by_class(self) -> Vec<Self> {
        let packed = |entry: &Entry| !entry.is_dir() && is_packed(entry);
        let Some(member) = self.divisible().filter(|_| self.fitting_codec() != self.codec) else {
            return vec![self];
        };
        let rest: u64 = member.left().filter(|(_, e)| !packed(e)).map(|(_, e)| e.size()).sum();
        if rest < WORTH {
            return vec![self];
        }
        let (packed, rest): (Vec<_>, Vec<_>) = member.left().partition(|(_, entry)| packed(entry));
        [rest, packed].map(|piece| self.only(member, &indexes(&piece))).into()
    }

    fn parts(self) -> Vec<Self> {
        let total = self.size();
        let slow = total > PART && self.fitting_codec().is_slow();
        let Some(member) = self.divisible().filter(|_| slow) else { return vec![self] };
        let even = total.div_ceil(total.div_ceil(PART));
        let (mut parts, mut passed) = (Vec::new(), 0);
        for (index, entry) in member.left() {
            // What begins in a part is in it: a file is in one, whatever its size.
            let part = usize::try_from(passed / even).unwrap_or(usize::MAX).min(parts.len());
            if part == parts.len() {
                parts.push(Vec::new());
            }
            parts[part].push(index);
            passed += entry.size();
        }
        parts.iter().map(|part| self.only(member, part)).collect()
    }

    /// Its only layer, where that may be cut.
    fn divisible(&self) -> Option<&Member> {
        let [member] = self.members.as_slice() else { return None };
        let linked = member.layer.entries.iter().any(|entry| matches!(entry.kind, Kind::Hardlink(_)));
        (!linked).then_some(member)
    }

    /// The plan with nothing left but the entries `piece` of `member`, ascending.
    fn only(&self, member: &Member, piece: &[usize]) -> Self {
        let masked = (0..member.layer.entries.len()).filter(|i| piece.binary_search(i).is_err());
        Self::of(member.layer.clone(), masked.collect(), self.codec)
    }
}

fn indexes(entries: &[(usize, &Entry)]) -> Vec<usize> {
    entries.iter().map(|(index, _)| *index).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::digest::{ContentId, LayerId};
    use hoopy_cpio::codec::Codec;
    use hoopy_store::layer::{EntryPath, Layer};
    use proptest::prelude::*;

    use super::*;

    const SLOW: Codec = Codec::Zstd { level: 19 };

    fn plan(kinds: Vec<Kind>, masked: Vec<usize>, codec: Codec) -> Plan {
        let entry = |(i, kind)| Entry::new(EntryPath::new(format!("{i}")).unwrap(), kind, 0o644);
        let entries = kinds.into_iter().enumerate().map(entry).collect();
        Plan::of(Layer::whole(LayerId::from_bytes([0; 32]), entries), masked, codec)
    }

    fn file(size: u64) -> Kind {
        Kind::File { size, content: ContentId::from_bytes([0; 32]) }
    }

    fn left(plan: &Plan) -> Vec<usize> {
        plan.members.iter().flat_map(|member| member.left().map(|(index, _)| index)).collect()
    }

    proptest! {
        #[test]
        fn parts_together_are_the_whole_in_its_order(
            sizes in prop::collection::vec(0_u64..40 << 20, 0..40),
            masked in prop::collection::btree_set(0_usize..40, 0..10),
        ) {
            let masked = masked.into_iter().filter(|&i| i < sizes.len()).collect();
            let whole = plan(sizes.iter().map(|&size| file(size)).collect(), masked, SLOW);
            let parts = whole.clone().pieces();
            prop_assert_eq!(parts.iter().flat_map(left).collect::<Vec<_>>(), left(&whole));
            for part in &parts {
                let last = left(part).last().map_or(0, |&i| sizes[i]);
                prop_assert!(part.size() <= PART + last);
                prop_assert!(parts.len() == 1 || !part.is_empty());
            }
        }
    }

    #[test]
    fn what_is_small_or_quick_or_has_hard_links_stays_whole() {
        let big = || vec![file(PART), file(PART)];
        assert_eq!(plan(big(), vec![], SLOW).pieces().len(), 2);
        assert_eq!(plan(big(), vec![0], SLOW).pieces().len(), 1);
        assert_eq!(plan(big(), vec![], Codec::default()).pieces().len(), 1);
        let first = EntryPath::new("0").unwrap();
        let linked = [big(), vec![Kind::Hardlink(first)]].concat();
        assert_eq!(plan(linked, vec![], SLOW).pieces().len(), 1);
    }

    #[test]
    fn what_is_not_compressed_yet_beside_modules_is_compressed_with_all_effort() {
        let named = |name: &str, kind| Entry::new(EntryPath::new(name).unwrap(), kind, 0o644);
        let entries = |table| {
            vec![
                named("m", Kind::Dir { opaque: false }),
                named("m/a.ko.gz", file(1 << 20)),
                named("m/modules.dep", file(table)),
                named("m/n", Kind::Dir { opaque: false }),
                named("m/n/b.ko.gz", file(1 << 20)),
            ]
        };
        let layer = |entries| Layer::whole(LayerId::from_bytes([0; 32]), entries);
        let cut = |entries, masked, codec| {
            let pieces = Plan::of(layer(entries), masked, codec).pieces();
            pieces.iter().map(|piece| (left(piece), piece.fitting_codec())).collect::<Vec<_>>()
        };
        let (usual, hasty) = (Codec::default(), Codec::default().hasty());
        assert_eq!(cut(entries(WORTH), vec![], usual), [(vec![0, 2, 3], usual), (vec![1, 4], hasty)]);
        assert_eq!(cut(entries(WORTH), vec![4], usual), [(vec![0, 2, 3], usual), (vec![1], hasty)]);
        assert_eq!(cut(entries(WORTH - 1), vec![], usual), [(vec![0, 1, 2, 3, 4], hasty)]);
        assert_eq!(cut(entries(8 << 20), vec![], usual), [(vec![0, 1, 2, 3, 4], usual)]);
        assert_eq!(cut(entries(WORTH), vec![], SLOW), [(vec![0, 1, 2, 3, 4], SLOW)]);
    }
}
