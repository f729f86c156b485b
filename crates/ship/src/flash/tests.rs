//! Refusals on a made-up kernel; writing on loop devices, with the real tools as the oracle.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;

use hoopy_base::arch::Arch;
use hoopy_base::programs::Programs;
use hoopy_boot::layout::Layout;
use hoopy_disk::fstab::parse;

use super::*;
use crate::disk::choose;

const ROOT: &str = "21 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n";

/// A kernel with a stick, `sdb`, of two partitions, and a built-in disk, `nvme0n1`.
struct Made {
    dir: tempfile::TempDir,
}

impl Made {
    fn new(mountinfo: &str, swaps: &str) -> Self {
        let made = Self { dir: tempfile::tempdir().unwrap() };
        let stick = "sys/devices/pci0/usb1/1-1/block/sdb";
        made.device(
            stick,
            "8:16",
            &[("size", "31457280"), ("device/vendor", "ACME "), ("device/model", "Stick")],
        );
        for (n, number) in [("1", "8:17"), ("2", "8:18")] {
            made.device(&format!("{stick}/sdb{n}"), number, &[("partition", n)]);
        }
        let disk = "sys/devices/pci0/nvme/nvme0n1";
        made.device(disk, "259:0", &[("size", "1000000"), ("removable", "0")]);
        made.device(&format!("{disk}/nvme0n1p2"), "259:2", &[("partition", "2")]);
        made.write("proc/self/mountinfo", mountinfo);
        made.write("proc/swaps", &format!("Filename Type Size Used Priority\n{swaps}"));
        made
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn device(&self, place: &str, number: &str, files: &[(&str, &str)]) {
        for (file, text) in files {
            self.write(&format!("{place}/{file}"), &format!("{text}\n"));
        }
        self.write(&format!("{place}/dev"), &format!("{number}\n"));
        let links = self.dir.path().join("sys/dev/block");
        fs::create_dir_all(&links).unwrap();
        symlink(self.dir.path().join(place), links.join(number)).unwrap();
    }

    fn look(&self, number: (u32, u32)) -> Result<Device, FlashError> {
        let root = self.dir.path();
        Device::look(number, &Kernel { sys: root.join("sys"), proc: root.join("proc") })
    }

    fn refused(&self, number: (u32, u32)) -> String {
        admit(&self.look(number).unwrap(), false).unwrap_err().to_string()
    }
}

#[test]
fn a_stick_that_nobody_uses_is_admitted() {
    let made = Made::new(ROOT, "");
    let device = made.look((8, 16)).unwrap();
    assert_eq!((device.name.as_str(), device.model.as_str(), device.size), ("sdb", "ACME Stick", 15 << 30));
    assert_eq!((device.removable, device.partitions.len(), device.uses.len()), (true, 2, 0));
    admit(&device, false).unwrap();
}

#[test]
fn a_disk_of_the_running_system_is_refused_whatever_is_said() {
    let made = Made::new(ROOT, "");
    let device = made.look((259, 0)).unwrap();
    for fixed_disk in [false, true] {
        let error = admit(&device, fixed_disk).unwrap_err().to_string();
        assert_eq!(
            error,
            "nvme0n1 holds the running system and is not overwritten: nvme0n1p2 is mounted on /"
        );
    }
    // Whatever number it is mounted under, as btrfs has its own
    let made = Made::new("21 1 0:40 /@ / rw - btrfs /dev/nvme0n1p2 rw\n", "");
    assert!(made.refused((259, 0)).contains("nvme0n1p2 is mounted on /"));
    let made = Made::new(ROOT, "/dev/sdb2 partition 1 0 -2\n");
    assert!(made.refused((8, 16)).contains("sdb2 is swap"));
}

#[test]
fn what_is_made_of_a_disk_counts_as_its_use() {
    let made = Made::new("21 1 253:0 / /boot rw - ext4 /dev/mapper/vg-root rw\n", "");
    let place = "sys/devices/virtual/block/dm-0";
    made.device(place, "253:0", &[("dm/name", "vg-root")]);
    let holders = made.dir.path().join("sys/devices/pci0/usb1/1-1/block/sdb/sdb1/holders");
    fs::create_dir_all(&holders).unwrap();
    symlink(made.dir.path().join(place), holders.join("dm-0")).unwrap();
    assert!(made.refused((8, 16)).ends_with("dm-0 is mounted on /boot"));
    made.write("proc/self/mountinfo", ROOT);
    assert!(made.refused((8, 16)).contains("in use: sdb1 is part of dm-0"));
}

#[test]
fn mounted_built_in_and_strange_devices_are_refused() {
    let made = Made::new(&format!("{ROOT}22 1 8:17 / /media/usb rw - vfat /dev/sdb1 rw\n"), "");
    assert_eq!(made.refused((8, 16)), "sdb is in use: sdb1 is mounted on /media/usb");
    assert_eq!(made.look((8, 17)).unwrap_err().to_string(), "sdb1 is a partition of sdb, not a whole disk");
    let made = Made::new("21 1 0:1 / / rw - tmpfs tmpfs rw\n", "");
    assert!(made.refused((259, 0)).ends_with("is not a removable disk"));
    admit(&made.look((259, 0)).unwrap(), true).unwrap();
    let stick = "sys/devices/pci0/usb1/1-1/block/sdb";
    made.write(&format!("{stick}/queue/logical_block_size"), "4096\n");
    assert!(made.refused((8, 16)).contains("sectors of 4096 bytes"));
    made.write(&format!("{stick}/ro"), "1\n");
    assert_eq!(made.refused((8, 16)), "sdb is write-protected");
    made.write(&format!("{stick}/size"), "0\n");
    assert!(made.refused((8, 16)).contains("there is no medium in it"));
    let error = look(Path::new("/dev/null"), &Kernel::default()).unwrap_err().to_string();
    assert!(error.starts_with("/dev/null is not a block device"), "{error}");
}

/// A loop device, gone when it is dropped.
struct Loop(PathBuf);

impl Loop {
    fn new(file: &Path) -> Option<Self> {
        let losetup = Programs::default().find("losetup");
        let made =
            losetup.map(|losetup| Command::new(losetup).args(["-f", "--show"]).arg(file).output().unwrap());
        match made {
            Some(out) if out.status.success() => {
                Some(Self(String::from_utf8(out.stdout).unwrap().trim().into()))
            }
            why => {
                let why = why.map(|out| String::from_utf8_lossy(&out.stderr).into_owned());
                hoopy_testkit::skip(format_args!(
                    "no loop device: {}",
                    why.unwrap_or("losetup is not installed".to_owned())
                ));
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let losetup = Programs::default().find("losetup").unwrap();
        let _ = Command::new(losetup).arg("-d").arg(&self.0).status();
    }
}

fn config(dir: &Path) -> DiskConfig {
    let image = dir.join("nas-2026112101.efi");
    fs::write(&image, vec![7; 1 << 20]).unwrap();
    DiskConfig {
        arch: Arch::X86_64,
        name: "nas".to_owned(),
        layout: Layout::Single,
        menu: 0,
        image,
        loader: None,
        firmware: Vec::new(),
        keys: Vec::new(),
        enroll: false,
        lasting: choose(&parse(b"LABEL=data /data ext4\n"), None, None).unwrap(),
        size: None,
        identity: None,
        restore: None,
        programs: Programs::default(),
    }
}

/// A used stick: a file full of old data, as large as no whole number of MiB.
fn used(dir: &Path) -> PathBuf {
    let path = dir.join("stick");
    let file = File::create(&path).unwrap();
    (0..100_u64).for_each(|mib| {
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 1 << 20], mib << 20).unwrap();
    });
    file.set_len((100 << 20) + 5 * 512).unwrap();
    path
}

fn said(program: &str, args: &[&str]) -> Option<(bool, String)> {
    let Some(path) = Programs::default().find(program) else {
        hoopy_testkit::skip(format_args!("{program} is not installed"));
        return None;
    };
    let out = Command::new(path).args(args).output().unwrap();
    Some((out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()))
}

#[test]
fn a_used_device_gets_the_whole_disk_and_nothing_old_shows() {
    let dir = tempfile::tempdir().unwrap();
    let stick = used(dir.path());
    let Some(device) = Loop::new(&stick) else { return };
    let found = look(&device.0, &Kernel::default()).unwrap();
    assert!(matches!(admit(&found, false), Err(FlashError::Fixed { .. })));
    let stop = AtomicBool::new(false);
    let seen = std::cell::Cell::new((0, 0));
    let progress = |phase: Phase, done: u64, total: u64| {
        assert!(done <= total, "{phase:?} {done} {total}");
        seen.set(if phase == Phase::Writing { (done, total) } else { seen.get() });
    };
    let how = Flash { fixed_disk: true, stop: &stop, progress: &progress };
    let disk = match flash(&device.0, &found, config(dir.path()), dir.path(), &how) {
        Err(FlashError::Disk(e @ super::super::disk::DiskError::Mkfs(_))) => {
            return hoopy_testkit::skip(e);
        }
        other => other.unwrap(),
    };
    assert_eq!((disk.size, seen.get().0), ((100 << 20) + 5 * 512, seen.get().1));
    drop(device);
    let path = stick.to_str().unwrap();
    if let Some((_, text)) = said("sgdisk", &["-v", path]) {
        assert!(text.contains("No problems found"), "{text}");
    }
    for (part, check) in disk.partitions.iter().zip([["fsck.vfat", "-n", ""], ["e2fsck", "-f", "-n"]]) {
        let own = dir.path().join("part");
        let all = fs::read(&stick).unwrap();
        fs::write(&own, &all[part.start as usize..(part.start + part.size) as usize]).unwrap();
        let args: Vec<&str> = check[1..].iter().copied().filter(|a| !a.is_empty()).collect();
        let Some((good, text)) = said(check[0], &[&args[..], &[own.to_str().unwrap()]].concat()) else {
            continue;
        };
        assert!(good, "{}: {text}", check[0]);
    }
}

#[test]
fn a_flash_that_is_stopped_leaves_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let stick = used(dir.path());
    let Some(device) = Loop::new(&stick) else { return };
    let found = look(&device.0, &Kernel::default()).unwrap();
    let stop = AtomicBool::new(false);
    let progress = |phase: Phase, done: u64, _: u64| {
        stop.store(phase == Phase::Verifying && done > 1 << 20, Ordering::Relaxed);
    };
    let how = Flash { fixed_disk: true, stop: &stop, progress: &progress };
    let config = DiskConfig { lasting: Default::default(), ..config(dir.path()) };
    let error = flash(&device.0, &found, config, dir.path(), &how).unwrap_err();
    assert!(matches!(error, FlashError::Stopped(_)), "{error}");
    drop(device);
    let all = fs::read(&stick).unwrap();
    assert!(all[..1 << 20].iter().all(|b| *b == 0));
    assert!(all[all.len() - 512..].iter().all(|b| *b == 0));
}
