//! The card of a Raspberry Pi: what lies on it beside the two slots ([`pair`](crate::pair)), and what its firmware reads.
//!
//! ```text
//! bootcode.bin start*.elf fixup*.dat    the boards' firmware, written once, by `hoopy disk`
//! config.txt                            the owner's lines, then ours: os_prefix=a/ says which slot is started
//! tryboot.txt                           the same with os_prefix=b/: read in place of config.txt where the reboot asked so
//! a/ b/                                 the slots; *.dtb overlays/ config.txt are device trees and the owner's lines
//! ```
//!
//! `reboot "0 tryboot"` sets a flag in the board that the firmware clears as it starts: an image on trial has one try, and
//! whatever ends it, the next start reads config.txt. The rules of the firmware are in [`firmware`].

pub mod firmware;

use crate::pair::SlotName;

/// Ours in config.txt begins with this line.
pub const MARK: &str = "# hoopy: all from this line on is replaced with each image";

/// The file that the firmware reads.
pub const CONFIG: &str = "config.txt";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_txt_names_the_slot_behind_the_owners_lines() {
        for owner in ["", "dtparam=audio=on", "[pi4]\nos_prefix=a/\n"] {
            let text = config(owner, SlotName::B);
            assert!(text.starts_with(owner), "{text}");
            assert_eq!(slot_of(&text), Some(SlotName::B));
        }
        assert_eq!(slot_of("os_prefix=test-\n"), None);
    }
}
