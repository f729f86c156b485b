//! The card of a Raspberry Pi: its one FAT partition, and what may happen to it.
//!
//! ```text
//! bootcode.bin start*.elf fixup*.dat    the boards' firmware, written once, by `hoopy disk`
//! config.txt                            the owner's lines, then ours: os_prefix=a/ says which slot is started
//! tryboot.txt                           the same with os_prefix=b/: read in place of config.txt where the reboot asked so
//! a/                                    a slot
//!   nas-2026112901.efi                  the image as it was built: the next deploy copies from it what has not changed
//!   vmlinuz initramfs cmdline.txt       its parts, as the firmware reads them
//!   *.dtb overlays/ config.txt          its device trees, and the owner's lines, where the image has some
//!   hoopy.txt                           the image's name: written last, removed first, so the slot is whole with it
//!   good                                it was the slot that is started
//!   tried                               it was to be tried, and has not become good: it is given up
//! b/                                    the other slot
//! ```
//!
//! `reboot "0 tryboot"` sets a flag in the board that the firmware clears as it starts: an image on trial has one try, and
//! whatever ends it, the next start reads config.txt. The rules of the firmware are in [`firmware`]. What never happens:
//!
//! - The slot that config.txt names is not written to. It is left for the other one by one rename, over config.txt, which
//!   Linux writes as one sector of a directory (fs/fat/namei_vfat.c).
//! - A name is not removed or written to where a cut may have left two names for one file: FAT would free, under the one,
//!   what the other still has. So nothing is renamed but the file that becomes config.txt, and that had a name that is
//!   used once. tryboot.txt is written in place: nothing reads it but a trial.
//!
//! The machine does this in its shell, [`SHELL`]. `tests/pi` runs that against a model of FAT and of the firmware.

pub mod firmware;

use serde::Serialize;

/// The shell's half: to be read behind [`MACHINE`](crate::shell::MACHINE).
pub const SHELL: &str = include_str!("pi.sh");

/// Ours in config.txt begins with this line.
pub const MARK: &str = "# hoopy: all from this line on is replaced with each image";

/// The file that the firmware reads.
pub const CONFIG: &str = "config.txt";

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

    /// The slot that a path on the card is in.
    pub fn holding(path: &str) -> Option<Self> {
        path.split_once('/').and_then(|(directory, _)| Self::of(&directory.to_ascii_lowercase()))
    }
}

/// The text of config.txt that starts `slot`, with the owner's lines first.
pub fn config(owner: &str, slot: SlotName) -> String {
    let newline = if owner.is_empty() || owner.ends_with('\n') { "" } else { "\n" };
    format!(
        "{owner}{newline}{MARK}\n[all]\nos_prefix={}/\noverlay_prefix=overlays/\nkernel=vmlinuz\n\
         initramfs initramfs followkernel\ncmdline=cmdline.txt\narm_64bit=1\n",
        slot.directory()
    )
}

/// The slot that this text of config.txt names.
pub fn slot_of(config: &str) -> Option<SlotName> {
    let prefixes = config.lines().filter_map(|line| line.strip_prefix("os_prefix=")?.strip_suffix('/'));
    prefixes.filter_map(SlotName::of).next_back()
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

/// A card as a machine tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The slot that config.txt names.
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

impl Card {
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
    fn config_txt_names_the_slot_behind_the_owners_lines() {
        for owner in ["", "dtparam=audio=on", "[pi4]\nos_prefix=a/\n"] {
            let text = config(owner, SlotName::B);
            assert!(text.starts_with(owner), "{text}");
            assert_eq!(slot_of(&text), Some(SlotName::B));
        }
        assert_eq!(slot_of("os_prefix=test-\n"), None);
    }

    #[test]
    fn a_new_image_never_goes_where_the_started_one_is() {
        for started in SlotName::ALL {
            let card = Card { started, slots: Default::default() };
            assert_ne!(card.target(), started);
            assert_eq!(SlotName::holding(&format!("{}/x.efi", started.directory())), Some(started));
        }
    }

    #[test]
    fn an_image_has_one_try() {
        let with = |other| Card { started: SlotName::A, slots: [slot("nas-1", true, false), other] };
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
        let to = |other| Card { started: SlotName::A, slots: [slot("nas-2", true, false), other] }.rollback();
        assert_eq!(to(slot("nas-3", false, false)).unwrap(), SlotName::A, "it was not started yet");
        assert_eq!(to(slot("nas-1", true, true)).unwrap(), SlotName::B);
        assert_eq!(to(slot("nas-1", false, true)), Err(NoPrevious::NeverGood));
        assert_eq!(to(SlotState::default()), Err(NoPrevious::Empty));
    }
}
