//! A large segment in parts, each a segment of its own, where the codec is slow: every core has a part then, and each
//! part's tables stay small.
//!
//! A part is the same plan with everything else masked, so nothing downstream knows of parts. The kernel unpacks them
//! in order, and a directory stands before what it holds in a layer. Names of one file must be in one segment
//! (init/initramfs.c forgets inodes at the end of an archive): a layer with hard links stays whole.

use std::collections::BTreeSet;

use super::Plan;
use crate::layer::Kind;

/// The largest part, by what it holds: twice the window, so that cutting costs little (kernel modules at level 19
/// become 1% larger), and 15 seconds of work.
const PART: u64 = 16 << 20;

impl Plan {
    /// The plans of its parts, in order; mostly it is its only one.
    pub fn parts(self) -> Vec<Self> {
        let entries = &self.layer.entries;
        let masked: BTreeSet<usize> = self.masked.iter().copied().collect();
        let left = || entries.iter().enumerate().filter(|(i, _)| !masked.contains(i));
        let total: u64 = left().map(|(_, entry)| entry.size()).sum();
        let linked = entries.iter().any(|entry| matches!(entry.kind, Kind::Hardlink(_)));
        if total <= PART || linked || !self.fitting_codec().is_slow() {
            return vec![self];
        }
        let even = total.div_ceil(total.div_ceil(PART));
        let (mut parts, mut passed) = (Vec::new(), 0);
        for (index, entry) in left() {
            // What begins in a part is in it: a file is in one, whatever its size.
            let part = usize::try_from(passed / even).unwrap_or(usize::MAX).min(parts.len());
            if part == parts.len() {
                parts.push(Vec::new());
            }
            parts[part].push(index);
            passed += entry.size();
        }
        parts.iter().map(|part| self.only(part)).collect()
    }

    /// The plan with nothing left but the entries `part`, ascending.
    fn only(&self, part: &[usize]) -> Self {
        let masked = (0..self.layer.entries.len()).filter(|i| part.binary_search(i).is_err());
        Self { masked: masked.collect(), ..self.clone() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::digest::{ContentId, LayerId};
    use crate::layer::{Entry, EntryPath, Layer};
    use crate::segment::codec::Codec;
    use proptest::prelude::*;

    const SLOW: Codec = Codec::Zstd { level: 19 };

    fn plan(kinds: Vec<Kind>, masked: Vec<usize>, codec: Codec) -> Plan {
        let entry = |(i, kind)| Entry::new(EntryPath::new(format!("{i}")).unwrap(), kind, 0o644);
        let entries = kinds.into_iter().enumerate().map(entry).collect();
        Plan { layer: Layer::whole(LayerId::from_bytes([0; 32]), entries), masked, codec }
    }

    fn file(size: u64) -> Kind {
        Kind::File { size, content: ContentId::from_bytes([0; 32]) }
    }

    fn left(plan: &Plan) -> Vec<usize> {
        (0..plan.layer.entries.len()).filter(|i| !plan.masked.contains(i)).collect()
    }

    proptest! {
        #[test]
        fn parts_together_are_the_whole_in_its_order(
            sizes in prop::collection::vec(0_u64..40 << 20, 0..40),
            masked in prop::collection::btree_set(0_usize..40, 0..10),
        ) {
            let masked = masked.into_iter().filter(|&i| i < sizes.len()).collect();
            let whole = plan(sizes.iter().map(|&size| file(size)).collect(), masked, SLOW);
            let parts = whole.clone().parts();
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
        assert_eq!(plan(big(), vec![], SLOW).parts().len(), 2);
        assert_eq!(plan(big(), vec![0], SLOW).parts().len(), 1);
        assert_eq!(plan(big(), vec![], Codec::default()).parts().len(), 1);
        let first = EntryPath::new("0").unwrap();
        let linked = [big(), vec![Kind::Hardlink(first)]].concat();
        assert_eq!(plan(linked, vec![], SLOW).parts().len(), 1);
    }
}
