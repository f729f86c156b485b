//! A partition that syslinux starts from on a PC with a BIOS, or U-Boot on a board: what lies on it beside the two slots
//! ([`pair`](crate::pair)).
//!
//! ```text
//! ldlinux.sys ldlinux.c32   a PC: syslinux itself, installed once, by `hoopy disk`
//! boot.scr                  a board: what U-Boot runs, written once, by `hoopy disk` ([`uboot`])
//! extlinux.conf             which slot is started: both read it
//! trial.conf                the same for the other slot
//! once                      a board: the next start reads trial.conf
//! a/ b/                     the slots; dtbs/ has the device trees of a board
//! ```
//!
//! Neither loader counts tries; each can be asked for one. syslinux keeps a block of 512 bytes, twice, at the end of
//! ldlinux.sys. Where that has a command for one start, it clears both before it obeys it (com32/elflink/ldlinux/ldlinux.c,
//! doc/ of syslinux: "boot once"): ours is the label `trial`, which leads to trial.conf. U-Boot's script removes `once` with
//! `fatrm`, sees that it is gone, and reads trial.conf; a U-Boot that cannot write to FAT starts no trial at all. The file is
//! empty: its removal is one write to the directory, with no cluster to free.
//!
//! The rules by which the two read extlinux.conf are in [`loader`].

pub mod loader;
pub mod uboot;

use crate::pair::SlotName;

/// The file that the loader reads.
pub const CONFIG: &str = "extlinux.conf";

/// The file that it reads for a trial.
pub const TRIAL: &str = "trial.conf";

/// The file that U-Boot's script takes for the wish to read that.
pub const ONCE: &str = "once";

/// The directory of a slot with a board's device trees.
pub const TREES: &str = "dtbs";

/// The first line.
const MARK: &str = "# hoopy: written anew with each image";

/// The last line.
const END: &str = "# hoopy: the end";

/// A slot that can be started.
#[derive(Debug, Clone)]
pub struct Label<'a> {
    /// Which.
    pub slot: SlotName,
    /// The kernel's arguments.
    pub cmdline: &'a str,
    /// Whether it has device trees.
    pub has_trees: bool,
}

/// The text of extlinux.conf that starts `first`, and where its kernel cannot be loaded, `other`.
///
/// `ONTIMEOUT` is what syslinux falls to when it has asked for a command and nothing was typed; U-Boot takes it for another
/// word for `DEFAULT`, which therefore comes last.
pub fn config(first: &Label<'_>, other: Option<&Label<'_>>) -> String {
    let next = other.unwrap_or(first).slot.directory();
    let labels: String = std::iter::once(first).chain(other).map(label).collect();
    format!(
        "{MARK}\nPROMPT 0\nTIMEOUT 50\nONTIMEOUT {next}\nDEFAULT {}\n{labels}\nLABEL trial\nCONFIG /{TRIAL}\n{END}\n",
        first.slot.directory()
    )
}

fn label(label: &Label<'_>) -> String {
    let slot = label.slot.directory();
    let trees = if label.has_trees { format!("FDTDIR /{slot}/{TREES}\n") } else { String::new() };
    format!(
        "\nLABEL {slot}\nMENU LABEL {slot}\nLINUX /{slot}/vmlinuz\nINITRD /{slot}/initramfs\n{trees}\
         APPEND hoopy.slot={slot} {}\n",
        label.cmdline
    )
}

/// The slot that this text of extlinux.conf starts.
pub fn slot_of(config: &str) -> Option<SlotName> {
    config.lines().filter_map(|line| SlotName::of(line.strip_prefix("DEFAULT ")?)).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extlinux_conf_names_the_slot_that_is_started() {
        let label = |slot| Label { slot, cmdline: "quiet", has_trees: false };
        for slot in SlotName::ALL {
            let text = config(&label(slot), Some(&label(slot.other())));
            assert_eq!(slot_of(&text), Some(slot), "{text}");
            assert!(text.contains(&format!("ONTIMEOUT {}\n", slot.other().directory())), "{text}");
        }
    }
}
