//! What is fallen back from: `hoopy deploy` says so, shows what the machine left of it, and ends with 9.

use std::os::unix::fs::symlink;

use crate::choice::Choice;
use crate::machine::{BOOT_LIMIT, Machine, WITHIN, succeeds, toml};

/// The exit code of a deploy that was fallen back from.
const FELL_BACK: i32 = 9;

pub fn an_image_whose_check_fails_is_fallen_back_from(machine: &mut Machine, _: &Choice) {
    let check = "root/etc/hoopy/health.d/bad";
    machine.set(check, "#!/bin/sh\necho the disk is gone\nexit 1\n", 0o755);
    let said = falls_back(machine, "--reboot");
    assert!(said.contains("health.d/bad failed with 1") && said.contains("the disk is gone"), "{said}");
    machine.unset(check);
}

pub fn an_image_that_panics_is_fallen_back_from(machine: &mut Machine, _: &Choice) {
    machine.set("hoopy.toml", &toml("ab", "cmdline = \"rdinit=/gone panic=1\""), 0o644);
    let said = falls_back(machine, "--reboot");
    assert!(said.contains("it left no log"), "{said}");
    machine.set("hoopy.toml", &toml("ab", ""), 0o644);
}

pub fn an_image_that_panics_while_services_start_leaves_the_kernels_last_words(
    machine: &mut Machine,
    _: &Choice,
) {
    let service = "root/etc/init.d/panics";
    let link = machine.home.path("hello/root/etc/runlevels/default/panics");
    // Alpine has the kernel wait for two minutes, which the kernel counts by loops: emulated, they are many more.
    let panics = "start() { echo 1 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger; }";
    machine.set(service, &format!("#!/sbin/openrc-run\n{panics}\n"), 0o755);
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("/etc/init.d/panics", &link).unwrap();
    let said = falls_back(machine, "--reboot");
    assert!(said.contains("REASON=Kernel panic - not syncing: sysrq triggered crash"), "{said}");
    let status = succeeds(machine.command("status", &["--drift-within", "0"]), "");
    machine.quote("status", &status);
    let failed = status.lines().find(|line| line.starts_with("failed")).unwrap();
    assert!(failed.contains("vm-") && failed.contains("Kernel panic - not syncing: sysrq"), "{status}");
    let left = machine.ssh("ls /sys/fs/pstore");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    std::fs::remove_file(link).unwrap();
    machine.unset(service);
}

pub fn an_image_that_hangs_is_fallen_back_from(machine: &mut Machine, _: &Choice) {
    let (service, limit) = ("root/etc/init.d/hang", "root/etc/conf.d/hoopy-watchdog");
    let link = machine.home.path("hello/root/etc/runlevels/default/hang");
    machine.set(service, "#!/sbin/openrc-run\nstart() { sleep 100000; }\n", 0o755);
    machine.set(limit, "BOOT_LIMIT=120\n", 0o644);
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("/etc/init.d/hang", &link).unwrap();
    let said = falls_back(machine, "--reboot");
    assert!(said.contains("no verdict within") && said.contains("hang"), "{said}");
    std::fs::remove_file(link).unwrap();
    machine.unset(service);
    machine.set(limit, BOOT_LIMIT, 0o644);
}

/// The system as it lies there is deployed, started as `how` says, and fallen back from; what hoopy says.
pub fn falls_back(machine: &Machine, how: &str) -> String {
    let good = machine.runs();
    let (code, said) = machine.fails("deploy", &[how, "--within", WITHIN]);
    assert_eq!(code, FELL_BACK, "{said}\n{}", machine.log());
    assert!(said.contains(&format!("vm fell back to {good}: vm-")), "{said}");
    println!("{}", said.lines().take(12).map(|line| format!("        | {line}\n")).collect::<String>());
    assert_eq!(machine.runs(), good);
    let (_, rest) = said.split_once(&format!("vm fell back to {good}: ")).unwrap();
    let bad = rest.split_whitespace().next().unwrap();
    let names = machine.esp().names("EFI/Linux");
    assert!(names.contains(&format!("{bad}+0-3.efi")), "it was not tried three times: {names:?}");
    said
}
