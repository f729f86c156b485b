//! `hoopy backup --verify` and what refuses a backup, without a machine. tests/ship/state.rs boots one.

use std::fs;
use std::path::PathBuf;

use hoopy_backup::{Manifest, Source, seal, write};
use hoopy_secrets::{NoPrompt, Secrets};
use hoopy_testkit::Home;

/// What the state holds.
const CANARY: &str = "CANARY-0b7e11";

struct System(Home);

impl System {
    fn new() -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.example("hello");
        let system = Self(home);
        system.write("root/etc/fstab", "LABEL=persist /persist ext4 noatime 0 0\n");
        system.write("state", "/var/lib/app\n");
        system.0.ok(&["-C", "hello", "secret", "init", "--open", "owner"]);
        system
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path("hello").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// A backup as `hoopy backup` writes it.
    fn backup(&self) -> PathBuf {
        let (dir, file) = (self.0.path("data"), self.0.path("nas.tar.zst.age"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("file"), CANARY).unwrap();
        let recipients = Secrets::read(&self.path("")).unwrap().unwrap().recipients;
        let manifest = Manifest::new("hello", "hello-2026112901", 0, vec!["var/lib/app".to_owned()]);
        let source = Source { path: "var/lib/app".to_owned(), dir };
        seal(&file, &recipients, &NoPrompt, |out| write(out, &manifest, &[source]).map(|_| ())).unwrap();
        file
    }
}

#[test]
fn a_whole_backup_is_told_and_one_that_is_cut_short_is_refused() {
    let system = System::new();
    let file = system.backup();
    let said = system.0.ok(&["backup", "--verify", "nas.tar.zst.age"]);
    assert!(said.contains("machine    hello, image hello-2026112901"), "{said}");
    assert!(said.contains("/var/lib/app: 1 file, "), "{said}");
    let json: serde_json::Value =
        serde_json::from_str(&system.0.ok(&["backup", "--verify", "nas.tar.zst.age", "--json"])).unwrap();
    assert_eq!(json["directories"][0], "var/lib/app");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let said = system.0.fails(1, &["backup", "--verify", "nas.tar.zst.age"]);
    assert!(said.contains("the backup is damaged or cut short"), "{said}");
    assert!(!said.contains(CANARY), "{said}");
}

#[test]
fn a_key_that_does_not_open_it_and_a_file_that_is_none_are_refused() {
    let system = System::new();
    system.backup();
    fs::write(system.0.path("other"), "no backup").unwrap();
    assert!(system.0.fails(1, &["backup", "--verify", "other"]).contains("found no age file"));
    let keys = system.0.path("keys.txt");
    let other = hoopy_secrets::MachineIdentity::generate();
    fs::write(&keys, hoopy_secrets::MachineIdentity::file(&[other]).as_bytes()).unwrap();
    let args = ["backup", "--verify", "nas.tar.zst.age", "--identity", "keys.txt"];
    assert!(system.0.fails(1, &args).contains("no identity at hand opens it"));
}

#[test]
fn state_without_a_filesystem_for_it_is_refused_by_its_line() {
    let system = System::new();
    for (state, said) in [
        ("var/lib/app\n", "state:1: expected an absolute directory"),
        ("/var/lib/app\n/var/lib/app/x\n", "state:2: expected a directory of its own"),
    ] {
        system.write("state", state);
        let error = system.0.fails(3, &["check", "hello"]);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_restore_goes_to_the_machine_of_the_directory_where_none_is_named() {
    let system = System::new();
    let file = system.backup();
    let restore = ["-C", "hello", "restore", file.to_str().unwrap()];
    let said = system.0.fails(2, &restore);
    assert!(said.contains("no machine named: expected HOST, or `deploy.host` in hoopy.toml"), "{said}");
    let toml = fs::read_to_string(system.path("hoopy.toml")).unwrap();
    system.write("hoopy.toml", &format!("{toml}\n[deploy]\nhost = \"nas.invalid\"\n"));
    let output = system.0.run(&restore);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nas.invalid"), "{said}");
}

#[test]
fn what_is_no_whole_backup_is_named_with_its_file_and_with_the_advice_for_backups() {
    let system = System::new();
    let whole = fs::read(system.backup()).unwrap();
    let recipients = Secrets::read(&system.path("")).unwrap().unwrap().recipients;
    let other = system.0.path("other.age");
    let plain = |out: &mut dyn std::io::Write| -> Result<(), hoopy_backup::BackupError> {
        out.write_all(b"a letter").unwrap();
        Ok(())
    };
    seal(&other, &recipients, &NoPrompt, plain).unwrap();
    let other = fs::read(&other).unwrap();
    for (content, expected) in [
        (&b""[..], "expected a backup, found an empty file"),
        (b"no backup", "expected a backup, found no age file"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "found an armored age file"),
        (&whole[..60], "the backup is damaged or cut short: its header ends early"),
        (&other, "not a backup of hoopy's"),
    ] {
        fs::write(system.0.path("file"), content).unwrap();
        for command in [&["backup", "--verify", "file"][..], &["restore", "root@nas", "file"]] {
            let said = system.0.fails(1, command);
            assert!(said.contains("error: file: ") && said.contains(expected), "{said}");
            assert!(!said.contains("secret set") && !said.contains("which are whole"), "{said}");
        }
    }
}

#[test]
fn backups_within_the_state_that_they_hold_are_refused() {
    let system = System::new();
    let toml = fs::read_to_string(system.path("hoopy.toml")).unwrap();
    for (to, refused) in [("/var/lib/app", true), ("/var/lib/app/old", true), ("/var/lib/apple", false)] {
        system.write("hoopy.toml", &format!("{toml}\n[backup]\nto = \"{to}\"\n"));
        let output = system.0.run(&["check", "hello"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains("expected a directory outside the state"), refused, "{to}: {said}");
    }
}

#[test]
fn what_is_left_out_of_a_backup_is_told_when_it_is_verified() {
    let system = System::new();
    let recipients = Secrets::read(&system.path("")).unwrap().unwrap().recipients;
    let mut manifest = Manifest::new("hello", "hello-2026112901", 0, vec![]);
    manifest.left_out = vec!["var/lib/app/films".to_owned()];
    let file = system.0.path("some.age");
    seal(&file, &recipients, &NoPrompt, |out| write(out, &manifest, &[]).map(|_| ())).unwrap();
    let output = system.0.run(&["backup", "--verify", "some.age"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("/var/lib/app/films is not in the backup: something else is mounted there"),
        "{said}"
    );
}

#[test]
fn a_host_without_a_file_is_told_that_the_one_argument_is_the_file() {
    let system = System::new();
    let said = system.0.fails(2, &["restore", "root@nas"]);
    assert!(said.contains("the one argument is the FILE: hoopy restore HOST FILE"), "{said}");
}
