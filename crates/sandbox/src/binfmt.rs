//! Whether this machine runs programs of another architecture: by an interpreter registered with the kernel
//! (Documentation/admin-guide/binfmt-misc.rst), qemu-user as a rule.

use std::path::Path;

/// Where the kernel shows what is registered.
const REGISTERED: &str = "/proc/sys/fs/binfmt_misc";

/// Longest description of an interpreter: a path, a magic and a mask of at most 128 bytes each in hexadecimal.
const MAX_ENTRY: usize = 8 << 10;

/// The ELF machine number (elf.h) of an architecture as Alpine names it, and its class: 1 for 32 bits, 2 for 64.
fn machine(arch: &str) -> Option<(u16, u8)> {
    Some(match arch {
        "x86" => (3, 1),
        "ppc64le" => (21, 2),
        "s390x" => (22, 2),
        "armhf" | "armv7" => (40, 1),
        "x86_64" => (62, 2),
        "aarch64" => (183, 2),
        "riscv64" => (243, 2),
        "loongarch64" => (258, 2),
        _ => return None,
    })
}

/// Whether scripts of `arch` (`aarch64`, `x86_64`, ...) run here: natively, or by an interpreter that works in a
/// sandbox too, which one registered with flag F does, since the kernel has it open already.
pub fn registered(arch: &str) -> bool {
    arch == std::env::consts::ARCH || registered_in(Path::new(REGISTERED), arch)
}

fn registered_in(dir: &Path, arch: &str) -> bool {
    let status = std::fs::read_to_string(dir.join("status")).unwrap_or_default();
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    status.trim() == "enabled"
        && entries
            .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .any(|text| text.len() <= MAX_ENTRY && runs(&text, arch))
}

/// Whether a registered interpreter, as the kernel describes it, runs `arch` in a sandbox.
fn runs(description: &str, arch: &str) -> bool {
    let field = |name: &str| description.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let enabled = description.lines().next() == Some("enabled");
    let fixed = field("flags:").is_some_and(|flags| flags.contains('F'));
    let starts_at_0 = field("offset ") == Some("0");
    enabled && fixed && starts_at_0 && field("magic ").is_some_and(|magic| is_magic_of(magic, arch))
}

/// Whether a magic is that of ELF programs of `arch`: its class, byte order and machine number.
fn is_magic_of(magic: &str, arch: &str) -> bool {
    let Ok(bytes) = data_encoding::HEXLOWER_PERMISSIVE.decode(magic.as_bytes()) else { return false };
    let Some((number, class)) = machine(arch) else { return false };
    let (order, number) = match arch {
        "s390x" => (2, number.to_be_bytes()),
        _ => (1, number.to_le_bytes()),
    };
    bytes.starts_with(b"\x7fELF")
        && bytes.get(4..6) == Some(&[class, order])
        && bytes.get(18..20) == Some(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMU: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\n\
                        magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn knows_an_interpreter_by_its_magic_and_wants_flag_f() {
        assert!(runs(QEMU, "aarch64"));
        assert!(!runs(QEMU, "riscv64"));
        assert!(!runs(&QEMU.replace("POCF", "POC"), "aarch64"));
        assert!(!runs(&QEMU.replace("enabled", "disabled"), "aarch64"));
        assert!(!runs("", "aarch64"));
    }
}
