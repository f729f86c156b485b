//! A partition with two directories: a loader that counts nothing starts one, and the next image goes to the other.
//!
//! Two kinds of machines have it: a Raspberry Pi ([`pi`](crate::pi), `layout = "pi"`), and whatever starts by syslinux or by
//! U-Boot ([`extlinux`](crate::extlinux), `layout = "extlinux"`). They differ in the file that their loader reads, and in how
//! it is told to read another one, once:
//!
//! ```text
//! config.txt     extlinux.conf   says which slot is started
//! tryboot.txt    trial.conf      the same for the other slot: read once in place of it, where that was asked for
//! a/                             a slot
//!   nas-2026112901.efi           the image as it was built: the next deploy copies from it what has not changed
//!   vmlinuz initramfs cmdline.txt its parts, as the loader reads them
//!   ...                          its device trees and overlays, where the image has some, and SHA256SUMS of these
//!   hoopy.txt                    the image's name: written last, removed first, so the slot is whole with it
//!   good                         it was the slot that is started
//!   tried                        it was to be tried, and has not become good: it is given up
//! b/                             the other slot
//! ```
//!
//! What asks for a trial is taken back by the loader before it starts anything, so an image on trial has one try, and
//! whatever ends it, the next start is that of the slot before. What never happens:
//!
//! - The slot that is started is not written to. It is left for the other one by one rename, over the loader's file, which
//!   Linux writes as one sector of a directory (fs/fat/namei_vfat.c).
//! - A name is not removed or written to where a cut may have left two names for one file: FAT would free, under the one,
//!   what the other still has. So nothing is renamed but the file that becomes the loader's, and that had a name that is
//!   used once. The trial's file is written in place: nothing reads it but a trial, and none is asked for at that time.
//!
//! The machine does this in its shell, [`SHELL`]. `tests/pair` runs that against models of FAT and of the loaders.

use serde::Serialize;

use crate::layout::Layout;

/// The shell's half: to be read behind [`MACHINE`](crate::shell::MACHINE).
pub const SHELL: &str = include_str!("pair.sh");

/// The file that says that a slot is whole.
pub const WHOLE: &str = "hoopy.txt";

/// The file that says that a slot was started without being on trial.
pub const GOOD: &str = "good";

/// The parts of an image in its slot: kernel, initramfs, command line.
pub const PARTS: [&str; 3] = ["vmlinuz", "initramfs", "cmdline.txt"];

/// One of the two directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotName {
    /// `a/`
    A,
    /// `b/`
    B,
}

impl SlotName {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The directory.
    pub const fn directory(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The slot with this directory.
    pub fn of(directory: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.directory() == directory)
    }

    /// The one beside it.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The slot that a path on the partition is in.
    pub fn holding(path: &str) -> Option<Self> {
        path.split_once('/').and_then(|(directory, _)| Self::of(&directory.to_ascii_lowercase()))
    }
}

/// Whose loader it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Loader {
    /// The firmware of a Raspberry Pi.
    Pi,
    /// syslinux, or U-Boot.
    Extlinux,
}

impl Loader {
    /// The one with this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "pi" => Some(Self::Pi),
            "extlinux" => Some(Self::Extlinux),
            _ => None,
        }
    }

    /// How images lie.
    pub const fn layout(self) -> Layout {
        match self {
            Self::Pi => Layout::Pi,
            Self::Extlinux => Layout::Extlinux,
        }
    }
}

/// A slot as a machine tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotState {
    /// The image in it, where all of that is there.
    pub image: Option<String>,
    /// Whether it was the one that is started.
    pub good: bool,
    /// Whether it was to be tried.
    pub tried: bool,
}

/// Such a partition as a machine tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Whose loader starts it.
    pub loader: Loader,
    /// The slot that is started.
    pub started: SlotName,
    /// `a` and `b`.
    pub slots: [SlotState; 2],
}

/// Why there is nothing to roll back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPrevious {
    /// The other slot has no image, or a part of one.
    Empty,
    /// The image in the other slot was never found well.
    NeverGood,
}

impl Pair {
    /// A slot's state.
    pub fn slot(&self, name: SlotName) -> &SlotState {
        let [a, b] = &self.slots;
        match name {
            SlotName::A => a,
            SlotName::B => b,
        }
    }

    /// The slot of this image.
    pub fn slot_with(&self, image: &str) -> Option<SlotName> {
        SlotName::ALL.into_iter().find(|name| self.slot(*name).image.as_deref() == Some(image))
    }

    /// The slot that a new image goes to: never the one that is started.
    pub const fn target(&self) -> SlotName {
        self.started.other()
    }

    /// How often the image of this slot will be tried still; none where it is good.
    pub fn tries_left(&self, name: SlotName) -> Option<u32> {
        let slot = self.slot(name);
        let is_good = name == self.started || slot.good;
        (!is_good).then(|| u32::from(!slot.tried))
    }

    /// The slot with an image that waits for its one try.
    pub fn staged(&self) -> Option<SlotName> {
        let other = self.target();
        (self.slot(other).image.is_some() && self.tries_left(other) == Some(1)).then_some(other)
    }

    /// Where a rollback leads: from an image that waits for its try to the one that is started, else to the one before.
    ///
    /// # Errors
    /// [`NoPrevious`].
    pub fn rollback(&self) -> Result<SlotName, NoPrevious> {
        if self.staged().is_some() {
            return Ok(self.started);
        }
        match self.slot(self.target()) {
            SlotState { image: None, .. } => Err(NoPrevious::Empty),
            SlotState { good: false, .. } => Err(NoPrevious::NeverGood),
            SlotState { .. } => Ok(self.target()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn slot(image: &str, good: bool, tried: bool) -> SlotState {
        SlotState { image: Some(image.to_owned()), good, tried }
    }

    #[test]
    fn a_new_image_never_goes_where_the_started_one_is() {
        for started in SlotName::ALL {
            let card = Pair { loader: Loader::Pi, started, slots: Default::default() };
            assert_ne!(card.target(), started);
            assert_eq!(SlotName::holding(&format!("{}/x.efi", started.directory())), Some(started));
        }
    }

    #[test]
    fn an_image_has_one_try() {
        let with = |other| Pair {
            loader: Loader::Pi,
            started: SlotName::A,
            slots: [slot("nas-1", true, false), other],
        };
        let waits = with(slot("nas-2", false, false));
        assert_eq!((waits.staged(), waits.tries_left(SlotName::B)), (Some(SlotName::B), Some(1)));
        let failed = with(slot("nas-2", false, true));
        assert_eq!((failed.staged(), failed.tries_left(SlotName::B)), (None, Some(0)));
        let before = with(slot("nas-0", true, true));
        assert_eq!((before.staged(), before.tries_left(SlotName::B)), (None, None));
        assert_eq!(waits.slot_with("nas-2"), Some(SlotName::B));
    }

    #[test]
    fn a_rollback_goes_to_what_was_good() {
        let to = |other| {
            Pair { loader: Loader::Pi, started: SlotName::A, slots: [slot("nas-2", true, false), other] }
                .rollback()
        };
        assert_eq!(to(slot("nas-3", false, false)).unwrap(), SlotName::A, "it was not started yet");
        assert_eq!(to(slot("nas-1", true, true)).unwrap(), SlotName::B);
        assert_eq!(to(slot("nas-1", false, true)), Err(NoPrevious::NeverGood));
        assert_eq!(to(SlotState::default()), Err(NoPrevious::Empty));
    }
}
