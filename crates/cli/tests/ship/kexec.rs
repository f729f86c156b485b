//! A deploy whose image is started by the kernel that runs, without the firmware, and a reboot through it afterwards.
//!
//! x86_64 only: the stand-in mirror's kexec does not know the compressed kernels of aarch64.

use std::time::Duration;

use hoopy_base::arch::Arch;
use hoopy_testkit::soon;

use crate::choice::Choice;
use crate::falls::falls_back;
use crate::machine::{Machine, WITHIN, toml};

/// Alpine's kernels refuse it without.
const ALLOWED: &str = "cmdline = \"console=tty1 console=ttyS0 kexec_load_disabled=0\"\n";

#[test]
#[ignore = "long: `cargo xtask test` runs it beside the others"]
fn an_image_is_started_without_the_firmware_and_stays_on_trial_until_it_starts_it() {
    if std::env::var("HOOPY_PROVE_ARCH").is_ok_and(|arch| arch == "aarch64") {
        hoopy_testkit::skip("no kexec for aarch64 in the stand-in mirror");
        return;
    }
    let machine = machine();
    let first = machine.runs();
    let status = || {
        let out = machine.command("status", &["--json", "--drift-within", "600"]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap_or_else(|e| panic!("{e}: {said}"))
    };
    let counted = status();
    assert!(counted["drift"].is_number(), "{counted}");
    println!("drift of a fresh boot: {}\n{}", counted["drift"], drift(&machine));

    machine.set("root/etc/motd", "by kexec\n", 0o644);
    let out = machine.command("deploy", &["--kexec", "--json", "--within", WITHIN]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}\n{}", machine.log());
    let came: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let second = machine.runs();
    assert!(second != first && came["came"]["image"] == second.as_str(), "{came}");
    assert_eq!(came["came"]["checked"], true);
    println!("{second} was up and well after {} s, without the firmware", came["came"]["seconds"]);
    let line =
        String::from_utf8(machine.ssh("cat /proc/cmdline; ls /etc/runlevels/shutdown").stdout).unwrap();
    let added = line.contains(" panic=10 ") && line.contains(" hoopy.kexec\n");
    assert!(added && !line.contains("hoopy-kexec"), "{line}");
    let now = status();
    assert_eq!(
        (now["image"].as_str(), now["tries_left"].as_u64()),
        (Some(second.as_str()), Some(3)),
        "{now}"
    );
    assert_eq!(now["drift"], counted["drift"], "nothing of it is left: {}", drift(&machine));

    machine.ssh("reboot");
    let blessed = || {
        let out = machine.ssh("! grep -q hoopy.kexec /proc/cmdline && cat /run/hoopy/health").stdout;
        String::from_utf8_lossy(&out).contains("ACTION=blessed")
    };
    assert!(soon(Duration::from_secs(400), blessed), "{}", machine.log());
    assert_eq!(machine.runs(), second);
    assert!(status()["tries_left"].is_null());
    if Choice::from_environment().full {
        a_panic_is_fallen_back_from_through_the_firmware(&machine);
    }
}

/// A machine that may start a kernel by itself.
fn machine() -> Machine {
    let mut machine = Machine::with(Arch::X86_64, "ab", |machine| {
        let packages = machine.home.path("hello/packages");
        let text = std::fs::read_to_string(&packages).unwrap();
        machine.set("packages", &format!("{text}kexec-tools\n"), 0o644);
        machine.set("hoopy.toml", &toml("ab", ALLOWED), 0o644);
    });
    machine.start();
    machine
}

fn a_panic_is_fallen_back_from_through_the_firmware(machine: &Machine) {
    let panics = ALLOWED.replace("kexec_load_disabled", "rdinit=/gone panic=1 kexec_load_disabled");
    machine.set("hoopy.toml", &toml("ab", &panics), 0o644);
    let said = falls_back(machine, "--kexec");
    assert!(said.contains("it left no log"), "{said}");
}

fn drift(machine: &Machine) -> String {
    let out = machine.command("drift", &[]).output().unwrap();
    String::from_utf8([out.stdout, out.stderr].concat()).unwrap()
}
