//! Starts making segments as soon as their contents are known.

use std::cell::RefCell;

use hoopy_store::layer::{EntryPath, Layer};

use super::groups::Groups;
use super::maker::SegmentMaker;
use crate::stack::Origin;

/// Takes layers as they settle.
pub struct Gather<'m, 'a> {
    maker: &'m SegmentMaker<'a>,
    groups: &'m Groups,
    left_out: fn(&EntryPath) -> bool,
    /// What is known of each group.
    known: RefCell<Vec<Vec<Option<Layer>>>>,
}

impl<'m, 'a> Gather<'m, 'a> {
    /// For `maker` to make; paths that `left_out` names will be in no segment.
    pub fn new(maker: &'m SegmentMaker<'a>, groups: &'m Groups, left_out: fn(&EntryPath) -> bool) -> Self {
        let known = groups.sizes().iter().map(|size| vec![None; *size]).collect();
        Self { maker, groups, left_out, known: RefCell::new(known) }
    }

    /// Takes a layer that will not change any more.
    pub fn settled(&self, layer: &Layer, origin: &Origin) {
        let Some((group, nth)) = self.groups.place(origin) else {
            return self.maker.offer(vec![layer.clone()], &self.left_out);
        };
        let mut known = self.known.borrow_mut();
        let Some(group) = known.get_mut(group) else { return };
        if let Some(slot) = group.get_mut(nth) {
            *slot = Some(layer.clone());
        }
        if let Some(all) = group.iter().cloned().collect::<Option<Vec<Layer>>>() {
            self.maker.offer(all, &self.left_out);
        }
    }
}
