//! A QEMU whose KVM works only in part, and a file for KVM's device, so that tests have such a KVM on every computer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::Home;

/// In Perl, which every Debian has; a shell cannot listen at a socket.
const QEMU: &str = include_str!("standin-qemu.pl");

/// What happens under KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kvm {
    /// QEMU pauses, as on an instruction that KVM does not carry.
    Paused,
    /// QEMU ends at once.
    Ends,
    /// QEMU runs, and the console is silent.
    Silent,
}

/// What happens without KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tcg {
    /// `the machine is up`, and after three seconds the end.
    Says,
    /// `the machine is up`, and QEMU ends with an error.
    Fails,
    /// The real QEMU of this machine's architecture runs.
    Real,
}

/// Has a command of `home` use the stand-in.
///
/// # Panics
/// When it cannot be written.
pub fn qemu<'a>(home: &Home, command: &'a mut Command, kvm: Kvm, tcg: Tcg) -> &'a mut Command {
    let (qemu, device) = (home.path("standin-qemu"), home.path("kvm"));
    fs::write(&qemu, QEMU).expect("write the stand-in");
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).expect("make it a program");
    fs::write(&device, "").expect("write the device");
    let kvm = match kvm {
        Kvm::Paused => "paused",
        Kvm::Ends => "ends",
        Kvm::Silent => "silent",
    };
    let real = format!("/usr/bin/qemu-system-{}", std::env::consts::ARCH);
    let tcg = match tcg {
        Tcg::Says => "says",
        Tcg::Fails => "fails",
        Tcg::Real => &real,
    };
    command.env("HOOPY_QEMU", qemu).env("HOOPY_KVM", device).env("STANDIN", kvm).env("STANDIN_TCG", tcg)
}

/// How many machines were started under KVM, and how many without; the guests that try KVM do not count.
///
/// # Panics
/// When none was.
pub fn started(home: &Home) -> (usize, usize) {
    let log = fs::read_to_string(home.path("qemus")).expect("a QEMU was started");
    let count = |accelerator: &str| log.lines().filter(|line| *line == accelerator).count();
    (count("kvm"), count("tcg"))
}
