//! The program `age` is the oracle: what is written here opens there, and the other way round, for every kind of recipient.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hoopy_secrets::cipher::{DecryptError, decrypt, encrypt, encrypt_with_passphrase, stanzas};
use hoopy_secrets::{Identities, MachineIdentity, NoPrompt, Plaintext, Prompt, Recipients, SecretString};

const PLAIN: &[u8] = b"the key of the house\n\0\xff";

fn run(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    let child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|e| panic!("{program}: {e}: run `cargo xtask setup`"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A key pair: the file with the private half, and the public one.
fn age_key(dir: &Path) -> (PathBuf, String) {
    let file = dir.join("key.txt");
    run("age-keygen", &["-o", file.to_str().unwrap()], b"");
    let public = run("age-keygen", &["-y", file.to_str().unwrap()], b"");
    (file, String::from_utf8(public).unwrap().trim().to_owned())
}

fn ssh_key(dir: &Path, kind: &str, passphrase: &str) -> (PathBuf, String) {
    let file = dir.join(format!("id_{kind}{}", passphrase.len()));
    let name = file.to_str().unwrap();
    run("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", "me@desk", "-f", name], b"");
    let public = fs::read_to_string(format!("{name}.pub")).unwrap();
    (file, public.trim().to_owned())
}

fn identities(file: &Path, prompt: &impl Prompt) -> Identities {
    let mut all = Identities::default();
    all.add_file(&fs::read(file).unwrap(), "key", prompt).unwrap();
    all
}

/// Both ways, for one key pair.
fn agrees(key: &Path, public: &str, dir: &Path) {
    let (sealed, list) = (dir.join("sealed.age"), dir.join("recipients"));
    fs::write(&list, format!("# comment\n{public}\n")).unwrap();
    let recipients = Recipients::parse(&fs::read_to_string(&list).unwrap()).unwrap();
    fs::write(&sealed, encrypt(&Plaintext::new(PLAIN.to_vec()), &recipients, &NoPrompt).unwrap()).unwrap();
    let opened = run("age", &["-d", "-i", key.to_str().unwrap(), sealed.to_str().unwrap()], b"");
    assert_eq!(opened, PLAIN, "age opens what hoopy wrote for {public}");
    for more in [&[][..], &["-a"]] {
        let args = [&["-R", list.to_str().unwrap()][..], more].concat();
        let sealed = run("age", &args, PLAIN);
        let opened = decrypt(&sealed, &identities(key, &NoPrompt)).unwrap();
        assert_eq!(opened.as_bytes(), PLAIN, "hoopy opens what age wrote for {public}");
    }
}

#[test]
fn age_and_hoopy_open_each_others_files_for_every_kind_of_key() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (key, public) in [age_key(at), ssh_key(at, "ed25519", ""), ssh_key(at, "rsa", "")] {
        agrees(&key, &public, at);
    }
}

#[test]
fn age_opens_a_file_for_many_with_any_of_their_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (key, public) = age_key(dir.path());
    let (ssh, of_ssh) = ssh_key(dir.path(), "ed25519", "");
    let machine = MachineIdentity::generate();
    let to = Recipients::parse(&format!("{public}\n{of_ssh}\n")).unwrap().with(&machine.recipient());
    let sealed = encrypt(&Plaintext::new(PLAIN.to_vec()), &to, &NoPrompt).unwrap();
    let file = dir.path().join("machine.txt");
    fs::write(&file, MachineIdentity::file(&[machine]).as_bytes()).unwrap();
    for identity in [&key, &ssh, &file] {
        assert_eq!(run("age", &["-d", "-i", identity.to_str().unwrap()], &sealed), PLAIN);
        assert_eq!(decrypt(&sealed, &identities(identity, &NoPrompt)).unwrap().as_bytes(), PLAIN);
    }
    let tags: Vec<String> = stanzas(&sealed).unwrap().into_iter().map(|stanza| stanza.tag).collect();
    let genuine: Vec<&String> = tags.iter().filter(|tag| !tag.ends_with("-grease")).collect();
    assert_eq!(genuine, ["X25519", "ssh-ed25519", "X25519", "hoopy/recipients"]);
}

#[test]
fn a_changed_header_and_a_changed_payload_are_told_apart() {
    let machine = MachineIdentity::generate();
    let to = Recipients::parse(machine.recipient().as_str()).unwrap();
    let sealed = encrypt(&Plaintext::new(PLAIN.to_vec()), &to, &NoPrompt).unwrap();
    let with = Identities::of_machine(&[machine]);
    let end = sealed.len() - 1;
    let flipped = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        decrypt(&bytes, &with).unwrap_err()
    };
    assert_eq!(flipped(end), DecryptError::Payload);
    assert_eq!(decrypt(&sealed[..end], &with).unwrap_err(), DecryptError::Payload);
    assert_eq!(flipped(0), DecryptError::Header);
    let digest = sealed.windows(4).position(|at| at == b"ents").unwrap() + 6;
    assert_eq!(flipped(digest), DecryptError::Mac);
    assert_eq!(decrypt(b"", &with).unwrap_err(), DecryptError::Header);
    assert_eq!(decrypt(&vec![0; 13 << 20], &with).unwrap_err(), DecryptError::TooLarge);
}

#[test]
fn a_header_with_thousands_of_stanzas_is_refused_before_any_is_tried() {
    let mut sealed = b"age-encryption.org/v1\n".to_vec();
    for _ in 0..1000 {
        sealed.extend_from_slice(b"-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n");
        sealed.extend_from_slice(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    }
    sealed.extend_from_slice(b"--- QIfAOEMt1fGOf2FP2m3+TwFQtfy2H3sX3YqUAQRApkM\n");
    let with = Identities::of_machine(&[MachineIdentity::generate()]);
    assert_eq!(decrypt(&sealed, &with).unwrap_err(), DecryptError::TooLarge);
}

/// Answers every question with the same passphrase.
#[derive(Clone)]
struct Answer(&'static str);

impl Prompt for Answer {
    fn display_message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, _: &str) -> Option<SecretString> {
        Some(SecretString::from(self.0.to_owned()))
    }
}

#[test]
fn an_identity_behind_a_passphrase_opens_with_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (ssh, of_ssh) = ssh_key(dir.path(), "ed25519", "open sesame");
    let recovery = MachineIdentity::generate();
    let to = Recipients::parse(&of_ssh).unwrap().with(&recovery.recipient());
    let sealed = encrypt(&Plaintext::new(PLAIN.to_vec()), &to, &NoPrompt).unwrap();
    let file = dir.path().join("recovery.age");
    let passphrase = SecretString::from("open sesame".to_owned());
    let behind = encrypt_with_passphrase(&MachineIdentity::file(&[recovery]), passphrase).unwrap();
    fs::write(&file, behind).unwrap();
    for identity in [&ssh, &file] {
        let opened = decrypt(&sealed, &identities(identity, &Answer("open sesame"))).unwrap();
        assert_eq!(opened.as_bytes(), PLAIN);
        let refused = decrypt(&sealed, &identities(identity, &Answer("open barley"))).unwrap_err();
        assert!(matches!(refused, DecryptError::Identity { .. }), "{refused:?}");
        assert!(!refused.to_string().contains("barley"), "{refused}");
    }
}

#[test]
fn an_identity_that_cannot_be_used_does_not_hide_one_that_can() {
    let dir = tempfile::tempdir().unwrap();
    let (ssh, of_ssh) = ssh_key(dir.path(), "ed25519", "open sesame");
    let machine = MachineIdentity::generate();
    let to = Recipients::parse(&of_ssh).unwrap().with(&machine.recipient());
    let sealed = encrypt(&Plaintext::new(PLAIN.to_vec()), &to, &NoPrompt).unwrap();
    let mut all = identities(&ssh, &Answer("wrong"));
    all.add_machine(&machine);
    assert_eq!(decrypt(&sealed, &all).unwrap().as_bytes(), PLAIN);
}

/// A recipient and an identity of the plugin `age-plugin-stub`, which lies beside this file.
const STUB: (&str, &str) = ("age1stub1damkuetj22tdch", "AGE-PLUGIN-STUB-1DAMKUETJHNT5PU");

/// Run by the test below, with the plugin on its path.
#[test]
#[ignore = "a part of another test"]
fn with_the_plugin_on_the_path() {
    let to = Recipients::parse(STUB.0).unwrap();
    let sealed = encrypt(&Plaintext::new(PLAIN.to_vec()), &to, &NoPrompt).unwrap();
    let mut with = Identities::default();
    with.add_file(STUB.1.as_bytes(), "stub", &NoPrompt).unwrap();
    assert_eq!(decrypt(&sealed, &with).unwrap().as_bytes(), PLAIN);
}

#[test]
fn a_plugin_is_spoken_to_in_its_protocol() {
    let own = std::env::current_exe().unwrap();
    let path = format!("{}/tests:/usr/bin:/bin", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(own);
    child.args(["--ignored", "--exact", "with_the_plugin_on_the_path"]).env("PATH", path);
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let to = Recipients::parse(STUB.0).unwrap();
    let error = encrypt(&Plaintext::new(PLAIN.to_vec()), &to, &NoPrompt).unwrap_err();
    assert!(error.to_string().contains("age-plugin-stub"), "{error}");
}
