//! Disks that `hoopy disk` wrote, booted for real: UEFI firmware, systemd-boot, the health check, the way back.
//!
//! What is on a disk is changed and looked at with mtools while the machine is off.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hoopy_testkit::Home;
use hoopy_vm::{Boot, Console, Platform, Vm, VmConfig};

/// Generous: emulation on a busy machine, and reboots of it.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(60);

const GOOD: &str = "2026112101";
const UNWELL: &str = "2026112102";
const PANICS: &str = "2026112103";

/// `hoopy.toml`: one line a machine, with what the case adds.
fn config(arch: &str, more: &str) -> String {
    format!("name = \"nas\"\narch = \"{arch}\"\n{more}\n")
}

/// `no_timer_check`: on a busy machine an emulated timer may be late, which the kernel takes for a broken one.
const AB: &str = "layout = \"ab\"\ncmdline = \"no_timer_check console=ttyS0 console=ttyAMA0\"";

struct Machine {
    home: Home,
    arch: &'static str,
}

impl Machine {
    fn new(arch: &'static str) -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.system(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/disk/system"), "nas");
        let machine = Self { home, arch };
        machine.set("hoopy.toml", &config(arch, AB), 0o644);
        machine
    }

    /// Builds an image with this version.
    fn build(&self, version: &str) -> PathBuf {
        self.home.ok(&["build", "nas", "--quiet", "--image-version", version]).trim().into()
    }

    fn disk(&self) -> PathBuf {
        let said = self.home.ok(&["disk", "nas", "-o", "nas.img"]);
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
        self.boot_on(disk, Platform::default())
    }

    fn boot_on(&self, disk: &Path, platform: Platform) -> Console {
        let config = VmConfig::new(self.arch.parse().unwrap(), Boot::Disk(disk.to_owned()), 1 << 30);
        let config = VmConfig { platform, ..config };
        let log =
            std::env::var_os("HOOPY_CONSOLE_LOG").map(|path| Box::new(File::create(path).unwrap()) as _);
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
    let script =
        "dd if=\"$1\" of=\"$2\" bs=1M skip=1 count=512 conv=sparse status=none && fsck.vfat -n \"$2\"";
    let mut command = Command::new("sh");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["-c", script, "sh"]).arg(disk).arg(&esp);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn the_boot_loader_is_locked_for_the_layout_that_has_one() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("nas");
    let lock = || fs::read_to_string(dir.join("hoopy.lock")).unwrap();
    home.ok(&["lock", "nas"]);
    assert!(!lock().contains("role = \"loader\""));
    fs::write(dir.join("hoopy.toml"), "name = \"small\"\nlayout = \"ab\"\n").unwrap();
    let error = home.fails(3, &["build", "nas", "--locked"]);
    assert!(error.contains("layout = \"ab\" starts images with a boot loader"), "{error}");
    home.ok(&["-C", "nas", "update"]);
    assert!(lock().contains("role = \"loader\""));
    let why = home.ok(&["-C", "nas", "why", "systemd-boot"]);
    assert!(why.contains("layout = \"ab\""), "{why}");
}

#[test]
fn what_a_disk_cannot_be_is_told_before_it_is_made() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("nas");
    assert!(home.fails(1, &["disk", "nas", "-o", "a.img"]).contains("build one with `hoopy build`"));
    fs::write(dir.join("image"), "x").unwrap();
    fs::write(dir.join("root/etc/fstab"), "LABEL=a /a ext4\nLABEL=b /b ext4\n").unwrap();
    let disk = |code: i32, args: &[&str]| {
        home.fails(code, &[&["disk", "nas", "-o", "a.img", "--image", "nas/image"], args].concat())
    };
    assert!(disk(2, &[]).contains("name each of them, as --persist /a, or none with --no-persist"));
    assert!(disk(2, &["--persist", "/c"]).contains("there are /a, /b"));
    assert!(disk(1, &["--no-persist", "--size", "1M"]).contains("--size"));
    assert!(!home.path("a.img").exists());
    let error = home.fails(1, &["-C", "nas", "flash", "image", "--yes"]);
    assert!(error.contains("is not a block device"), "{error}");
    home.ok(&["disk", "nas", "-o", "a.img", "--image", "nas/image", "--persist", "/b", "--json"]);
    assert!(home.path("a.img").exists());
}

#[test]
fn a_disk_with_one_image_boots_and_mounts_what_lasts() {
    let machine = Machine::new("x86_64");
    machine.set("hoopy.toml", &config("x86_64", "cmdline = \"no_timer_check console=ttyS0\""), 0o644);
    machine.build(GOOD);
    let disk = machine.disk();
    let mut console = machine.boot(&disk);
    console.login("root", Some("nas"), LONG).unwrap();
    let mounted = asks(&mut console, "grep ' /data ' /proc/mounts");
    assert!(mounted.starts_with("/dev/vda2 /data ext4 rw"), "{mounted}");
    // Nothing is added to such a machine
    assert_eq!(asks(&mut console, "ls /etc/init.d | grep hoopy || true"), "");
    off(console);
}

#[test]
fn an_image_on_trial_that_is_well_is_marked_as_good_on_aarch64() {
    let machine = Machine::new("aarch64");
    machine.build(GOOD);
    let disk = machine.disk();
    let (good, trial) = (format!("nas-{GOOD}.efi"), format!("nas-{GOOD}+3.efi"));
    assert_eq!(images(&disk), [&*good]);
    mtools(&disk, "mren", &[&format!("::EFI/Linux/{good}"), &trial]);
    let mut console = machine.boot(&disk);
    console.expect(" is good", LONG).unwrap();
    log_in(&mut console);
    let health = asks(&mut console, "cat /run/hoopy/health");
    let image = good.trim_end_matches(".efi");
    for line in
        ["STATE=good", "ACTION=blessed", &format!("IMAGE={image}"), &format!("SLOT={good}"), "COUNTED=no"]
    {
        assert!(health.lines().any(|l| l == line), "{line}: {health}");
    }
    assert_eq!(asks(&mut console, "grep -c vfat /proc/mounts || true"), "0");
    assert!(asks(&mut console, "cat /proc/cmdline").contains(" panic=10 "));
    off(console);
    assert_eq!(images(&disk), [good]);
    assert_clean(&disk, &machine.home.path(""));
}

#[test]
fn images_that_panic_or_are_unwell_give_way_to_the_last_good_one() {
    let machine = Machine::new("x86_64");
    machine.build(GOOD);
    let disk = machine.disk();
    machine.set("root/etc/hoopy/health.d/never", "#!/bin/sh\necho no pool\nexit 3\n", 0o755);
    let unwell = machine.build(UNWELL);
    let panic = "layout = \"ab\"\ncmdline = \"no_timer_check console=ttyS0 rdinit=/none\"";
    machine.set("hoopy.toml", &config("x86_64", panic), 0o644);
    let panics = machine.build(PANICS);
    // One try each: that there may be three is for the deploys to show.
    for (image, version) in [(unwell, UNWELL), (panics, PANICS)] {
        mtools(&disk, "mcopy", &[image.to_str().unwrap(), &format!("::EFI/Linux/nas-{version}+1.efi")]);
    }
    for said in ["Kernel panic", "never failed with 3: rebooting, 0 tries"] {
        let mut console = machine.boot(&disk);
        console.expect(said, LONG).unwrap();
        console.wait(LONG).unwrap();
    }
    let mut console = machine.boot(&disk);
    console.login("root", Some("nas"), LONG).unwrap();
    assert_eq!(asks(&mut console, "grep ^IMAGE /etc/hoopy-release"), format!("IMAGE=nas-{GOOD}"));
    off(console);
    let left = [GOOD.to_owned(), format!("{UNWELL}+0-1"), format!("{PANICS}+0-1")];
    assert_eq!(images(&disk), left.map(|name| format!("nas-{name}.efi")));
    let report = mtools(&disk, "mtype", &["::loader/hoopy-failed.txt"]);
    for line in [&*format!("IMAGE=nas-{UNWELL}"), "REASON=health.d/never failed with 3", "no pool"] {
        assert!(report.lines().any(|l| l == line), "{line}: {report}");
    }
    assert_clean(&disk, &machine.home.path(""));
}

/// Panics, unless the boot before did. Alpine's sysctl has the kernel wait for two minutes.
const PANICKING: &str = "#!/sbin/openrc-run
start() {
	[ -z \"$(ls /sys/fs/pstore)\" ] || return 0
	echo 1 >/proc/sys/kernel/panic
	echo c >/proc/sysrq-trigger
}
";

#[test]
fn the_kernels_last_words_are_on_the_partition_after_the_next_boot() {
    let machine = Machine::new("x86_64");
    machine.set("root/etc/init.d/panicking", PANICKING, 0o755);
    let link = machine.home.path("nas/root/etc/runlevels/default/panicking");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/etc/init.d/panicking", link).unwrap();
    machine.build(GOOD);
    let disk = machine.disk();
    let boot = || {
        let variables = Some(machine.home.path("firmware"));
        machine.boot_on(&disk, Platform { variables, tpm: None })
    };
    let mut console = boot();
    console.expect("Kernel panic", LONG).unwrap();
    console.wait(LONG).unwrap();
    let mut console = boot();
    console.expect(&format!("nas-{GOOD} panicked: see loader/hoopy-failed.txt"), LONG).unwrap();
    log_in(&mut console);
    assert_eq!(asks(&mut console, "ls /sys/fs/pstore"), "");
    off(console);
    let report = mtools(&disk, "mtype", &["::loader/hoopy-failed.txt"]);
    let lines: Vec<&str> = report.lines().map(|line| line.trim_end_matches('\r')).collect();
    assert_eq!(lines[0], format!("IMAGE=nas-{GOOD}"), "{report}");
    assert_eq!(lines[1], format!("SLOT=nas-{GOOD}.efi"), "{report}");
    assert_eq!(lines[3], "REASON=Kernel panic - not syncing: sysrq triggered crash", "{report}");
    assert!(lines.iter().any(|line| line.contains("sysrq: Trigger a crash")), "{report}");
    assert!(report.len() < 16 << 10, "{} bytes", report.len());
    assert_clean(&disk, &machine.home.path(""));
}
