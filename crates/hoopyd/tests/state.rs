//! State and backups, in a directory that stands for a machine's root. What mounts is tried on a booted machine
//! (crates/cli/tests/ship/state.rs).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use hoopy_boot::state::{BEFORE, Backup, Directory, KEPT, MAP, Map, NEW, READY, RESTORE, RESTORING, VERSION};
use hoopy_secrets::stream::decrypting;
use hoopy_secrets::{Identities, MachineIdentity};
use hoopyd::{backup, state};

struct Machine {
    root: tempfile::TempDir,
    owner: MachineIdentity,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap(), owner: MachineIdentity::generate() };
        let directory = |path: &str, optional| Directory { path: path.to_owned(), optional };
        let map = Map {
            version: VERSION,
            name: "nas".to_owned(),
            on: "/persist".to_owned(),
            directories: vec![directory("var/lib/app", false), directory("var/lib/more", true)],
            backup: Some(Backup {
                to: "/tank".to_owned(),
                keep: 2,
                recipients: machine.owner.recipient().as_str().to_owned(),
            }),
        };
        machine.write(MAP, &serde_json::to_string(&map).unwrap());
        machine.write("var/lib/app/config", "of the image");
        machine.write("etc/hoopy-release", "IMAGE=nas-2026112901\n");
        for dir in ["persist", "tank"] {
            fs::create_dir(machine.path(dir)).unwrap();
        }
        machine
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| error.to_string())
    }

    fn keep(&self) -> state::Keep {
        state::keep(self.root(), &state::map(self.root()).unwrap()).unwrap()
    }

    /// What the service does but for its mounts.
    fn boots(&self) -> Vec<bool> {
        let keep = self.keep();
        keep.finish_restore().unwrap();
        let paths = ["var/lib/app", "var/lib/more"];
        paths.iter().map(|path| keep.directory(path, &self.path(path)).unwrap().1).collect()
    }

    fn program(&self, name: &str, text: &str) {
        self.write(&format!("etc/hoopy/backup.d/{name}"), &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(
            self.path(&format!("etc/hoopy/backup.d/{name}")),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
    }

    /// An archive as the owner gets it.
    fn archive(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        backup::to_owner(self.root(), &mut bytes).unwrap();
        bytes
    }

    fn backups(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("tank")).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_images_content_is_copied_once_and_then_the_disk_counts() {
    let machine = Machine::new();
    assert_eq!(machine.boots(), [true, true]);
    let kept = "persist/hoopy/state/var-lib-app/config";
    assert_eq!(machine.read(kept), "of the image");
    machine.write(kept, "of the machine");
    machine.write("var/lib/app/config", "of the next image");
    assert_eq!(machine.boots(), [false, false]);
    assert_eq!(machine.read(kept), "of the machine");
    assert_eq!(fs::metadata(machine.path("persist/hoopy")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_copy_that_was_cut_short_is_made_again() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("persist/hoopy").join(NEW).join("half")).unwrap();
    assert_eq!(machine.boots(), [true, true]);
    assert_eq!(machine.read("persist/hoopy/state/var-lib-app/config"), "of the image");
    assert!(!machine.path("persist/hoopy").join(NEW).exists());
}

#[test]
fn a_backup_makes_the_state_again_on_an_empty_disk() {
    let machine = Machine::new();
    machine.boots();
    machine.write("persist/hoopy/state/var-lib-app/data", "precious");
    let archive = machine.archive();
    let other = Machine::new();
    backup::restore(other.root(), &*archive).unwrap();
    assert!(!other.path("persist/hoopy/state/var-lib-app").exists(), "nothing before the next boot");
    assert_eq!(other.boots(), [false, false]);
    assert_eq!(other.read("persist/hoopy/state/var-lib-app/data"), "precious");
    for gone in [RESTORE, READY, RESTORING] {
        assert!(!other.path("persist/hoopy").join(gone).exists(), "{gone}");
    }
}

#[test]
fn a_restore_that_is_cut_at_any_step_is_finished_at_the_next_boot() {
    let source = Machine::new();
    source.boots();
    source.write("persist/hoopy/state/var-lib-app/data", "precious");
    let archive = source.archive();
    // Each step of `finish_restore`, up to the instant before the next one.
    type Step = fn(&Path);
    let steps: [Step; 5] = [
        |home| fs::create_dir_all(home.join(RESTORING).join("half")).unwrap(),
        |home| unpacked(home),
        |home| {
            unpacked(home);
            fs::rename(home.join(RESTORE), home.join(READY)).unwrap();
        },
        |home| {
            unpacked(home);
            fs::rename(home.join(RESTORE), home.join(READY)).unwrap();
            fs::rename(home.join(KEPT), home.join(BEFORE)).unwrap();
        },
        |home| {
            unpacked(home);
            fs::rename(home.join(RESTORE), home.join(READY)).unwrap();
            fs::rename(home.join(KEPT), home.join(BEFORE)).unwrap();
            fs::rename(home.join(RESTORING), home.join(KEPT)).unwrap();
        },
    ];
    for (number, step) in steps.iter().enumerate() {
        let machine = Machine::new();
        machine.boots();
        machine.write("persist/hoopy/state/var-lib-app/old", "what was there");
        backup::restore(machine.root(), &*archive).unwrap();
        step(&machine.path("persist/hoopy"));
        assert_eq!(machine.boots(), [false, false], "step {number}");
        assert_eq!(machine.read("persist/hoopy/state/var-lib-app/data"), "precious", "step {number}");
        assert_eq!(
            machine.read("persist/hoopy/state.before/var-lib-app/old"),
            "what was there",
            "step {number}"
        );
        assert!(!machine.path("persist/hoopy/restore.ready").exists(), "step {number}");
    }
}

fn unpacked(home: &Path) {
    fs::create_dir(home.join(RESTORING)).unwrap();
    let open = || fs::File::open(home.join(RESTORE)).unwrap();
    let manifest = hoopy_backup::check(open()).unwrap().manifest;
    hoopy_backup::unpack(open(), &manifest, &home.join(RESTORING)).unwrap();
}

#[test]
fn what_is_no_whole_backup_is_refused_before_anything_is_written() {
    let machine = Machine::new();
    machine.boots();
    let archive = machine.archive();
    for bad in [&archive[..archive.len() - 1], b"no backup", b""] {
        assert!(backup::restore(machine.root(), bad).is_err());
    }
    let names = fs::read_dir(machine.path("persist/hoopy")).unwrap().map(|e| e.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), [KEPT]);
}

#[test]
fn backups_of_the_machines_own_are_for_the_owner_and_the_oldest_go() {
    let machine = Machine::new();
    machine.boots();
    machine.write("persist/hoopy/state/var-lib-app/data", "CANARY-precious");
    for old in ["nas-20200101T000000Z", "nas-20210101T000000Z", "other-20200101T000000Z"] {
        machine.write(&format!("tank/{old}.tar.zst.age"), "x");
    }
    let path = backup::to_directory(machine.root()).unwrap().path;
    let names = machine.backups();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"nas-20210101T000000Z.tar.zst.age".to_owned()) && !names[0].contains("2020"));
    assert!(names.contains(&"other-20200101T000000Z.tar.zst.age".to_owned()));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let sealed = fs::read(&path).unwrap();
    assert!(!sealed.windows(6).any(|at| at == b"CANARY"));
    let owner = Identities::of_machine(std::slice::from_ref(&machine.owner));
    let contents = hoopy_backup::check(decrypting(&*sealed, &owner).unwrap()).unwrap();
    assert_eq!(
        (contents.manifest.image.as_str(), contents.manifest.directories.len()),
        ("nas-2026112901", 2)
    );
    let stranger = Identities::of_machine(&[MachineIdentity::generate()]);
    assert!(decrypting(&*sealed, &stranger).is_err());
    let cut = decrypting(&sealed[..sealed.len() - 1], &owner).unwrap();
    assert!(hoopy_backup::check(cut).is_err());
}

#[test]
fn hooks_are_called_before_and_after_whatever_fails() {
    let machine = Machine::new();
    machine.boots();
    let log = machine.path("log");
    let say = format!("echo \"$0 $1\" >>{}", log.display());
    machine.program("10-database", &say);
    machine.program(
        "20-snapshot",
        &format!("{say}; [ $1 = after ] || [ ! -e {} ]", machine.path("bad").display()),
    );
    machine.archive();
    let called = || -> Vec<String> {
        let text = fs::read_to_string(&log).unwrap();
        text.lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect()
    };
    let whole = ["10-database before", "20-snapshot before", "20-snapshot after", "10-database after"];
    assert_eq!(called(), whole);
    machine.write("bad", "");
    let error = backup::to_owner(machine.root(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains("20-snapshot before"), "{error}");
    assert_eq!(called()[4..], whole);
}

#[test]
fn a_directory_whose_state_is_not_there_is_named_and_no_backup_is_made() {
    let machine = Machine::new();
    machine.boots();
    fs::remove_dir_all(machine.path("persist/hoopy/state/var-lib-app")).unwrap();
    let error = backup::to_directory(machine.root()).unwrap_err().to_string();
    assert_eq!(error, "/var/lib/app: its state is missing");
    assert!(machine.backups().is_empty());
}
