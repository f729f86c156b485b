//! The real QEMU is the oracle, and the assembler.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;
use crate::Places;

#[test]
fn the_guest_ends_well_under_an_accelerator_that_works() {
    for arch in Arch::WITH_UKI {
        match Places::default().qemu(arch) {
            Ok(qemu) => {
                assert_eq!(run(arch, &qemu, &std::env::temp_dir(), Accelerator::Tcg), Ok(()), "{arch}")
            }
            Err(e) => hoopy_testkit::skip(e),
        }
    }
}

#[test]
fn the_guest_fails_for_a_program_that_only_looks_like_qemu() {
    for program in ["/bin/true", "/no/such/qemu"] {
        let ended = run(Arch::X86_64, Path::new(program), &std::env::temp_dir(), Accelerator::Kvm);
        assert!(ended.is_err(), "{program}");
    }
}

/// Under TCG with a processor that has no long mode: the guest gets far, and not to its end.
#[test]
fn the_guest_fails_where_a_part_of_what_it_does_is_missing() {
    let Ok(qemu) = Places::default().qemu(Arch::X86_64) else {
        return hoopy_testkit::skip("no QEMU for x86_64");
    };
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("qemu");
    std::fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\" -cpu qemu32\n", qemu.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(run(Arch::X86_64, &script, dir.path(), Accelerator::Tcg).is_err());
}

#[test]
fn the_bytes_are_what_an_assembler_makes_of_the_source() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/probe");
    let dir = tempfile::tempdir().unwrap();
    let make = |commands: &str| {
        let script = format!("set -e; cd {}; S={}; {commands}", dir.path().display(), source.display());
        let made = Command::new("sh").args(["-c", &script]).status().unwrap();
        made.success().then(|| std::fs::read(dir.path().join("bin")).unwrap())
    };
    let x86_64 = "x86_64-linux-gnu-as --64 -o o $S/x86_64.s && \
                  x86_64-linux-gnu-ld -Ttext 0xffff0000 --oformat binary -o bin o";
    let aarch64 =
        "aarch64-linux-gnu-as -o o $S/aarch64.s && aarch64-linux-gnu-objcopy -O binary -j .text o bin";
    for (arch, commands) in [(Arch::X86_64, x86_64), (Arch::Aarch64, aarch64)] {
        match make(commands) {
            Some(bytes) => {
                assert!(bytes == guest(arch), "{arch}: probe/mod.rs has other bytes than the source")
            }
            None => hoopy_testkit::skip(format_args!("GNU binutils for {arch} are not installed")),
        }
    }
}
