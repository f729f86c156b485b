//! The kernel's command line: what hoopy adds, what the user wrote, and whether all of it arrives.
//!
//! ```text
//! rdinit=/usr/libexec/hoopy/init panic=10 console=tty1 console=ttyS0 hoopy.kexec
//! └─ hoopy's, where not written ────────┘ └─ as written ───────────┘ └─ of deploy --kexec
//! ```

use hoopy_base::arch::Arch;
use hoopy_boot::layout::Layout;

use crate::stack::root_mount::INIT;

/// What `hoopy deploy --kexec` puts behind the command line of an image that it starts.
const KEXEC: &str = " hoopy.kexec";

/// What stands in front of it with `layout = "extlinux"`: syslinux' own words (doc/syslinux.txt), and the slot.
const EXTLINUX: &str = "BOOT_IMAGE=/a/vmlinuz initrd=/a/initramfs hoopy.slot=a ";

/// What is added to the line of an image when it is started.
const fn added_later(layout: Layout) -> &'static str {
    match layout {
        Layout::Extlinux => EXTLINUX,
        Layout::Single | Layout::Ab | Layout::Pi => KEXEC,
    }
}

/// The kernel's arguments: as written, or both consoles; in front of them `rdinit=` and [`INIT`] where no `rdinit=`
/// is given, since the kernel's own default is `/init` (init/main.c).
///
/// Where images have [trials](Layout::has_trials) a panic reboots after ten seconds, long enough to read or record it, where no `panic=` is
/// given: a kernel that stops for ever (its own default) would never get to the previous image. An oops is left to
/// be one: it need not be the image's fault, and what it stops, the health check or the watchdog finds.
///
/// Ours are in front, since the kernel hands what follows `--` to the first program, and since a line that is too
/// long loses its end.
pub fn command_line(written: Option<&str>, arch: Arch, layout: Layout) -> String {
    let written = written.map_or_else(|| consoles(arch, layout), str::to_owned);
    let words: Vec<&str> = written.split_whitespace().collect();
    let given = |key: &str| words.iter().take_while(|word| **word != "--").any(|word| word.starts_with(key));
    let init = format!("rdinit={INIT}");
    let init = (!given("rdinit=")).then_some(init.as_str());
    let panic = (layout.has_trials() && !given("panic=")).then_some("panic=10");
    let all: Vec<&str> = init.into_iter().chain(panic).chain(words.iter().copied()).collect();
    all.join(" ")
}

/// Both consoles. A Raspberry Pi's firmware writes the name of the board's serial line in place of `serial0`.
fn consoles(arch: Arch, layout: Layout) -> String {
    match layout {
        Layout::Single | Layout::Ab | Layout::Extlinux => format!("console=tty1 console={}", arch.console()),
        Layout::Pi => "console=serial0,115200 console=tty1".to_owned(),
    }
}

/// A command line whose end would be lost. The systemd stub passes on what there is; the kernel's own stub cuts it at
/// the last word that fits, and says so on a console that nobody sees (`efi_convert_cmdline`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the command line has {found} bytes, {added} of them added by hoopy: expected at most {most}, which is what a \
     kernel of {arch} takes; the end would be lost"
)]
pub struct LongCommandLine {
    /// The bytes of all of it.
    pub found: usize,
    /// Bytes of it that the user did not write.
    pub added: usize,
    /// Most that the kernel takes.
    pub most: usize,
    /// The kernel's architecture.
    pub arch: Arch,
}

/// Most bytes that the kernel takes: `COMMAND_LINE_SIZE`, but for the NUL (arch/x86/include/asm/setup.h,
/// arch/arm64/include/uapi/asm/setup.h, arch/arm/include/uapi/asm/setup.h).
fn limit(arch: Arch) -> usize {
    match arch {
        Arch::X86_64 | Arch::Aarch64 => 2048 - 1,
        Arch::Armv7 | Arch::Armhf => 1024 - 1,
    }
}

/// Refuses what [`command_line`] made of `written` where the kernel would lose its end, however it is started.
///
/// # Errors
/// [`LongCommandLine`].
pub fn check_length(written: Option<&str>, arch: Arch, layout: Layout) -> Result<(), LongCommandLine> {
    let line = command_line(written, arch, layout);
    let (found, most) = (line.len() + added_later(layout).len(), limit(arch));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").len();
    let added = found - written.map_or(0, words).min(found);
    if found > most { Err(LongCommandLine { found, added, most, arch }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_hoopy_adds_is_in_front_and_nothing_is_added_twice() {
        let line = |written, layout| command_line(Some(written), Arch::X86_64, layout);
        assert_eq!(line("quiet  -- single", Layout::Ab), format!("rdinit={INIT} panic=10 quiet -- single"));
        assert_eq!(line("quiet", Layout::Single), format!("rdinit={INIT} quiet"));
        assert_eq!(line("quiet", Layout::Pi), format!("rdinit={INIT} panic=10 quiet"));
        let default = command_line(None, Arch::Aarch64, Layout::Pi);
        assert!(default.ends_with(" console=serial0,115200 console=tty1"), "{default}");
        assert_eq!(line("panic=3 rdinit=/x", Layout::Ab), "panic=3 rdinit=/x");
        // These are words for init, and not for the kernel
        assert_eq!(line("-- panic=3", Layout::Ab), format!("rdinit={INIT} panic=10 -- panic=3"));
    }

    #[test]
    fn a_command_line_of_which_the_kernel_loses_nothing_is_taken_to_the_last_byte() {
        for (arch, layout) in
            [(Arch::X86_64, Layout::Ab), (Arch::Aarch64, Layout::Single), (Arch::X86_64, Layout::Extlinux)]
        {
            let ours = command_line(Some(""), arch, layout).len() + 1 + added_later(layout).len();
            let fits = "a".repeat(2047 - ours);
            assert_eq!(check_length(Some(&fits), arch, layout), Ok(()));
            let error = check_length(Some(&format!("{fits}a")), arch, layout).unwrap_err();
            assert_eq!(error, LongCommandLine { found: 2048, added: ours, most: 2047, arch });
        }
        assert_eq!(check_length(None, Arch::X86_64, Layout::Ab), Ok(()));
    }

    #[test]
    fn bytes_are_counted_and_not_letters() {
        assert_eq!(check_length(Some(&"é".repeat(900)), Arch::X86_64, Layout::Single), Ok(()));
        assert!(check_length(Some(&"é".repeat(1020)), Arch::X86_64, Layout::Single).is_err());
    }

    #[test]
    fn the_word_of_a_kexec_is_the_one_that_is_counted() {
        let script = include_str!("../../../ship/src/deploy/remote/kexec.sh");
        assert!(script.contains(&format!("{KEXEC}\"\n")), "{script}");
    }
}
