//! The way back and over again, with Alpine's own diskless boot: an overlay that `hoopy export` wrote is read by mkinitfs'
//! init in a virtual machine, from a medium with packages; what `apk audit` finds there, which is what lbu saves, is
//! imported, and is the system that was exported.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hoopy_testkit::{Home, mirror, skip};

/// Emulated, on a computer that does other things too, a boot takes a minute or two.
const PATIENCE: Duration = Duration::from_secs(900);

/// What the machine says of itself, on its serial port.
const REPORT: &str = r#"#!/bin/sh
{
echo HOOPY-BEGIN
for level in sysinit boot default; do
	for service in $(ls /etc/runlevels/$level); do
		[ "$service" = modloop ] || [ "$service" = local ] || rc-service "$service" status >/dev/null 2>&1 || echo "not started: $service"
	done
done
id anna
hostname
command -v curl
echo HOOPY-OVERLAY
cd /
apk audit --backup --quiet --recursive --check-permissions 2>/dev/null |
	tar -c -z --no-recursion -T - 2>/dev/null | base64
echo HOOPY-END
} >/dev/ttyS0 2>&1
poweroff
"#;

const SETUP: &str = r#"#!/bin/sh
set -eu
addgroup -g 1000 anna
adduser -D -H -u 1000 -G anna -h /home/anna -s /bin/sh -g Anna anna
addgroup anna wheel
chown anna:anna /home/anna/.profile
for service in devfs dmesg sysfs; do rc-update -q add "$service" sysinit; done
for service in bootmisc hostname hwclock modules sysctl syslog; do rc-update -q add "$service" boot; done
for service in killprocs mount-ro; do rc-update -q add "$service" shutdown; done
rc-update -q add local default
"#;

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
}

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// The initramfs of a diskless Alpine and its kernel, made by the real mkinitfs.
fn diskless_boot(home: &Home) {
    let files = [
        ("packages", "alpine-base\nlinux-virt\nmkinitfs\n"),
        (
            "setup.sh",
            "#!/bin/sh\nset -e\nmkinitfs -F 'base ext4 virtio' -o /initramfs-diskless $(ls /lib/modules)\n",
        ),
    ];
    write(&home.path("init"), &files);
    home.ok(&["build", "init", "--output", "tar", "--image-version", "1"]);
    let take = |archive: &Path, name: &str| {
        run(Command::new("tar").arg("-xf").arg(archive).arg(name).current_dir(home.path(".")));
    };
    take(&home.path("init/images/init-1.tar"), "initramfs-diskless");
    let packages =
        fs::read_dir(mirror().alpine.join("v3.23/main/x86_64")).unwrap().map(|e| e.unwrap().path());
    let is_kernel = |path: &std::path::PathBuf| path.to_string_lossy().contains("/linux-virt-");
    take(&{ packages }.find(is_kernel).unwrap(), "boot/vmlinuz-virt");
}

/// A medium with the overlay and all packages but kernels.
fn medium(home: &Home) {
    let to = home.path("medium/apks/x86_64");
    fs::create_dir_all(&to).unwrap();
    for file in fs::read_dir(mirror().alpine.join("v3.23/main/x86_64")).unwrap().map(Result::unwrap) {
        if !file.file_name().to_string_lossy().starts_with("linux-") {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    fs::write(home.path("medium/apks/.boot_repository"), "").unwrap();
    let image = home.path("medium.img");
    fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
    run(Command::new("/sbin/mkfs.ext4").args(["-q", "-d"]).arg(home.path("medium")).arg(&image));
}

/// Boots the medium; what the machine says until it is done.
fn boot(home: &Home) -> String {
    let log = home.path("serial");
    let mut machine = Command::new("qemu-system-x86_64")
        .args(["-M", "q35", "-m", "1024", "-accel", "tcg", "-display", "none", "-no-reboot", "-nic", "none"])
        .args(["-kernel", "boot/vmlinuz-virt", "-initrd", "initramfs-diskless"])
        .args(["-append", "console=ttyS0 modules=ext4,virtio_blk,virtio_pci alpine_dev=vda:ext4 quiet"])
        .args(["-drive", "file=medium.img,if=virtio,format=raw", "-serial", "file:serial"])
        .current_dir(home.path("."))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let mut said = String::new();
    while started.elapsed() < PATIENCE && !said.contains("HOOPY-END") && machine.try_wait().unwrap().is_none()
    {
        std::thread::sleep(Duration::from_millis(500));
        said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).replace('\r', "");
    }
    let _ = machine.kill();
    let _ = machine.wait();
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap()).replace('\r', "");
    assert!(said.contains("HOOPY-END"), "the machine is not done after {:?}:\n{said}", started.elapsed());
    said
}

#[test]
fn alpines_own_diskless_boot_reads_an_exported_overlay_and_what_it_saves_is_the_system_again() {
    if Command::new("qemu-system-x86_64").arg("--version").output().is_err()
        || std::env::consts::ARCH != "x86_64"
    {
        return skip("no qemu-system-x86_64 here");
    }
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let inittab = "::sysinit:/sbin/openrc sysinit\n::sysinit:/sbin/openrc boot\n::wait:/sbin/openrc default\n\
                   ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n::shutdown:/sbin/openrc shutdown\n";
    let files = [
        ("hoopy.toml", "name = \"box\"\narch = \"x86_64\"\n"),
        ("packages", "alpine-base\ncurl\nlinux-virt\n"),
        ("setup.sh", SETUP),
        ("root/etc/hostname", "box\n"),
        ("root/etc/motd", "kept\n"),
        ("root/etc/inittab", inittab),
        ("root/etc/local.d/report.start", REPORT),
        ("root/etc/sysctl.d/box.conf", "vm.swappiness = 1\n"),
        ("root/home/anna/.profile", "alias ll='ls -l'\n"),
        ("root/usr/local/bin/tool", "#!/bin/sh\n"),
    ];
    let dir = home.path("box");
    write(&dir, &files);
    for program in ["root/etc/local.d/report.start", "root/usr/local/bin/tool"] {
        run(Command::new("chmod").args(["755", program]).current_dir(&dir));
    }
    fs::create_dir_all(home.path("medium")).unwrap();
    home.ok(&["export", "box", "--apkovl", "-o", "medium/box.apkovl.tar.gz"]);
    diskless_boot(&home);
    medium(&home);
    let said = boot(&home);
    let (state, overlay) = said.split_once("HOOPY-BEGIN\n").unwrap().1.split_once("HOOPY-OVERLAY\n").unwrap();
    let (overlay, _) = overlay.split_once("HOOPY-END").unwrap();
    let lines: Vec<&str> = state.lines().collect();
    assert!(matches!(lines.as_slice(), [_, "box", "/usr/bin/curl"]), "{said}");
    assert!(state.contains("uid=1000(anna) gid=1000(anna)") && state.contains("10(wheel)"), "{said}");

    let text: String = overlay.split_whitespace().collect();
    fs::write(home.path("saved.apkovl.tar.gz"), data_encoding::BASE64.decode(text.as_bytes()).unwrap())
        .unwrap();

    let report = home.ok(&["import", "saved.apkovl.tar.gz", "--kernel", "virt", "-o", "again"]);
    for (file, text) in files.iter().filter(|(file, _)| file.starts_with("root/")) {
        assert_eq!(
            fs::read_to_string(home.path("again").join(file)).ok().as_deref(),
            Some(*text),
            "{file}: {report}"
        );
    }
    // Both roots are one, but for what the report names: the text of setup.sh is another, what it does is not.
    for system in ["box", "again"] {
        home.ok(&["build", system, "--output", "tar", "--image-version", "1"]);
    }
    let list = |system: &str| {
        let archive = home.path(system).join("images/box-1.tar");
        let out = Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(archive).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Mode, owner, size; the time is the build's.
            format!("{} {} {} {}", words[0], words[1], words[2], words[5..].join(" "))
        };
        text.lines().map(line).collect::<std::collections::BTreeSet<_>>()
    };
    let (before, after) = (list("box"), list("again"));
    let lost: Vec<&String> = before.difference(&after).collect();
    let new: Vec<&String> = after.difference(&before).collect();
    // What lbu saves beyond /etc is said by a list, which the exported overlay brought along.
    let list = home.path("again/root/etc/apk/protected_paths.d/lbu.list");
    assert_eq!(fs::read_to_string(list).unwrap(), "+home/anna/.profile\n+usr/local/bin/tool\n");
    // In the other files the lines have another order, or another date.
    let other = ["etc/apk/protected_paths.d/lbu.list", "etc/apk/world", "etc/shadow", "etc/hoopy-release"];
    let expected = |line: &&&String| !other.iter().any(|path| line.contains(path));
    let lost: Vec<_> = lost.iter().filter(expected).collect();
    let new: Vec<_> = new.iter().filter(expected).collect();
    assert!(lost.is_empty() && new.is_empty(), "lost: {lost:#?}\nnew: {new:#?}\n{report}");
}
