//! A PC with a BIOS: SeaBIOS, our first sector, syslinux, and two directories (`layout = "extlinux"`).

use std::fs;
use std::process::Command;

use hoopy_base::arch::Arch;
use hoopy_boot::extlinux;
use hoopy_boot::pair::SlotName;

use crate::choice::Choice;
use crate::machine::{Machine, WITHIN};
use crate::power::Treated;

/// A file of the FAT partition, read with mtools.
fn read(machine: &Machine, path: &str) -> String {
    let image = format!("{}@@1M", machine.disk().display());
    let out = Command::new("mtype").args(["-i", &image, &format!("::{path}")]).output().expect("mtools");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn toml(machine: &Machine, more: &str) {
    machine.set("hoopy.toml", &crate::machine::toml("extlinux", more), 0o644);
}

/// What is started by itself, while the machine is off.
fn default_slot(machine: &Machine) -> Option<SlotName> {
    extlinux::slot_of(&read(machine, extlinux::CONFIG))
}

#[test]
#[ignore = "boots a machine"]
fn a_pc_with_a_bios_is_deployed_to_keeps_a_good_image_and_falls_back_from_bad_ones() {
    let mut machine = Machine::new(Arch::X86_64, "extlinux");
    assert_eq!(default_slot(&machine), Some(SlotName::A));
    machine.start_with(&Treated::ByBios);
    machine.is_well();
    assert!(!machine.ssh("test -e /sys/firmware/efi").status.success(), "EFI firmware started it");
    assert!(machine.asks("cat /proc/cmdline").contains("hoopy.slot=a "));
    let first = machine.runs();
    machine.say("SeaBIOS and syslinux started it");

    machine.set("root/etc/motd", "the second\n", 0o644);
    let said = machine.deploy();
    let second = machine.runs();
    assert_ne!(first, second);
    assert_eq!((&said["came"]["image"], &said["came"]["checked"]), (&second.as_str().into(), &true.into()));
    assert!(machine.asks("cat /proc/cmdline").contains("hoopy.slot=b "));
    machine.say("a deploy was tried, found well and kept");
    if Choice::from_environment().full {
        bad_images_are_fallen_back_from(&mut machine, &second);
    }
}

fn bad_images_are_fallen_back_from(machine: &mut Machine, second: &str) {
    // It dies before any program of ours runs: the block of syslinux was cleared, so the PC comes back by itself.
    toml(machine, "cmdline = \"rdinit=/gone panic=1 console=ttyS0\"");
    let (code, said) = machine.fails("deploy", &["--reboot", "--within", WITHIN]);
    assert_eq!(code, 9, "{said}\n{}", machine.log());
    assert!(said.contains(&format!("vm fell back to {second}: ")), "{said}");
    assert_eq!(machine.runs(), second);
    let log = fs::read_to_string(machine.home.path("console.log")).unwrap_or_default();
    assert!(log.contains("Kernel panic"), "it was not tried");
    machine.say("a panic fell back");

    // The kernel of the trial cannot be loaded at all: syslinux asks, nobody answers, and the good slot is started.
    toml(machine, "");
    machine.set("root/etc/motd", "the third\n", 0o644);
    let deployed = machine.command("deploy", &[]).output().unwrap();
    assert!(deployed.status.success(), "{}", String::from_utf8_lossy(&deployed.stderr));
    machine.asks("mkdir -p /mnt && mount -t vfat /dev/vda1 /mnt && rm /mnt/a/vmlinuz && umount /mnt");
    let (code, said) = machine.fails("deploy", &["--reboot", "--within", WITHIN]);
    assert_eq!(code, 9, "{said}\n{}", machine.log());
    assert_eq!(machine.runs(), second);
    machine.say("a kernel that is gone fell back");
    machine.kill();
    assert_eq!(default_slot(machine), Some(SlotName::B));
}
