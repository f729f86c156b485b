//! A machine in the style of Filippo Valsorda's frood, as it lies in somebody's repository: programs in `cmd/`, secrets that
//! git ignores, a test in Go, a script that deploys with rsync, `/etc/zaphod-release`, the EFI system partition by its UUID in
//! `fstab`, two network cards. Nothing of it is there for hoopy but the three lines of `hoopy.toml`.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hoopy_testkit::Home;
use hoopy_vm::{Boot, Vm, VmConfig};

/// Generous: emulation on a busy machine.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(60);

/// What git ignores, and a clone does not have.
const SECRETS: [&str; 3] =
    ["root/etc/ssh/ssh_host_ed25519_key", "root/etc/mail/relay.conf", "root/etc/ssl/towel.key"];

fn clone() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.system(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/frood/system"), "zaphod");
    home
}

/// The clone with what its owner keeps elsewhere.
fn complete() -> Home {
    let home = clone();
    for secret in SECRETS {
        let path = home.path("zaphod").join(secret);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "a secret\n").unwrap();
    }
    home
}

#[test]
fn a_clone_without_its_secrets_is_not_built_and_told_all_of_them() {
    let home = clone();
    let error = home.fails(3, &["build", "zaphod", "--arch", "x86_64"]);
    for secret in SECRETS {
        assert!(error.contains(secret), "{secret}: {error}");
    }
}

#[test]
fn it_checks_builds_tests_and_its_disk_boots_with_three_lines_added() {
    let home = complete();
    let toml = fs::read_to_string(home.path("zaphod/hoopy.toml")).unwrap();
    assert_eq!(toml.lines().count(), 3);
    let image = home.ok(&["build", "zaphod", "--arch", "x86_64", "--quiet"]);
    let name = Path::new(image.trim()).file_stem().unwrap().to_str().unwrap().to_owned();
    let said = home.ok(&["check", "zaphod", "--arch", "x86_64"]);
    assert!(said.contains("tests/perms_test.go: `hoopy test` passes over it"), "{said}");
    assert!(!said.contains("error"), "{said}");

    let out = home.run(&["test", "zaphod", "--arch", "x86_64", "--logs", "logs"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
    for line in ["fstab is mounted", "services are up", "40-release"] {
        assert!(said.lines().any(|l| l.starts_with("ok") && l.contains(line)), "{line}: {said}");
    }

    let disk = home.ok(&["disk", "zaphod", "--arch", "x86_64", "-o", "disk.img", "--json"]);
    let disk: serde_json::Value = serde_json::from_str(&disk).unwrap();
    let partitions = disk["partitions"].as_array().unwrap();
    assert_eq!((partitions.len(), partitions[0]["spec"].as_str()), (1, Some("UUID=4242-B00C")), "{disk:#}");
    boots(&home, &name);
}

/// The disk is what its `fstab` mounts, and what it writes there is there the next time.
fn boots(home: &Home, name: &str) {
    let disk = home.path("disk.img");
    let config =
        VmConfig { nics: 2, ..VmConfig::new("x86_64".parse().unwrap(), Boot::Disk(disk.clone()), 1 << 30) };
    let log = std::env::var_os("HOOPY_CONSOLE_LOG").map(|path| Box::new(File::create(path).unwrap()) as _);
    let mut console = Vm::prepare(&config).unwrap().console(log).unwrap();
    console.login("root", Some("towel"), LONG).unwrap();
    let mut asks = |command: &str| {
        let (status, said) = console.run(command, SHORT).unwrap();
        assert_eq!(status, 0, "{command}: {said}");
        said
    };
    assert_eq!(asks("cat /etc/zaphod-release").trim(), name);
    let mounted = asks("grep ' /media/usb ' /proc/mounts");
    assert!(mounted.starts_with("/dev/vda1 /media/usb vfat rw"), "{mounted}");
    assert_eq!(asks("echo /media/usb/EFI/BOOT/*").trim(), "/media/usb/EFI/BOOT/BOOTX64.EFI");
    assert!(asks("ip -4 addr show eth0").contains("inet 10.0.2.15/"));
    assert!(asks("ip -4 addr show eth1").contains("inet 10.0.3.15/"));
    console.send("poweroff").unwrap();
    console.wait(LONG).unwrap();
    let kept = Command::new("mtype")
        .arg("-i")
        .arg(format!("{}@@1M", disk.display()))
        .arg("::persist/boots")
        .output();
    let kept = kept.expect("mtools is installed");
    assert_eq!(String::from_utf8_lossy(&kept.stdout), format!("image: {name}\n"));
}
