//! The directory `secrets/`: set up, filled, encrypted anew, and checked.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hoopy_secrets::check::{FaultKind, headers, open, open_as_machine};
use hoopy_secrets::cipher::{decrypt, encrypt};
use hoopy_secrets::directory::SecretsError;
use hoopy_secrets::rekey::{Options, rekey};
use hoopy_secrets::{Identities, MachineIdentity, NoPrompt, Plaintext, Recipients, SecretPath, Secrets};
use proptest::prelude::*;

/// An owner: a key pair.
struct Owner(MachineIdentity);

impl Owner {
    fn new() -> Self {
        Self(MachineIdentity::generate())
    }

    fn line(&self) -> String {
        format!("{}\n", self.0.recipient().as_str())
    }

    fn identities(&self) -> Identities {
        Identities::of_machine(std::slice::from_ref(&self.0))
    }
}

fn path(text: &str) -> SecretPath {
    text.parse().unwrap()
}

fn plain(text: &str) -> Plaintext {
    Plaintext::new(text.into())
}

/// A system with a secret of each kind.
fn system(owner: &Owner) -> (tempfile::TempDir, Secrets) {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::initialise(dir.path(), &owner.line(), &NoPrompt).unwrap();
    for name in ["/etc/key", "unlock/tank", "trust/db"] {
        secrets.set(&path(name), &plain(name), &NoPrompt).unwrap();
    }
    let secrets = Secrets::read(dir.path()).unwrap().unwrap();
    (dir, secrets)
}

#[test]
fn a_directory_that_was_set_up_holds_what_was_put_in_it() {
    let owner = Owner::new();
    let (dir, secrets) = system(&owner);
    assert_eq!(secrets.paths, [path("etc/key"), path("trust/db"), path("unlock/tank")]);
    assert_eq!(secrets.open(&path("/etc/key"), &owner.identities()).unwrap(), plain("/etc/key"));
    assert_eq!((headers(&secrets), open(&secrets, &owner.identities())), (vec![], vec![]));
    assert!(matches!(
        Secrets::initialise(dir.path(), &owner.line(), &NoPrompt),
        Err(SecretsError::AlreadyInitialised(_))
    ));
    assert!(Secrets::read(&dir.path().join("elsewhere")).unwrap().is_none());
}

#[test]
fn what_is_not_for_the_machine_needs_no_machine() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("secrets/trust")).unwrap();
    assert!(Secrets::read(dir.path()).unwrap().is_none());
    fs::write(dir.path().join("secrets/trust/db.key.age"), "x").unwrap();
    fs::write(dir.path().join("secrets/notes"), "of somebody else").unwrap();
    assert!(Secrets::read(dir.path()).unwrap().is_none());
    fs::create_dir(dir.path().join("secrets/etc")).unwrap();
    fs::write(dir.path().join("secrets/etc/x.age"), "x").unwrap();
    assert!(Secrets::read(dir.path()).is_err());
}

#[test]
fn the_machine_opens_its_own_secrets_and_never_the_keys_that_sign() {
    let owner = Owner::new();
    let (_dir, secrets) = system(&owner);
    let machine = secrets.machine_identity(&owner.identities()).unwrap();
    open_as_machine(&secrets, &machine).unwrap();
    let with = Identities::of_machine(&[machine]);
    assert_eq!(secrets.open(&path("unlock/tank"), &with).unwrap(), plain("unlock/tank"));
    assert!(secrets.open(&path("trust/db"), &with).is_err());
    assert!(secrets.machine_identity(&with).is_err(), "machine.age is for the owner alone");
}

#[test]
fn another_recipient_is_noticed_until_everything_is_encrypted_for_it() {
    let (owner, other) = (Owner::new(), Owner::new());
    let (dir, _) = system(&owner);
    fs::write(dir.path().join("secrets/recipients"), owner.line() + &other.line()).unwrap();
    let mut secrets = Secrets::read(dir.path()).unwrap().unwrap();
    let faults = headers(&secrets);
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(faults.iter().all(|fault| matches!(fault.kind, FaultKind::Recipients { .. })), "{faults:?}");
    let done = rekey(&mut secrets, &owner.identities(), Options::default(), &NoPrompt).unwrap();
    assert_eq!((done.written.len(), done.unchanged), (4, 0));
    assert_eq!((headers(&secrets), open(&secrets, &other.identities())), (vec![], vec![]));
    let before = secrets.ciphertext(&path("etc/key")).unwrap();
    let again = rekey(&mut secrets, &owner.identities(), Options::default(), &NoPrompt).unwrap();
    assert_eq!((again.written.len(), again.unchanged), (0, 4), "ciphertexts stay where nothing changed");
    assert_eq!(secrets.ciphertext(&path("etc/key")).unwrap(), before);
}

#[test]
fn a_recipient_in_the_place_of_another_is_noticed() {
    let (owner, other) = (Owner::new(), Owner::new());
    let (dir, _) = system(&owner);
    fs::write(dir.path().join("secrets/recipients"), other.line()).unwrap();
    let secrets = Secrets::read(dir.path()).unwrap().unwrap();
    assert_eq!(headers(&secrets).len(), 4, "as many stanzas of the same kinds, and other keys");
}

#[test]
fn a_rekey_without_the_right_key_changes_nothing() {
    let (owner, other) = (Owner::new(), Owner::new());
    let (dir, mut secrets) = system(&owner);
    let foreign = encrypt(&plain("x"), &Recipients::parse(&other.line()).unwrap(), &NoPrompt).unwrap();
    fs::write(dir.path().join("secrets/etc/foreign.age"), foreign).unwrap();
    secrets.paths.push(path("etc/foreign"));
    let contents = || secrets.paths.iter().map(|path| secrets.ciphertext(path).unwrap()).collect::<Vec<_>>();
    let before = contents();
    let mut again = secrets.clone();
    let options = Options { all: true, machine: true };
    let error = rekey(&mut again, &owner.identities(), options, &NoPrompt).unwrap_err();
    assert!(error.to_string().contains("etc/foreign.age"), "{error}");
    assert_eq!(contents(), before);
    secrets.machine_identity(&owner.identities()).unwrap();
}

#[test]
fn a_new_machine_identity_opens_everything_and_the_old_one_nothing_new() {
    let owner = Owner::new();
    let (dir, mut secrets) = system(&owner);
    let old = secrets.machine_identity(&owner.identities()).unwrap();
    let options = Options { all: false, machine: true };
    let done = rekey(&mut secrets, &owner.identities(), options, &NoPrompt).unwrap();
    assert_eq!((done.written.len(), done.unchanged), (3, 1), "trust/ is not for the machine");
    let secrets = Secrets::read(dir.path()).unwrap().unwrap();
    assert_eq!((headers(&secrets), open(&secrets, &owner.identities())), (vec![], vec![]));
    assert!(open_as_machine(&secrets, &old).is_err());
}

#[test]
fn what_age_itself_encrypted_is_compared_by_the_kinds_of_its_stanzas() {
    let owner = Owner::new();
    let (dir, secrets) = system(&owner);
    let list = dir.path().join("list");
    let seal = |recipients: &str| {
        fs::write(&list, recipients).unwrap();
        let mut age = std::process::Command::new("age");
        age.arg("-R").arg(&list).arg("-o").arg(dir.path().join("secrets/etc/key.age")).arg(&list);
        assert!(age.status().unwrap().success());
    };
    seal(&(owner.line() + secrets.machine.as_str()));
    assert_eq!((headers(&secrets), open(&secrets, &owner.identities())), (vec![], vec![]));
    seal(&owner.line());
    let kinds: Vec<FaultKind> = headers(&secrets).into_iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::Recipients { machine: true }]);
    let faults = open(&secrets, &owner.identities());
    assert!(matches!(faults[0].kind, FaultKind::Machine(_)), "{faults:?}");
}

#[test]
fn what_does_not_belong_in_the_directory_is_named() {
    let owner = Owner::new();
    type Case = (&'static str, fn(&Path));
    let cases: [Case; 5] = [
        ("etc/plain", |dir| fs::write(dir.join("etc/plain"), "x").unwrap()),
        ("etc/link.age", |dir| symlink("key.age", dir.join("etc/link.age")).unwrap()),
        ("proc/x.age", |dir| {
            fs::create_dir(dir.join("proc")).unwrap();
            fs::write(dir.join("proc/x.age"), "x").unwrap();
        }),
        ("machine.pub", |dir| fs::write(dir.join("machine.pub"), "hello").unwrap()),
        ("recipients", |dir| fs::remove_file(dir.join("recipients")).unwrap()),
    ];
    for (name, damage) in cases {
        let (dir, _) = system(&owner);
        damage(&dir.path().join("secrets"));
        let error = Secrets::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

#[test]
fn a_removed_secret_leaves_no_empty_directory() {
    let (dir, secrets) = system(&Owner::new());
    let deep = path("/var/lib/app/token");
    secrets.set(&deep, &plain("x"), &NoPrompt).unwrap();
    secrets.remove(&deep).unwrap();
    assert!(!dir.path().join("secrets/var").exists());
    assert!(dir.path().join("secrets/etc").exists());
    assert!(matches!(secrets.remove(&deep), Err(SecretsError::Missing { .. })));
}

#[test]
fn no_plaintext_lies_in_the_directory() {
    let owner = Owner::new();
    let (dir, secrets) = system(&owner);
    secrets.set(&path("/etc/key"), &plain("CANARY-8f3a"), &NoPrompt).unwrap();
    let mut found = Vec::new();
    let mut dirs = vec![dir.path().to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                dirs.push(entry);
            } else {
                found.extend(fs::read(entry).unwrap());
            }
        }
    }
    for hidden in ["CANARY-8f3a", "AGE-SECRET-KEY-1"] {
        assert!(!found.windows(hidden.len()).any(|at| at == hidden.as_bytes()), "{hidden}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_encrypted_is_decrypted_as_it_was(bytes in proptest::collection::vec(any::<u8>(), 0..70_000)) {
        let machine = MachineIdentity::generate();
        let to = Recipients::parse(machine.recipient().as_str()).unwrap();
        let sealed = encrypt(&Plaintext::new(bytes.clone()), &to, &NoPrompt).unwrap();
        let opened = decrypt(&sealed, &Identities::of_machine(&[machine])).unwrap();
        prop_assert_eq!(opened.as_bytes(), &bytes[..]);
    }

    #[test]
    fn no_path_leads_out_of_the_directory(text in "[a./ -~]{0,24}") {
        if let Ok(path) = text.parse::<SecretPath>() {
            let file = path.file(Path::new("/s"));
            prop_assert!(file.starts_with("/s"));
            prop_assert!(file.components().all(|part| !matches!(part, std::path::Component::ParentDir)));
            prop_assert_eq!(path.to_string().parse::<SecretPath>().unwrap(), path);
        }
    }
}
