//! What a system runs on, and what that changes in its files: the kernel, how images lie, the serial port.

use hoopy_base::arch::Arch;

use super::File;

/// The line of `packages` with the kernel of virtual machines.
pub(super) const KERNEL: &str = "linux-virt";

/// The same lines for real machines.
const METAL: &str = "\
linux-lts
# Firmware that its hardware needs, as linux-firmware-i915 (`hoopy search linux-firmware` finds them), in place of this
linux-firmware-none
# Corrections for its processor: one of intel-ucode and amd-ucode
# intel-ucode
";

/// The same lines for boards of 32-bit ARM.
const ARMV7: &str = "\
linux-lts
# Firmware that its hardware needs (`hoopy search linux-firmware` finds it), in place of this
linux-firmware-none
";

/// The same lines for a Raspberry Pi. What its boards start with comes by the layout.
const PI: &str = "\
linux-rpi
# For wireless LAN and Bluetooth linux-firmware-brcm, in place of this
linux-firmware-none
";

/// How images lie on its card.
const PI_LAYOUT: &str = "layout = \"pi\"\n";

/// The firmware puts the name of the board's serial port in place of `serial0`; the last one is `/dev/console`.
const PI_CMDLINE: &str = "cmdline = \"console=tty1 console=serial0,115200\"\n";

/// In place of a login on a serial port that has a name of its own on each board.
const PI_GETTY: &str = "::respawn:/sbin/getty -L 115200 console vt100\n";

/// In front of the modules: linux-rpi needs none for a board's own devices.
const PI_MODULES: &str =
    "# Kernel modules to load, one a line. linux-rpi has the boards' Ethernet built in.\n";

/// In place of a comment about other kernels.
const PI_COMMENT: &str =
    "# The kernel is Raspberry Pi's own: others do not ask the firmware to try an image.";

/// What READMEs of templates say of a PC, and what is so on a Raspberry Pi. Longer texts come first.
const PI_WORDS: [(&str, &str); 10] = [
    (
        "2. In `packages`, take `linux-lts` instead of `linux-virt`, and the firmware packages that the machine's cards need, or\n   \
         `linux-firmware-none`.\n",
        "2. For wireless LAN, take `linux-firmware-brcm` instead of `linux-firmware-none` in `packages`.\n",
    ),
    ("--template nas --for metal", "--template nas --for pi"),
    ("with `linux-lts` and your", "with `linux-rpi` and your"),
    ("; or [a TPM](#without-an-owner-who-unlocks-it)", ""),
    ("systemd-boot goes back", "the firmware goes back"),
    ("writes a stick or card with", "writes the card with"),
    ("writes a stick that the machine boots", "writes the card that the board starts from"),
    ("makes a new stick in minutes", "makes a new card in minutes"),
    ("/dev/sdX", "/dev/CARD"),
    ("**The boot disk.**", "**The card.**"),
];

/// A section that READMEs have for machines with a TPM: a Raspberry Pi has none.
const TPM_SECTION: &str = "## Without an owner who unlocks it\n";

/// What a system runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    /// A virtual machine.
    Vm,
    /// Real hardware.
    Metal,
    /// A Raspberry Pi.
    Pi,
}

impl Hardware {
    /// The one architecture that it has, where it has one.
    pub const fn arch(self) -> Option<Arch> {
        match self {
            Self::Vm | Self::Metal => None,
            Self::Pi => Some(Arch::Aarch64),
        }
    }

    /// Changes the files of a system for a virtual machine into those for this. Of an architecture without virtual
    /// machines, it is real hardware.
    pub(super) fn adapt(self, arch: Arch, files: &mut [File]) {
        let hardware = if self == Self::Vm && !arch.has_uki() { Self::Metal } else { self };
        for (path, _, text) in files {
            match (path.as_str(), hardware) {
                (_, Self::Vm) => {}
                ("packages", Self::Metal) => *text = with_kernel(text, metal(arch)),
                (_, Self::Metal) => {}
                ("packages", Self::Pi) => *text = with_kernel(&pi_comments(text), PI),
                ("hoopy.toml", Self::Pi) => *text = pi_toml(text),
                ("root/etc/inittab", Self::Pi) => *text = pi_inittab(text),
                ("root/etc/modules", Self::Pi) => *text = pi_modules(text),
                ("README.md", Self::Pi) => *text = pi_readme(text),
                (_, Self::Pi) => {}
            }
        }
    }
}

/// Alpine has no other kernel for armhf, and no microcode for ARM.
fn metal(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 | Arch::Aarch64 => METAL,
        Arch::Armv7 => ARMV7,
        Arch::Armhf => PI,
    }
}

fn with_kernel(packages: &str, lines: &str) -> String {
    packages.replace(&format!("\n{KERNEL}\n"), &format!("\n{lines}"))
}

/// Its layout in place of another one, or behind the name; its consoles in place of others, or of a comment with some.
fn pi_toml(text: &str) -> String {
    let has_layout = text.lines().any(|line| line.starts_with("layout = "));
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with("layout = ") {
            out += PI_LAYOUT;
        } else if line.starts_with("cmdline = ") || line.starts_with("# cmdline = ") {
            out += PI_CMDLINE;
        } else if line.starts_with("# open = \"tpm\"") {
            // A Raspberry Pi has no TPM.
        } else if line.starts_with("name = ") && !has_layout {
            out += &format!(
                "{line}\n\n# The card of a Raspberry Pi: a new image is tried once before it counts as good.\n{PI_LAYOUT}"
            );
        } else {
            out += &line.replace("systemd-boot tries a new image", "A new image is tried once");
            out += "\n";
        }
    }
    out
}

/// Without those of a virtual machine; what the system itself needs stays.
fn pi_modules(text: &str) -> String {
    let is_own = |line: &&str| !line.starts_with('#') && !line.starts_with("virtio_");
    PI_MODULES.lines().chain(text.lines().filter(is_own)).map(|line| format!("{line}\n")).collect()
}

/// Comments about the kernels of other machines.
fn pi_comments(packages: &str) -> String {
    let is_of_kernels =
        |line: &str| line.starts_with('#') && (line.contains(KERNEL) || line.contains("linux-lts"));
    let line = |line| if is_of_kernels(line) { PI_COMMENT } else { line };
    packages.lines().map(|text| format!("{}\n", line(text))).collect()
}

/// What the documents of the templates say of a PC, in words about a card.
fn pi_readme(text: &str) -> String {
    let text = without_section(text, TPM_SECTION);
    PI_WORDS.iter().fold(text, |text, (pc, pi)| text.replace(pc, pi))
}

/// A text without the section that begins with this line.
fn without_section(text: &str, title: &str) -> String {
    let Some((before, section)) = text.split_once(title) else { return text.to_owned() };
    let after = section.split_once("\n## ").map_or(String::new(), |(_, after)| format!("## {after}"));
    format!("{before}{after}")
}

fn pi_inittab(text: &str) -> String {
    let is_serial = |line: &str| line.starts_with("ttyS0:") || line.starts_with("ttyAMA0:");
    text.lines().map(|line| if is_serial(line) { PI_GETTY.to_owned() } else { format!("{line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_goes_and_what_is_around_it_stays() {
        assert_eq!(without_section("# A\n\n## B\nb\n\n## C\nc\n", "## B\n"), "# A\n\n## C\nc\n");
        assert_eq!(without_section("# A\n## B\nb\n", "## B\n"), "# A\n");
        assert_eq!(without_section("# A\n", "## B\n"), "# A\n");
    }

    #[test]
    fn a_raspberry_pi_loads_what_the_system_needs_and_nothing_of_a_virtual_machine() {
        let found = pi_modules("# for `hoopy run`\naf_packet\nvirtio_net\nbtrfs\n");
        assert_eq!(found, format!("{PI_MODULES}af_packet\nbtrfs\n"));
    }
}
