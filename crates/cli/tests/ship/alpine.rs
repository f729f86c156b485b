//! A machine that runs diskless Alpine Linux from a FAT medium, with mkinitfs' own init, GRUB and a modloop: it is
//! imported while it runs, an image is put beside it, and it is returned to. docs/from-diskless.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use hoopy_base::arch::Arch;
use hoopy_testkit::mirror;

use crate::choice::Choice;
use crate::machine::{Machine, WITHIN, succeeds};
use crate::power::Hardware;

/// GRUB as Debian builds it for media: like Alpine's, it finds the medium that it came from, and reads boot/grub/grub.cfg.
const GRUB: &str = "/usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi";

const GRUB_CFG: &str = "\
set timeout=0
menuentry \"Linux virt\" {
\tlinux /boot/vmlinuz-virt modules=loop,squashfs,virtio_blk,virtio_net,virtio_pci,vfat quiet console=ttyS0 modloop=/boot/modloop-virt
\tinitrd /boot/initramfs-virt
}
";

/// One FAT partition, as firmware looks for it.
const TABLE: &str = "label: dos\nstart=2048, type=ef, bootable\n";
const START: u64 = 1 << 20;
const SIZE: u64 = 700 << 20;

/// Where the machine has its medium.
const MEDIUM: &str = "/media/vda1";

const ALPINE: &str = "diskless Alpine Linux";

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn unpack(archive: &Path, what: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(to).arg(what));
}

/// The medium of the machine: its system as an overlay, packages, kernel, initramfs, modules and GRUB.
fn write_medium(machine: &Machine) {
    let home = &machine.home;
    let medium = home.path("medium");
    fs::create_dir_all(medium.join("apks/x86_64")).unwrap();
    let overlay = medium.join("vm.apkovl.tar.gz");
    run(&mut home.command(&["export", "hello", "--apkovl", "-o", overlay.to_str().unwrap()]));

    let init = home.path("init");
    fs::create_dir_all(&init).unwrap();
    fs::write(init.join("packages"), "alpine-base\nlinux-virt\nmkinitfs\n").unwrap();
    let setup = "#!/bin/sh\nset -e\nmkinitfs -F 'base cdrom squashfs usb virtio' -o /initramfs-virt $(ls /lib/modules)\n";
    fs::write(init.join("setup.sh"), setup).unwrap();
    home.ok(&["build", "init", "--output", "tar", "--image-version", "1"]);
    let root = home.path("root-of-init");
    let archive = init.join("images/init-1.tar");
    unpack(&archive, "initramfs-virt", &medium.join("boot"));

    for file in fs::read_dir(mirror().alpine.join("v3.23/main/x86_64")).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        if name.starts_with("linux-virt-") {
            unpack(&file.path(), "boot/vmlinuz-virt", &medium);
            unpack(&file.path(), "lib/modules", &root);
        } else if !name.starts_with("linux-") {
            fs::copy(file.path(), medium.join("apks/x86_64").join(name)).unwrap();
        }
    }
    let modloop = medium.join("boot/modloop-virt");
    let modules = root.join("lib");
    run(Command::new("mksquashfs").arg(&modules).arg(&modloop).args(["-quiet", "-comp", "gzip"]));
    for (name, text) in
        [("apks/.boot_repository", ""), (".disk/info", "Alpine\n"), ("boot/grub/grub.cfg", GRUB_CFG)]
    {
        fs::create_dir_all(medium.join(name).parent().unwrap()).unwrap();
        fs::write(medium.join(name), text).unwrap();
    }
    fs::create_dir_all(medium.join("EFI/BOOT")).unwrap();
    fs::copy(GRUB, medium.join("EFI/BOOT/BOOTX64.EFI"))
        .expect("`cargo xtask prove` installs grub-efi-amd64-bin");
    write_disk(machine.disk(), &medium);
}

/// A disk with these files on its one partition.
fn write_disk(disk: &Path, files: &Path) {
    fs::File::create(disk).unwrap().set_len(START + SIZE + START).unwrap();
    let mut table = Command::new("/usr/sbin/sfdisk");
    let text = disk.with_file_name("table");
    fs::write(&text, TABLE).unwrap();
    run(table.arg("--quiet").arg(disk).stdin(fs::File::open(text).unwrap()));
    let sectors = (SIZE / 1024).to_string();
    let mut mkfs = Command::new("/usr/sbin/mkfs.vfat");
    run(mkfs.args(["-F", "32", "--offset", "2048"]).arg(disk).arg(&sectors));
    let image = format!("{}@@{START}", disk.display());
    for entry in fs::read_dir(files).unwrap().map(Result::unwrap) {
        run(Command::new("mcopy").args(["-s", "-Q", "-i", &image]).arg(entry.path()).arg("::/"));
    }
}

/// Every file of the medium, with its digest, as the machine reads it from there.
fn medium(machine: &Machine) -> BTreeMap<String, String> {
    machine.asks("mkdir -p /tmp/m; mountpoint -q /tmp/m || mount -t vfat -o ro /dev/vda1 /tmp/m 2>/dev/null || mount --bind /media/vda1 /tmp/m");
    let said = machine.asks("cd /tmp/m && find . -type f -exec sha256sum {} +");
    machine.asks("umount /tmp/m");
    said.lines().map(|line| (line[66..].trim_start_matches("./").to_owned(), line[..64].to_owned())).collect()
}

/// What Alpine had is there, bit for bit.
fn keeps_alpine(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
    for (name, digest) in before {
        let name =
            if name.eq_ignore_ascii_case("EFI/BOOT/BOOTX64.EFI") { "EFI/BOOT/ALPINE.EFI" } else { name };
        assert_eq!(now.get(name), Some(digest), "{name}");
    }
}

fn runs_alpine(machine: &Machine) {
    assert_eq!(machine.runs(), "");
    assert!(machine.asks("cat /proc/cmdline").contains("modloop=/boot/modloop-virt"));
    assert_eq!(machine.asks("stat -f -c %T /"), "tmpfs");
    let mounted = machine.asks(&format!("grep ' {MEDIUM} ' /proc/mounts"));
    assert!(mounted.contains(" vfat ro,"), "{mounted}");
}

/// The directory that the import wrote takes the place of the system that the medium was made of.
fn import(machine: &Machine) {
    let report =
        succeeds(machine.home_command(&["import", "ssh:vm", "--plain-secrets", "-o", "imported"]), "");
    machine.quote("import", &report);
    let (from, to) = (machine.home.path("imported"), machine.home.path("hello"));
    fs::remove_dir_all(&to).unwrap();
    fs::rename(from, to).unwrap();
    let written = fs::read_to_string(machine.home.path("hello/hoopy.toml")).unwrap();
    machine.quote("import: hoopy.toml", &written);
    let text = written.replacen("\nname = ", "\nmemory = \"512M\"\nlayout = \"ab\"\nname = ", 1);
    machine.set("hoopy.toml", &text, 0o644);
    // The boot loader of the layout is locked, too.
    succeeds(machine.command("update", &[]), "");
    machine.set("root/etc/conf.d/hoopy-health", "HEALTH_SETTLE=1\n", 0o644);
    machine.set("root/etc/conf.d/hoopy-watchdog", crate::machine::BOOT_LIMIT, 0o644);
}

#[test]
#[ignore = "boots a machine"]
fn a_machine_is_brought_over_from_diskless_alpine_falls_back_to_it_and_returns_to_it() {
    if !Choice::from_environment().full {
        // Seven boots. What is written to the medium, and in which order, CI tests without any (cli/deploy/alpine.rs).
        println!("left to `cargo xtask prove`");
        return;
    }
    let hardware = Hardware { memory: 1 << 30, ..Hardware::default() };
    let mut machine = Machine::without_disk(hardware, Arch::X86_64, "ab");
    write_medium(&machine);
    machine.start();
    runs_alpine(&machine);
    let before = medium(&machine);
    machine.say("diskless Alpine Linux is up");

    import(&machine);
    let built = machine.build();
    let drift = succeeds(machine.command("drift", &["--image", &built.file]), "");
    machine.quote("drift", &drift);
    machine.say("it was imported while it ran, and its image was compared with it");

    // The owner's edit, and a check that fails: three tries, and Alpine is up again.
    machine.set("root/etc/motd", "edited\n", 0o644);
    machine.set("root/etc/hoopy/health.d/bad", "#!/bin/sh\necho the disk is gone\nexit 1\n", 0o755);
    let (code, said) = machine.fails("deploy", &["--from-diskless", "--reboot", "--within", WITHIN]);
    assert_eq!(code, 9, "{said}\n{}", machine.log());
    assert!(said.contains(&format!("vm fell back to {ALPINE}: ")) && said.contains("health.d/bad"), "{said}");
    runs_alpine(&machine);
    keeps_alpine(&before, &medium(&machine));
    machine.say("an image that fails was tried three times, and Alpine was started again");

    machine.unset("root/etc/hoopy/health.d/bad");
    let deploy = ["--from-diskless", "--reboot", "--json", "--within", WITHIN];
    let said = succeeds(machine.command("deploy", &deploy), &machine.log());
    let said: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(said["came"]["checked"], true, "{said}");
    assert_eq!(machine.asks("cat /etc/motd"), "edited");
    let now = medium(&machine);
    keeps_alpine(&before, &now);
    assert!(now.contains_key(&format!("EFI/Linux/{}.efi", machine.runs())), "{now:?}");
    machine.say("a good one was found well and kept");

    let said = succeeds(machine.command("rollback", &["--to-diskless", "--reboot", "--within", WITHIN]), "");
    machine.quote("rollback --to-diskless", &said);
    runs_alpine(&machine);
    keeps_alpine(&before, &medium(&machine));
    differs_only_as_a_diskless_boot_does(&drift);
    machine.say("PROVEN: it was returned to diskless Alpine Linux, which lost nothing");
}

/// What an image has otherwise by design, as the report and docs/from-diskless.md tell, and what comes with the kernel, which
/// is a package of the image.
fn differs_only_as_a_diskless_boot_does(drift: &str) {
    const OTHERWISE: [&str; 5] =
        ["etc/apk/", "lib/apk/db/", "etc/runlevels/sysinit/modloop", "lib/modules", "usr/lib/modules"];
    const HOOPYS: [&str; 9] = [
        "etc/hoopy",
        "etc/init.d/hoopy-",
        "etc/runlevels/default/hoopy-health",
        "etc/runlevels/sysinit/hoopy-watchdog",
        "etc/runlevels/sysinit/sysfs",
        "usr/libexec/hoopy",
        "etc/conf.d/hoopy-",
        "usr/share/kernel",
        "lib/modules",
    ];
    const WITH_THE_KERNEL: [&str; 14] = [
        "usr/lib/modules",
        "etc/mkinitfs",
        "usr/share/mkinitfs",
        "sbin/mkinitfs",
        "sbin/bootchartd",
        "sbin/nlplug-findfs",
        "usr/bin/lddtree",
        "usr/lib/cryptsetup",
        "usr/lib/libcryptsetup.so",
        "usr/lib/libdevmapper.so",
        "usr/lib/libjson-c.so",
        "usr/lib/libkmod.so",
        "etc/mdev.conf",
        "lib/mdev",
    ];
    let other: Vec<&str> = drift
        .lines()
        .filter(|line| {
            let mut words = line.split_whitespace();
            let (Some(what), Some(path)) = (words.next(), words.next()) else { return false };
            let known = |list: &[&str]| list.iter().any(|known| path.starts_with(known));
            match what {
                "removed" => !known(&HOOPYS) && !known(&WITH_THE_KERNEL),
                _ => !known(&OTHERWISE),
            }
        })
        .collect();
    assert!(other.is_empty(), "{other:#?}");
}
