#![expect(clippy::unwrap_used, reason = "tests")]
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use hoopy_testkit::soon;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A program that ends as the script says, as a QEMU under this accelerator.
fn fault(script: &str, accelerator: Accelerator) -> Option<Fault> {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("qemu");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let start = Start {
        program: &program,
        temp: dir.path(),
        dir: dir.path(),
        accelerator,
        may_fall_back: false,
        silent: Duration::ZERO,
    };
    let mut qemu = Qemu::start(&start, |_| {}).unwrap();
    assert!(soon(PATIENCE, || qemu.exit_status().is_some()));
    qemu.fault()
}

#[test]
fn a_qemu_that_ends_for_kvm_is_told_from_one_that_ends_for_something_else() {
    let kvm =
        "echo 'qemu: error: failed to set MSR 0x10a to 0x69' >&2; echo 'kvm.c:3183: Assertion' >&2; exit 1";
    let fault_of_kvm = fault(kvm, Accelerator::Kvm).unwrap();
    assert_eq!(
        fault_of_kvm.to_string(),
        "KVM failed: QEMU ended by itself (exit status: 1): qemu: error: failed to set MSR 0x10a to 0x69"
    );
    assert!(fault("kill -ABRT $$", Accelerator::Kvm).unwrap().kvm);
    assert_eq!(fault(kvm, Accelerator::Tcg), None);
    assert_eq!(fault("echo 'port 22 is taken' >&2; exit 1", Accelerator::Kvm), None);
    assert_eq!(fault("exit 0", Accelerator::Kvm), None);
}

#[test]
fn the_line_that_names_the_error_is_shown_and_not_the_registers() {
    let said = "warning: no pni\nKVM internal error. Suberror: 1\n\nEAX=00000620\nCode=ff ff\n";
    assert_eq!(telling_line(said).unwrap(), "KVM internal error. Suberror: 1");
    assert_eq!(telling_line("one\ntwo\n").unwrap(), "two");
    assert_eq!(telling_line(" \n"), None);
}
