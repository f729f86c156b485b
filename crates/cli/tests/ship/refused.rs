//! What is refused, with words that help, and with nothing changed.

use crate::choice::Choice;
use crate::machine::Machine;
use crate::power::Treated;

/// What the full partition has left.
const FREE: u64 = 8 << 20;

pub fn another_host_key_is_refused(machine: &mut Machine, _: &Choice) {
    machine.knows("user.pub");
    for verb in ["status", "deploy"] {
        let (code, said) = machine.fails(verb, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("ssh-keygen -R vm"), "{said}");
        machine.quote(verb, &said);
    }
    machine.knows("host.pub");
}

/// Only the image that runs is on it, and so little is free that no other one fits beside it.
pub fn a_partition_that_is_full_is_told_before_anything_is_written(machine: &mut Machine, _: &Choice) {
    machine.kill();
    machine.esp().fill("films", FREE);
    machine.start();
    machine.set("root/etc/motd", "too much\n", 0o644);
    let before = machine.esp().all();
    for more in [&["--dry-run"][..], &[]] {
        let (code, said) = machine.fails("deploy", more);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("the EFI system partition of vm is too full"), "{said}");
        let figure = |before: &str, after: &str| {
            let text = said.split_once(before).and_then(|(_, rest)| rest.split_once(after)).unwrap().0;
            let (number, unit) = text.split_once(' ').unwrap();
            assert_eq!(unit, "MiB", "{said}");
            number.parse::<f64>().unwrap()
        };
        assert!((47.0..57.0).contains(&figure("the new image needs ", " beside")), "{said}");
        assert!((7.6..8.6).contains(&figure("the previous one, and ", " are free")), "{said}");
        machine.quote("deploy", &said);
    }
    assert_eq!(machine.esp().all(), before, "something was written");
    let out = machine
        .ssh("mkdir -p /tmp/esp && mount -t vfat /dev/vda1 /tmp/esp && rm /tmp/esp/films && umount /tmp/esp");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// The kernel is told that the disk cannot be written: what it finds by itself when the switch of a stick says so.
pub fn a_disk_that_is_locked_is_told_and_nothing_is_changed(machine: &mut Machine, _: &Choice) {
    let switch = |how: &str| {
        let out = machine.ssh(&format!("blockdev --set{how} /dev/vda && blockdev --set{how} /dev/vda1"));
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    switch("ro");
    locked(machine);
    switch("rw");
}

/// QEMU gives the machine a disk that it cannot write: from firmware on.
pub fn a_stick_that_was_locked_from_the_start_is_told_too(machine: &mut Machine, _: &Choice) {
    machine.kill();
    machine.start_with(&Treated::Locked);
    locked(machine);
    machine.kill();
    machine.start();
}

fn locked(machine: &Machine) {
    machine.set("root/etc/motd", "locked\n", 0o644);
    let before = machine.esp().all();
    let (code, said) = machine.fails("deploy", &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the EFI system partition of vm is read-only"), "{said}");
    assert!(said.contains("write-protect switch"), "{said}");
    machine.quote("deploy", &said);
    assert_eq!(machine.esp().all(), before, "something was written");
}
