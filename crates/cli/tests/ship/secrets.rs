//! Secrets on a machine that runs: locked until the owner comes over ssh, opened by itself with the identity on its disk, or
//! in its image: one boot and more for each value of `open`.

use std::fs;
use std::process::Stdio;

use crate::choice::Choice;
use crate::machine::{Machine, succeeds, toml};

/// What a secret holds; it must be nowhere but in its own place.
const CANARY: &str = "CANARY-7d21c9";

/// The key of a volume.
const KEY: &str = "CANARY-KEY-5e0b";

/// A service that wants the secret.
const SERVICE: &str = "\
#!/sbin/openrc-run
depend() {
	need hoopy-secrets
}
start() {
	cp /etc/app/token /run/token-of-the-service
}
";

/// A volume whose program mounts it, as that of ZFS does.
const VOLUME: &str = "\
#!/bin/sh
[ \"$1\" != --status ] || exec mountpoint -q /run/tank
mkdir -p /run/tank && mount -t tmpfs tank /run/tank && exec cat >/run/tank/key
";

/// A system with a secret, a volume with a key, and a service that wants the secret.
fn prepare(machine: &Machine, open: &str) {
    machine.set("root/etc/init.d/wants-it", SERVICE, 0o755);
    machine.set("root/etc/hoopy/unlock.d/tank", VOLUME, 0o755);
    let setup = fs::read_to_string(machine.home.path("hello/setup.sh")).unwrap();
    machine.set("setup.sh", &format!("{setup}\nrc-update add wants-it default\nadduser -S app\n"), 0o755);
    machine.set(
        "hoopy.toml",
        &(toml("single", "") + &format!("\"etc/app/token\" = \"0640\"\n[secrets]\nopen = \"{open}\"\nowners = {{ \"/etc/app/token\" = \"app:root\" }}\n")),
        0o644,
    );
    succeeds(machine.command("secret", &["init"]), "");
    for (path, secret) in [("/etc/app/token", CANARY), ("unlock/tank", KEY)] {
        set(machine, path, secret);
    }
}

/// A system whose image has its secret in the clear: nothing on the machine opens it.
fn prepare_in_the_clear(machine: &Machine) {
    let setup = fs::read_to_string(machine.home.path("hello/setup.sh")).unwrap();
    machine.set("setup.sh", &format!("{setup}\nadduser -S app\n"), 0o755);
    let own = "\"etc/app/token\" = \"0640\"\n[secrets]\nopen = \"build\"\nowners = { \"/etc/app/token\" = \"app:root\" }\n";
    machine.set("hoopy.toml", &(toml("single", "") + own), 0o644);
    succeeds(machine.command("secret", &["init"]), "");
    set(machine, "/etc/app/token", CANARY);
}

fn set(machine: &Machine, path: &str, secret: &str) {
    let mut child = machine.command("secret", &["set", path]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), secret.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Secrets are open, with their owner and mode, and whoever waited for them has them.
fn is_open(machine: &Machine) {
    assert_eq!(machine.asks("cat /etc/app/token"), CANARY);
    assert_eq!(machine.asks("stat -c %a:%U:%G /etc/app/token"), "640:app:root");
    assert_eq!(machine.asks("mountpoint -q /run/tank && cat /run/tank/key"), KEY);
    assert_eq!(machine.asks("cat /run/token-of-the-service"), CANARY);
    assert_eq!(machine.asks("/etc/hoopy/health.d/hoopy-secrets"), "secrets are open");
    println!("{}", machine.asks("cat /run/hoopy/secrets.json"));
    let drift = succeeds(machine.command("drift", &["vm"]), "");
    assert!(!drift.contains("token\n") && !drift.contains("etc/app/token"), "{drift}");
}

/// Nothing in the clear lies on its disk.
fn nothing_is_on_the_disk(machine: &Machine) {
    let disk = fs::read(machine.disk()).unwrap();
    for hidden in [CANARY, KEY] {
        assert!(memchr::memmem::find(&disk, hidden.as_bytes()).is_none(), "{hidden} is on the disk");
    }
}

#[test]
#[ignore = "boots a machine"]
fn a_locked_machine_is_reached_and_unlocked_over_ssh() {
    let mut machine =
        Machine::with(Choice::from_environment().arch, "single", |machine| prepare(machine, "owner"));
    machine.start();
    assert!(machine.asks("/etc/hoopy/health.d/hoopy-secrets").contains("locked"));
    machine.asks("test ! -e /etc/app/token && test ! -e /run/tank && test ! -e /run/token-of-the-service");
    machine.say("it is locked, and answers over ssh");
    succeeds(machine.command("unlock", &["vm", "tank"]), "");
    assert_eq!(machine.asks("cat /run/tank/key && test ! -e /etc/app/token"), KEY);
    succeeds(machine.command("unlock", &["vm"]), "");
    is_open(&machine);
    machine.kill();
    nothing_is_on_the_disk(&machine);
}

#[test]
#[ignore = "boots a machine"]
fn a_machine_has_the_secrets_that_its_build_opened() {
    let mut machine = Machine::with(Choice::from_environment().arch, "single", prepare_in_the_clear);
    machine.start();
    assert_eq!(machine.asks("cat /etc/app/token"), CANARY);
    assert_eq!(machine.asks("stat -c %a:%U:%G /etc/app/token"), "640:app:root");
    machine.asks("test ! -e /etc/init.d/hoopy-secrets");
    machine.say("its secrets are in its image");
}

#[test]
#[ignore = "boots a machine"]
fn a_machine_opens_its_secrets_with_the_identity_on_its_disk() {
    let mut machine = Machine::with(Choice::from_environment().arch, "single", |machine| {
        machine.set("root/etc/fstab", "LABEL=persist /persist ext4 noatime 0 0\n", 0o644);
        prepare(machine, "disk");
    });
    machine.start();
    is_open(&machine);
    assert!(!machine.asks("cat /proc/mounts").contains("/run/hoopy"), "the identity is not mounted any more");
    machine.say("its secrets are open");
    // A new identity: the image that runs needs the old one, the next image the new one.
    succeeds(machine.command("secret", &["rekey", "--machine"]), "");
    succeeds(machine.command("secret", &["enroll", "vm"]), "");
    is_open(&machine);
    let kept = machine.asks(
        "mkdir -p /tmp/p && mount -t ext4 LABEL=persist /tmp/p && grep -c AGE-SECRET-KEY /tmp/p/hoopy/identity && stat -c %a:%U /tmp/p/hoopy/identity && umount /tmp/p",
    );
    assert_eq!(kept, "2\n600:root");
    machine.kill();
    nothing_is_on_the_disk(&machine);
}
