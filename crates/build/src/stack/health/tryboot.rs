//! The program that reboots a Raspberry Pi into tryboot.txt: what others say as `reboot "0 tryboot"`, and BusyBox cannot.
//!
//! It is one system call, reboot(2) with `LINUX_REBOOT_CMD_RESTART2` and the text, and so small that it is written here as
//! it is: an ELF file with one segment, for aarch64. It syncs and stops nothing: a service of the shutdown starts it, at
//! the end of that. Where the kernel refuses, it exits with the number of the error.

/// Where the segment lies in memory.
const ADDRESS: u64 = 0x40_0000;

/// ELF header and one program header (elf(5)).
const HEADERS: u64 = 64 + 56;

/// What the kernel hands to the firmware: partition 0, which is the one that it started from, and the flag.
const TEXT: &[u8; 10] = b"0 tryboot\0";

const SVC: u32 = 0xd400_0001;

/// The instructions; [`TEXT`] follows.
const CODE: [u32; 12] = [
    movz(0, 0xdead),
    movk(0, 0xfee1), // LINUX_REBOOT_MAGIC1
    movz(1, 0x1969),
    movk(1, 0x2812), // LINUX_REBOOT_MAGIC2
    movz(2, 0xc3d4),
    movk(2, 0xa1b2),      // LINUX_REBOOT_CMD_RESTART2
    adr(3, (12 - 6) * 4), // the text
    movz(8, 142),         // reboot
    SVC,
    0xcb00_03e0, // neg x0, x0
    movz(8, 93), // exit
    SVC,
];

/// The low half of a register, with zeros in front (Arm Architecture Reference Manual, C6.2).
const fn movz(register: u32, value: u32) -> u32 {
    0xd280_0000 | (value << 5) | register
}

/// The half above that.
const fn movk(register: u32, value: u32) -> u32 {
    0xf2a0_0000 | (value << 5) | register
}

/// The address so many bytes on, a multiple of four.
const fn adr(register: u32, bytes: u32) -> u32 {
    0x1000_0000 | ((bytes / 4) << 5) | register
}

/// The program.
pub fn program() -> Vec<u8> {
    let size = HEADERS + 4 * CODE.len() as u64 + TEXT.len() as u64;
    let mut out = Vec::new();
    out.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"); // 64 bits, little-endian
    out.extend([2_u16, 183].map(u16::to_le_bytes).concat()); // executable, aarch64
    out.extend(1_u32.to_le_bytes());
    out.extend([ADDRESS + HEADERS, 64, 0].map(u64::to_le_bytes).concat()); // entry, program headers, no sections
    out.extend(0_u32.to_le_bytes());
    out.extend([64_u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    out.extend([1_u32, 5].map(u32::to_le_bytes).concat()); // to be loaded, to read and execute
    out.extend([0, ADDRESS, ADDRESS, size, size, 0x1_0000].map(u64::to_le_bytes).concat());
    out.extend(CODE.map(u32::to_le_bytes).concat());
    out.extend(TEXT);
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;

    /// The program itself is started in a virtual machine alone (`crates/cli/tests/cli/pi.rs`): it reboots.
    #[test]
    fn binutils_takes_it_for_a_program_of_one_system_call() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tryboot");
        std::fs::write(&file, program()).unwrap();
        let out = Command::new("readelf").args(["-hl", "-W"]).arg(&file).output();
        let Ok(out) = out else { return hoopy_testkit::skip("no readelf") };
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        for expected in ["AArch64", "EXEC (Executable file)", "0x400078", "R E 0x10000"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
