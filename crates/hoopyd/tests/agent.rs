//! The agent, in a directory that stands for a machine's root.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use hoopy_boot::secrets::{CIPHERTEXTS, MAP, Map, Open, SecretFile, State, VERSION};
use hoopy_secrets::cipher::encrypt;
use hoopy_secrets::{MachineIdentity, NoPrompt, Plaintext, Recipients};
use hoopyd::{boot, enroll, identity, outcome, secrets, unlock};

/// A machine's root with secrets.
struct Machine {
    root: tempfile::TempDir,
    identity: MachineIdentity,
    map: Map,
}

impl Machine {
    fn new(files: &[(&str, &str, u32)]) -> Self {
        let identity = MachineIdentity::generate();
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let file = |(secret, _, mode): &(&str, &str, u32)| SecretFile {
            secret: (*secret).to_owned(),
            path: (*secret).to_owned(),
            mode: *mode,
            user: own.0,
            group: own.1,
        };
        let map = Map {
            version: VERSION,
            open: Open::Owner,
            device: None,
            sealing: None,
            recipient: identity.recipient().as_str().to_owned(),
            files: files.iter().map(file).collect(),
            volumes: vec!["tank".to_owned()],
        };
        let machine = Self { root: tempfile::tempdir().unwrap(), identity, map };
        for (secret, text, _) in files.iter().chain(&[("unlock/tank", "the key of tank", 0)]) {
            machine.seal(secret, text);
        }
        machine.write(MAP, &serde_json::to_string(&machine.map).unwrap());
        machine
    }

    fn seal(&self, secret: &str, text: &str) {
        let to = Recipients::parse(self.identity.recipient().as_str()).unwrap();
        let sealed = encrypt(&Plaintext::new(text.into()), &to, &NoPrompt).unwrap();
        let path = self.root.path().join(CIPHERTEXTS).join(format!("{secret}.age"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, sealed).unwrap();
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, text: &str) {
        let path = "etc/hoopy/unlock.d/tank";
        self.write(path, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(self.root.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn identity_file(&self) -> Plaintext {
        MachineIdentity::file(std::slice::from_ref(&self.identity))
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap()
    }
}

#[test]
fn every_secret_is_in_its_place_with_its_mode_over_what_was_there() {
    let machine = Machine::new(&[("etc/key", "one", 0o600), ("var/lib/app/token", "two", 0o640)]);
    machine.write("etc/key", "of the package");
    fs::hard_link(machine.path().join("etc/key"), machine.path().join("etc/other-name")).unwrap();
    let result = secrets::open(machine.path(), &machine.map, std::slice::from_ref(&machine.identity));
    assert_eq!((result.state, &result.failures), (State::Open, &vec![]));
    assert_eq!(
        (machine.read("etc/key"), machine.read("var/lib/app/token")),
        ("one".to_owned(), "two".to_owned())
    );
    let mode = |path: &str| fs::metadata(machine.path().join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("etc/key"), mode("var/lib/app/token")), (0o600, 0o640));
    assert_eq!(machine.read("etc/other-name"), "of the package", "another name of it keeps what it had");
    let names: Vec<_> = fs::read_dir(machine.path().join("etc")).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing temporary is left: {names:?}");
}

#[test]
fn one_damaged_secret_is_named_and_the_others_are_opened() {
    let machine = Machine::new(&[("etc/a", "one", 0o600), ("etc/b", "two", 0o600)]);
    machine.write(&format!("{CIPHERTEXTS}/etc/a.age"), "damaged");
    let result = secrets::open(machine.path(), &machine.map, std::slice::from_ref(&machine.identity));
    assert_eq!(result.state, State::Failed);
    assert!(
        result.failures.len() == 1 && result.failures[0].starts_with("/etc/a: "),
        "{:?}",
        result.failures
    );
    assert_eq!(machine.read("etc/b"), "two");
}

#[test]
fn the_wrong_identity_opens_nothing_and_both_are_named() {
    let machine = Machine::new(&[("etc/a", "one", 0o600)]);
    let other = MachineIdentity::generate();
    let result = secrets::open(machine.path(), &machine.map, std::slice::from_ref(&other));
    assert_eq!(result.state, State::Failed);
    let first = &result.failures[0];
    assert!(first.contains(&machine.map.recipient) && first.contains(other.recipient().as_str()), "{first}");
    assert!(!machine.path().join("etc/a").exists());
}

#[test]
fn no_link_on_the_way_is_followed() {
    let machine = Machine::new(&[("etc/app/key", "one", 0o600)]);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(machine.path().join("etc")).unwrap();
    symlink(elsewhere.path(), machine.path().join("etc/app")).unwrap();
    let result = secrets::open(machine.path(), &machine.map, std::slice::from_ref(&machine.identity));
    assert_eq!(result.state, State::Failed);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_machine_that_waits_for_its_owner_is_locked_until_the_identity_comes() {
    let machine = Machine::new(&[("etc/key", "one", 0o600)]);
    machine.program("[ \"$1\" != --status ] || exit 1; cat >\"${0%/*}/got\"");
    assert_eq!(boot::secrets(machine.path()).unwrap().state, State::Locked);
    assert!(!machine.path().join("etc/key").exists());
    unlock::with_identity(machine.path(), machine.identity_file().as_bytes()).unwrap();
    assert_eq!(machine.read("etc/key"), "one");
    assert_eq!(machine.read("etc/hoopy/unlock.d/got"), "the key of tank");
    assert_eq!(outcome::read(machine.path()).unwrap().state, State::Open);
    assert_eq!(boot::secrets(machine.path()).unwrap().state, State::Open, "the service is started once more");
}

#[test]
fn a_volume_that_is_open_already_gets_no_key() {
    let machine = Machine::new(&[]);
    machine.program("[ \"$1\" = --status ] || exit 9");
    unlock::with_key(machine.path(), "tank", &b"k"[..]).unwrap();
}

#[test]
fn a_program_that_fails_is_named_with_what_it_said() {
    let machine = Machine::new(&[]);
    machine.program("echo no such pool >&2; exit 4");
    let error = unlock::with_key(machine.path(), "tank", &b"k"[..]).unwrap_err().to_string();
    assert!(error.contains("tank") && error.contains("no such pool"), "{error}");
    let error = unlock::with_key(machine.path(), "../x", &b"k"[..]).unwrap_err().to_string();
    assert!(error.contains("no key for it"), "{error}");
}

#[test]
fn nothing_secret_is_in_a_programs_arguments_or_environment() {
    let machine = Machine::new(&[]);
    machine.program("[ \"$1\" != --status ] || exit 1; { env; echo \"$@\"; tr '\\0' ' ' </proc/$PPID/cmdline; } >\"${0%/*}/seen\"");
    unlock::with_key(machine.path(), "tank", &b"CANARY-51c2"[..]).unwrap();
    assert!(!machine.read("etc/hoopy/unlock.d/seen").contains("CANARY"));
}

#[test]
fn an_identity_that_others_could_read_is_refused() {
    let machine = Machine::new(&[]);
    identity::keep(machine.path(), std::slice::from_ref(&machine.identity)).unwrap();
    assert_eq!(identity::on(machine.path()).unwrap().len(), 1);
    let file = machine.path().join("hoopy/identity");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = identity::on(machine.path()).unwrap_err().to_string();
    assert!(error.contains("0644"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = identity::on(machine.path()).unwrap_err().to_string();
    assert!(error.contains("enroll"), "{error}");
}

#[test]
fn a_new_identity_stands_before_the_old_ones_until_they_are_forgotten() {
    let [a, b] = [MachineIdentity::generate(), MachineIdentity::generate()];
    let both = enroll::merge(vec![b.clone()], vec![a.clone(), b.clone()], false);
    let recipients: Vec<_> = both.iter().map(MachineIdentity::recipient).collect();
    assert_eq!(recipients, [b.recipient(), a.recipient()]);
    assert_eq!(enroll::merge(vec![b], vec![a], true).len(), 1);
}

/// The machine's map, with the identity in a TPM.
fn with_tpm(machine: &mut Machine) {
    machine.map.open = Open::Tpm;
    machine.write(MAP, &serde_json::to_string(&machine.map).unwrap());
}

#[test]
fn keys_of_volumes_wait_in_memory_for_the_service_and_are_gone_after_it() {
    let mut machine = Machine::new(&[]);
    with_tpm(&mut machine);
    machine.program("[ \"$1\" != --status ] || exit 1; cat >\"${0%/*}/got\"");
    unlock::keep_keys(machine.path(), &machine.map, std::slice::from_ref(&machine.identity)).unwrap();
    let key = machine.path().join("run/hoopy/volume-keys/tank");
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o7777, 0o600);
    unlock::all(machine.path()).unwrap();
    assert_eq!(machine.read("etc/hoopy/unlock.d/got"), "the key of tank");
    assert!(!key.parent().unwrap().exists());
    let error = unlock::all(machine.path()).unwrap_err().to_string();
    assert!(error.contains("tank: its key is not there: hoopy unlock HOST tank"), "{error}");
    machine.program("[ \"$1\" = --status ]");
    unlock::all(machine.path()).unwrap();
}

#[test]
fn a_machine_whose_tpm_opens_nothing_is_locked_with_the_reason_and_the_owner_unlocks_it() {
    let mut machine = Machine::new(&[("etc/key", "one", 0o600)]);
    with_tpm(&mut machine);
    machine.program("exit 0");
    let first = boot::secrets(machine.path()).unwrap();
    assert_eq!((first.state, first.failures.len()), (State::Locked, 1));
    let text = outcome::text(&first);
    assert!(text.starts_with("secrets are locked\n") && text.contains("names no keys"), "{text}");
    assert_eq!(boot::secrets(machine.path()).unwrap(), first, "a TPM is asked once");
    unlock::with_identity(machine.path(), machine.identity_file().as_bytes()).unwrap();
    assert_eq!(machine.read("etc/key"), "one");
    assert_eq!(boot::secrets(machine.path()).unwrap().state, State::Open);
}

/// A machine of its own, whose first program this is: the agent is started as the service does it at boot.
const BOOT: &str = "
set -e
for dir in run etc usr/libexec; do mount --bind \"$1/$dir\" /$dir; done
unshare -m \"$2\" unlock
mountpoint -q /run/tank && cat /run/tank/key";

/// The mount was the agent's own once, and gone with it: a dataset of ZFS was unlocked, and not there.
#[test]
fn what_a_program_mounts_for_its_volume_at_boot_stays_mounted() {
    let mut machine = Machine::new(&[]);
    machine.map.open = Open::Tpm;
    machine.write(MAP, &serde_json::to_string(&machine.map).unwrap());
    machine.program("[ \"$1\" != --status ] || exec mountpoint -q /run/tank\nmount -t tmpfs tank /run/tank && cat >/run/tank/key");
    machine.write("run/hoopy/volume-keys/tank", "the key of tank");
    fs::create_dir(machine.path().join("run/tank")).unwrap();
    let mut boot = Command::new("unshare");
    boot.args(["-rmpf", "--mount-proc", "sh", "-c", BOOT, "sh"]).arg(machine.path());
    let out = boot.arg(env!("CARGO_BIN_EXE_hoopyd")).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{}: {said}", out.status);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "the key of tank", "{said}");
}
