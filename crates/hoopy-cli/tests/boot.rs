//! Booting for real: the very file that was built, UEFI firmware, a login, a look around.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use hoopy::arch::Arch;
use hoopy::ship::vm::{Acceleration, Places, Vm, VmConfig};
use hoopy_testkit::Home;

/// Generous: emulation on a busy machine.
const LONG: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_secs(60);

fn boots(arch: Arch) {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.example("hello");
    let built = home.ok(&["build", "hello", "--arch", arch.as_str(), "--quiet"]);
    let config = VmConfig {
        arch,
        image: built.trim().into(),
        memory: 512 << 20,
        cpus: 2,
        forwards: Vec::new(),
        disks: Vec::new(),
        no_reboot: true,
        acceleration: Acceleration::Auto,
        places: Places { path: vec!["/usr/bin".into(), "/usr/sbin".into()], ..Places::default() },
        temp: home.path(""),
    };
    let mut console = Vm::prepare(&config).unwrap().console(None).unwrap();
    console.login("root", Some("hello"), LONG).unwrap();
    let mut shell = |command: &str| {
        let (status, output) = console.run(command, SHORT).unwrap();
        assert_eq!(status, 0, "{command}: {output}");
        output.trim().to_owned()
    };
    assert_eq!(shell("uname -m"), arch.as_str());
    assert_eq!(shell("hostname"), "hello");
    assert!(shell("cat /etc/hoopy-release").contains("IMAGE=hello"));
    assert!(shell("grep ' / ' /proc/mounts").contains("rootfs"), "the root is in memory");
    assert!(shell("apk info").contains("busybox"));
    assert_eq!(shell("rc-status --crashed 2>&1 | grep -c crashed || true"), "0");
    assert!(shell("ip addr show eth0").contains("10.0.2.15"), "the network is up");
}

#[test]
fn hello_boots_to_a_login_on_x86_64() {
    boots(Arch::X86_64);
}

#[test]
fn hello_boots_to_a_login_on_aarch64() {
    boots(Arch::Aarch64);
}
