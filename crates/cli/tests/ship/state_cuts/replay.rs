//! The record of a disk's writes, written again up to each cut.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::found::{Found, Partition};
use crate::random::Random;
use crate::record::{Entry, SECTOR};

/// What is written again, and where it is cut.
pub struct Replay<'a> {
    pub partition: Partition,
    pub random: Random,
    /// What the disk may have in its cache.
    pub cache: Vec<(u64, &'a [u8], bool)>,
    pub cut: PathBuf,
    /// How many cuts, and how many of them lost writes out of order.
    pub cuts: usize,
    pub disordered: usize,
}

impl<'a> Replay<'a> {
    /// Writes the entries of `phase` again, and looks at what `each` cuts of it leave.
    pub fn phase(&mut self, phase: &[Entry<'a>], each: usize, look: &mut dyn FnMut(&Found, &str)) {
        let ours = |entry: &Entry<'_>| match entry {
            Entry::Flush => true,
            Entry::Write { offset, .. } => self.partition.takes(*offset).is_some(),
        };
        let phase: Vec<Entry<'a>> = phase.iter().filter(|entry| ours(entry)).copied().collect();
        assert!(phase.len() > 4, "hardly anything was written: {}", phase.len());
        let mut instants: Vec<usize> =
            (0..each).map(|_| self.random.below(phase.len() as u64) as usize).collect();
        instants.sort_unstable();
        for (n, entry) in phase.iter().enumerate() {
            for _ in instants.iter().filter(|instant| **instant == n) {
                let at = format!("cut {} at write {n} of {}", self.cuts, phase.len());
                self.cuts(entry);
                look(&Found::of(&self.cut), &at);
            }
            match *entry {
                Entry::Flush => self.flush(),
                Entry::Write { offset, data, lasting } => {
                    let place = self.partition.takes(offset).unwrap();
                    assert!(place + data.len() as u64 <= self.partition.end - self.partition.start);
                    self.cache.push((place, data, lasting));
                }
            }
        }
    }

    /// All that was written is on the disk.
    pub fn flush(&mut self) {
        for (place, data, _) in self.cache.drain(..) {
            self.partition.flushed.write_all_at(data, place).unwrap();
        }
    }

    /// What is there after the last write.
    pub fn whole(&mut self) -> Found {
        self.flush();
        Found::of(&self.partition.path)
    }

    /// Leaves in `cut` what a disk has that loses its power during this entry.
    pub fn cuts(&mut self, during: &Entry<'_>) {
        let copied =
            Command::new("cp").arg("--sparse=always").arg(&self.partition.path).arg(&self.cut).status();
        assert!(copied.unwrap().success());
        let cut = File::options().write(true).open(&self.cut).unwrap();
        let in_order = self.cuts.is_multiple_of(2);
        let mut disordered = false;
        for &(place, data, lasting) in &self.cache {
            for (n, sector) in data.chunks(SECTOR).enumerate() {
                if in_order || lasting || self.random.below(2) == 0 {
                    cut.write_all_at(sector, place + (n * SECTOR) as u64).unwrap();
                } else {
                    disordered = true;
                }
            }
        }
        if let Entry::Write { offset, data, .. } = during {
            let sectors = self.random.below((data.len() / SECTOR) as u64 + 1) as usize;
            cut.write_all_at(&data[..sectors * SECTOR], self.partition.takes(*offset).unwrap()).unwrap();
        }
        self.cuts += 1;
        self.disordered += usize::from(disordered);
    }
}
