//! Disks that `hoopy disk` wrote, booted for real: UEFI firmware, systemd-boot, the health check, the way back.
//!
//! What is on a disk is changed and looked at with mtools while the machine is off.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hoopy::arch::Arch;
use hoopy::ship::vm::{Acceleration, Boot, Console, Places, Vm, VmConfig};
use hoopy_testkit::Home;

/// Generous: emulation on a busy machine, and reboots of it.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(60);

const GOOD: &str = "2026112101";
const UNWELL: &str = "2026112102";
const PANICS: &str = "2026112103";

struct Machine {
    home: Home,
    arch: &'static str,
}

impl Machine {
    fn new(arch: &'static str) -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.system(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/system"), "nas");
        Self { home, arch }
    }

    fn hoopy(&self, args: &[&str]) -> String {
        self.home.ok(&[args, &["--arch", self.arch]].concat())
    }

    /// Builds an image with this version.
    fn build(&self, version: &str) -> PathBuf {
        self.hoopy(&["build", "nas", "--quiet", "--image-version", version]).trim().into()
    }

    fn disk(&self) -> PathBuf {
        let said = self.hoopy(&["disk", "nas", "-o", "nas.img"]);
        println!("{said}");
        self.home.path("nas.img")
    }

    fn set(&self, file: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.home.path("nas").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn boot(&self, disk: &Path) -> Console {
        let config = VmConfig {
            arch: self.arch.parse::<Arch>().unwrap(),
            boot: Boot::Disk(disk.to_owned()),
            memory: 1 << 30,
            cpus: 2,
            forwards: vec![],
            disks: vec![],
            no_reboot: false,
            acceleration: Acceleration::Auto,
            places: Places::default(),
            temp: std::env::temp_dir(),
        };
        let log = std::env::var_os("HOOPY_CONSOLE_LOG").map(|path| File::create(path).unwrap());
        Vm::prepare(&config).unwrap().console(log).unwrap()
    }
}

/// Logs in, whatever was said before.
fn log_in(console: &mut Console) {
    console.send("").unwrap();
    console.login("root", Some("nas"), LONG).unwrap();
}

fn asks(console: &mut Console, command: &str) -> String {
    let (status, said) = console.run(command, SHORT).unwrap();
    assert_eq!(status, 0, "{command}: {said}");
    said
}

fn off(mut console: Console) {
    console.send("poweroff").unwrap();
    console.wait(LONG).unwrap();
}

/// mtools on the first partition.
fn mtools(disk: &Path, program: &str, args: &[&str]) -> String {
    let image = format!("{}@@1M", disk.display());
    let mut command = Command::new(program);
    let out = command.args(["-i", &image]).args(args).output().expect("mtools is installed");
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn images(disk: &Path) -> Vec<String> {
    let listing = mtools(disk, "mdir", &["-b", "::EFI/Linux"]);
    let name = |line: &str| line.rsplit('/').next().unwrap_or_default().trim().to_owned();
    let mut names: Vec<String> = listing.lines().map(name).filter(|n| !n.is_empty()).collect();
    names.sort();
    names
}

fn assert_clean(disk: &Path, dir: &Path) {
    let esp = dir.join("esp.img");
    let script = "dd if=\"$1\" of=\"$2\" bs=1M skip=1 count=512 conv=sparse status=none && fsck.vfat -n \"$2\"";
    let mut command = Command::new("sh");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["-c", script, "sh"]).arg(disk).arg(&esp);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn a_disk_with_one_image_boots_and_mounts_what_lasts() {
    let machine = Machine::new("x86_64");
    machine.set("hoopy.toml", "name = \"nas\"\ncmdline = \"console=ttyS0\"\n", 0o644);
    machine.build(GOOD);
    let disk = machine.disk();
    let mut console = machine.boot(&disk);
    console.login("root", Some("nas"), LONG).unwrap();
    let mounted = asks(&mut console, "grep ' /data ' /proc/mounts");
    assert!(mounted.starts_with("/dev/vda2 /data ext4 rw"), "{mounted}");
    assert_eq!(asks(&mut console, "ls /etc/init.d/hoopy-* 2>/dev/null; cat /sys/kernel/mm/hoopy 2>/dev/null; true"), "");
    off(console);
}

/// An image on trial that is well, on each architecture.
fn blessed(arch: &'static str) -> (Machine, PathBuf) {
    let machine = Machine::new(arch);
    machine.build(GOOD);
    let disk = machine.disk();
    let (good, trial) = (format!("nas-{GOOD}.efi"), format!("nas-{GOOD}+3.efi"));
    let (good, trial) = if arch == "x86_64" { (good, trial) } else { (good.replace("nas", &format!("nas-{arch}")), trial.replace("nas", &format!("nas-{arch}"))) };
    assert_eq!(images(&disk), [good.clone()]);
    mtools(&disk, "mren", &[&format!("::EFI/Linux/{good}"), &trial]);
    let mut console = machine.boot(&disk);
    console.expect(" is good", LONG).unwrap();
    log_in(&mut console);
    let health = asks(&mut console, "cat /run/hoopy/health");
    let image = good.trim_end_matches(".efi");
    for line in ["STATE=good", "ACTION=blessed", &format!("IMAGE={image}"), &format!("SLOT={good}"), "COUNTED=no"] {
        assert!(health.lines().any(|l| l == line), "{line}: {health}");
    }
    assert_eq!(asks(&mut console, "grep -c vfat /proc/mounts || true"), "0");
    assert!(asks(&mut console, "cat /proc/cmdline").ends_with("panic=10"));
    off(console);
    assert_eq!(images(&disk), [good]);
    assert_clean(&disk, &machine.home.path(""));
    (machine, disk)
}

#[test]
fn an_image_on_trial_that_is_well_is_marked_as_good_on_aarch64() {
    blessed("aarch64");
}

#[test]
fn images_that_panic_or_are_unwell_give_way_to_the_last_good_one() {
    let (machine, disk) = blessed("x86_64");
    machine.set("root/etc/hoopy/health.d/never", "#!/bin/sh\necho no pool\nexit 3\n", 0o755);
    let unwell = machine.build(UNWELL);
    machine.set("hoopy.toml", "name = \"nas\"\nlayout = \"ab\"\ncmdline = \"console=ttyS0 rdinit=/none\"\n", 0o644);
    let panics = machine.build(PANICS);
    mtools(&disk, "mcopy", &[unwell.to_str().unwrap(), &format!("::EFI/Linux/nas-{UNWELL}+2.efi")]);
    mtools(&disk, "mcopy", &[panics.to_str().unwrap(), &format!("::EFI/Linux/nas-{PANICS}+1.efi")]);
    let mut console = machine.boot(&disk);
    console.expect("Kernel panic", LONG).unwrap();
    console.expect("health.d/never failed with 3: rebooting, 1 tries left", LONG).unwrap();
    console.expect("health.d/never failed with 3: rebooting, 0 tries left", LONG).unwrap();
    console.expect("OpenRC", LONG).unwrap();
    console.login("root", Some("nas"), LONG).unwrap();
    assert_eq!(asks(&mut console, "grep ^IMAGE /etc/hoopy-release"), format!("IMAGE=nas-{GOOD}"));
    off(console);
    let left = [GOOD.to_owned(), format!("{UNWELL}+0-2"), format!("{PANICS}+0-1")];
    assert_eq!(images(&disk), left.map(|name| format!("nas-{name}.efi")));
    let report = mtools(&disk, "mtype", &["::loader/hoopy-failed.txt"]);
    for line in [&*format!("IMAGE=nas-{UNWELL}"), "REASON=health.d/never failed with 3", "no pool"] {
        assert!(report.lines().any(|l| l == line), "{line}: {report}");
    }
    assert_clean(&disk, &machine.home.path(""));
}
