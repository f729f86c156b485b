//! A machine that starts what its owner signed, and whose TPM opens its secrets: over many deploys and a fallback that nobody
//! touches, and while the key that signs is rotated. `tests/cli/sealed.rs` has what leaves it locked.
//!
//! A TPM that is emulated and gets no processor time for a second is a broken one for the kernel, and the machine comes up locked
//! for that reason alone, which tells nothing: such a boot is made again.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use hoopy_base::arch::Arch;

use crate::choice::Choice;
use crate::falls::falls_back;
use crate::machine::{Machine, WITHIN, succeeds, toml};
use crate::power::Hardware;

/// What the secret holds.
const CANARY: &str = "CANARY-c4a1n0";

/// What the agent says of a TPM that answered too late.
const TOO_SLOW: &str = "did not answer the kernel in time";

/// How often a boot with such a TPM is made again.
const TRIES: u32 = 4;

fn prepare(machine: &Machine) {
    let packages = fs::read_to_string(machine.home.path("hello/packages")).unwrap();
    machine.set("packages", &packages.replace("linux-virt", "linux-lts"), 0o644);
    machine.set("root/etc/fstab", "LABEL=persist /persist ext4 noatime 0 0\n", 0o644);
    let trust = "[trust]\nrequired = true\n[secrets]\nopen = \"tpm\"\n";
    let config = toml("ab", "").replace("512M", "1G") + trust;
    machine.set("hoopy.toml", &config, 0o644);
    succeeds(machine.command("secret", &["init"]), "");
    let mut child =
        machine.command("secret", &["set", "/etc/app/token"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(CANARY.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    succeeds(machine.command("keys", &["new"]), "");
}

/// A machine that has taken the keys, sealed its identity, and is up.
fn machine(arch: Arch) -> Machine {
    let mut machine = Machine::on(Hardware { memory: 1 << 30, tpm: true }, arch, "ab", prepare);
    machine.say("its disk is written");
    machine.start();
    comes_up_open(&machine);
    assert_eq!(machine.asks("ls /persist/hoopy"), "identity.tpm");
    machine.say("keys are enrolled, the identity is sealed");
    machine
}

/// What the agent says of the secrets.
fn secrets(machine: &Machine) -> String {
    machine.asks("/usr/libexec/hoopy/hoopyd status || true")
}

fn is_open(machine: &Machine) {
    let said = secrets(machine);
    assert!(said.starts_with("secrets are open"), "{said}\n{}", machine.log());
    assert_eq!(machine.asks("cat /etc/app/token"), CANARY);
}

/// Secrets are open after this boot, or another one where the TPM was too slow.
fn comes_up_open(machine: &Machine) {
    for _ in 0..TRIES {
        let said = secrets(machine);
        if !said.contains(TOO_SLOW) {
            return is_open(machine);
        }
        machine.say(&format!("the boot is made again: {said}"));
        reboots(machine);
    }
    panic!("the TPM was too slow for the kernel, again and again");
}

/// Reboots it, and waits until it is up.
fn reboots(machine: &Machine) {
    let boot = || machine.ssh("cat /proc/sys/kernel/random/boot_id").stdout;
    let before = boot();
    machine.ssh("sync; reboot");
    let is_up = || {
        let now = boot();
        !now.is_empty() && now != before
    };
    assert!(hoopy_testkit::soon(crate::machine::LONG, is_up), "it did not come up:\n{}", machine.log());
}

/// A deploy of something new, after which nobody touches the machine and its secrets are open.
fn deploys(machine: &Machine, motd: &str) {
    for attempt in 0..TRIES {
        machine.set("root/etc/motd", &format!("{motd} {attempt}\n"), 0o644);
        machine.build();
        let out = machine.command("deploy", &["--reboot", "--json", "--within", WITHIN]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        if out.status.success() {
            assert_eq!(machine.asks("cat /etc/motd"), format!("{motd} {attempt}"));
            is_open(machine);
            machine.say(&format!("{motd}: {} is up, its secrets are open", machine.runs()));
            return;
        }
        assert!(said.contains(TOO_SLOW), "{said}\n{}", machine.log());
        machine.say(&format!("the deploy is made again: the TPM {TOO_SLOW}"));
    }
    panic!("the TPM was too slow for the kernel, again and again");
}

fn keys(machine: &Machine, args: &[&str]) -> String {
    let said = succeeds(machine.command("keys", args), &machine.log());
    machine.quote(&format!("keys {}", args.join(" ")), &said);
    said
}

/// What is known of the machine's firmware, as JSON.
fn report(machine: &Machine) -> serde_json::Value {
    keys(machine, &["status", "vm"]);
    let said = succeeds(machine.command("keys", &["status", "vm", "--json"]), "");
    serde_json::from_str(&said).unwrap()
}

/// Who signed what booted, as the TPM's log has it.
fn signers(report: &serde_json::Value) -> Vec<String> {
    let signers = report["signers"].as_array().unwrap().iter();
    signers.map(|signer| signer["subject"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "boots a machine: in CI a few times, in full with `cargo xtask prove`"]
fn a_tpm_opens_the_secrets_over_deploys_and_a_fallback_that_nobody_touches() {
    let choice = Choice::from_environment();
    let machine = machine(choice.arch);
    let report = report(&machine);
    assert_eq!(report["mode"], "enforcing", "{report}");
    assert_eq!(signers(&report), ["CN=vm db"], "{report}");
    let started = report["started"].as_array().unwrap();
    assert!(
        started.iter().any(|program| program["path"].as_str().unwrap().contains("EFI\\BOOT")),
        "{report}"
    );
    assert_eq!(report["enrolling"]["by_ssh"], serde_json::json!([]), "{report}");
    if !choice.full {
        // On x86_64, `tests/cli/sealed.rs` does that.
        if choice.arch != Arch::X86_64 {
            reboots(&machine);
            comes_up_open(&machine);
            machine.say("the TPM opened it at the next boot");
        }
        return;
    }
    for n in 1..=choice.deploys {
        deploys(&machine, &format!("deploy {n}"));
    }
    let good = machine.runs();
    let check = "root/etc/hoopy/health.d/bad";
    machine.set(check, "#!/bin/sh\necho the disk is gone\nexit 1\n", 0o755);
    machine.build();
    let said = falls_back(&machine, "--reboot");
    assert!(said.contains("the disk is gone"), "{said}");
    machine.unset(check);
    assert_eq!(machine.runs(), good);
    comes_up_open(&machine);
    machine
        .say(&format!("PROVEN: {} deploys and a fallback with secrets that the TPM opens", choice.deploys));
}

/// An older image, and an older copy of the disk, open nothing once an image of a later epoch has booted well.
#[test]
#[ignore = "boots a machine: cargo xtask prove"]
fn an_epoch_that_is_raised_shuts_older_images_out() {
    let choice = Choice::from_environment();
    if !choice.full {
        return;
    }
    let machine = machine(choice.arch);
    let old_image = machine.runs();
    machine.asks("cp /persist/hoopy/identity.tpm /persist/copy");
    let said = keys(&machine, &["epoch", "--raise"]);
    assert!(said.contains("images are of epoch 1"), "{said}");

    // An image that is not good shuts nothing out.
    let check = "root/etc/hoopy/health.d/bad";
    machine.set(check, "#!/bin/sh\necho the disk is gone\nexit 1\n", 0o755);
    machine.build();
    falls_back(&machine, "--reboot");
    machine.unset(check);
    assert_eq!(machine.runs(), old_image);
    comes_up_open(&machine);
    machine.say("an image of epoch 1 was not good: the one of epoch 0 opens its secrets");

    deploys(&machine, "of epoch 1");
    let log = machine.asks("cat /run/hoopy/health.log");
    assert!(log.contains("images of earlier epochs are shut out"), "{log}");
    let new_image = machine.runs();
    let is_locked = |reason: &str| {
        let said = secrets(&machine);
        assert!(said.starts_with("secrets are locked") && said.contains(reason), "{said}");
    };
    let out = machine.command("rollback", &["--reboot", "--within", WITHIN]).output().unwrap();
    assert_eq!(machine.runs(), old_image, "{}", String::from_utf8_lossy(&out.stderr));
    is_locked("this image is of epoch 0, and the secret was sealed for epoch 1 or later");
    machine.say("the image of epoch 0 comes up locked");
    machine
        .asks("cp /persist/hoopy/identity.tpm /persist/new && cp /persist/copy /persist/hoopy/identity.tpm");
    reboots(&machine);
    is_locked("another one was sealed since");
    machine.say("and with a copy of the disk from its own time, too");

    // Its owner opens it on purpose; and the later one shuts it out again.
    machine.asks("mv /persist/new /persist/hoopy/identity.tpm");
    succeeds(machine.command("secret", &["enroll", "vm"]), &machine.log());
    is_open(&machine);
    reboots(&machine);
    comes_up_open(&machine);
    deploys(&machine, "of epoch 1 again");
    assert_ne!(machine.runs(), new_image);
    machine.say("PROVEN: a raised epoch shuts older images out, and older copies of the disk");
}

/// After its `db` changed: the machine comes up locked, and one command opens it.
fn is_enrolled_anew(machine: &Machine) {
    reboots(machine);
    let said = secrets(machine);
    assert!(said.starts_with("secrets are locked"), "{said}");
    succeeds(machine.command("secret", &["enroll", "vm"]), &machine.log());
    is_open(machine);
    reboots(machine);
    comes_up_open(machine);
}

/// Each image is started under each `db` that should start it: that of the old key alone, of both, of the new key alone.
#[test]
#[ignore = "boots a machine many times: cargo xtask prove"]
fn a_key_is_rotated_while_every_image_goes_on_starting() {
    let choice = Choice::from_environment();
    if !choice.full {
        return;
    }
    let machine = machine(choice.arch);
    let old_image = machine.runs();
    keys(&machine, &["rotate"]);
    // Both have signed, and the firmware knows the old key alone.
    deploys(&machine, "both signed, the old one is trusted");
    assert_eq!(signers(&report(&machine)), ["CN=vm db"]);
    keys(&machine, &["enroll", "vm"]);
    is_enrolled_anew(&machine);
    machine.say("both signed, both are trusted: its secrets are open");
    let both = signers(&report(&machine));
    assert!(both.len() == 2 && both[0] == "CN=vm db" && both[1].starts_with("CN=vm db 2"), "{both:?}");

    // The image that the old key alone has signed starts as well.
    // It is locked, as after every change of who signs what starts, and so it is not well.
    let out = machine.command("rollback", &["--reboot", "--within", WITHIN]).output().unwrap();
    assert_eq!(machine.runs(), old_image, "{}", String::from_utf8_lossy(&out.stderr));
    machine.say("the old one signed, both are trusted: it starts");
    deploys(&machine, "both signed, both are trusted");

    keys(&machine, &["rotate", "--finish"]);
    let (code, said) = machine.fails("keys", &["enroll", "vm"]);
    assert!(code == 1 && said.contains("would not start EFI/Linux/vm-"), "{said}");
    deploys(&machine, "the new one signed, both are trusted");
    keys(&machine, &["enroll", "vm"]);
    is_enrolled_anew(&machine);
    machine.say("the new one signed, the new one is trusted: its secrets are open");
    let new = signers(&report(&machine));
    assert!(new.len() == 1 && new[0].starts_with("CN=vm db 2"), "{new:?}");

    // Both have signed the image before, which starts under the new one.
    let said = succeeds(machine.command("rollback", &["--reboot", "--within", WITHIN]), &machine.log());
    assert_ne!(machine.runs(), old_image, "{said}");
    comes_up_open(&machine);
    machine.say("both signed, the new one is trusted: its secrets are open");
    // What the old key alone has signed is refused before anything is written.
    let config = fs::read_to_string(machine.home.path("hello/hoopy.toml")).unwrap();
    machine.set("hoopy.toml", &config.replace("required = true", "required = false"), 0o644);
    let old = format!("images/{old_image}.efi");
    let (_, said) = machine.fails("deploy", &["--image", &old, "--force"]);
    assert!(said.contains("the firmware of vm would not start"), "{said}");
    machine.say("PROVEN: a key is rotated, and every image starts under every db that should start it");
}
