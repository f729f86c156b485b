//! The lints, a directory a case: `cases/NAME/`.
//!
//! - `system/` is the system directory.
//! - `image/`, where it is there, is what packages bring: the case is then checked as built.
//! - `setup/` is what `setup.sh` changed in that image.
//! - `git`, where it is there, is a script that makes a repository of the directory.
//! - `modes` holds lines of `MODE PATH`, below the case, since git keeps the execute bit alone.
//! - `expected.txt` holds what is found, in order, one finding a line after `error: ` or `warning: `.
//!
//! `UPDATE_EXPECTED=1` writes the last anew.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod local;
mod run_parts;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use hoopy_build::check;
use hoopy_build::config::{Overrides, System};
use hoopy_build::stack::{Origin, Stack};
use hoopy_build::target::Target;
use hoopy_store::Store;
use hoopy_store::layer::EntryPath;
use hoopy_store::layer::files::skeleton;

/// Modes as a clone with the usual umask has them, whatever this one's was; then those of `modes`.
fn set_modes(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        if meta.is_dir() {
            set_modes(&entry.path());
        }
        if !meta.is_symlink() {
            let mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    for line in fs::read_to_string(dir.join("modes")).unwrap_or_default().lines() {
        let (mode, path) = line.split_once(' ').unwrap();
        let mode = fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap());
        fs::set_permissions(dir.join(path), mode).unwrap();
    }
}

fn found(case: &Path) -> String {
    let home = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(case).arg(home.path().join("case")).status().unwrap();
    assert!(copied.success());
    let case = home.path().join("case");
    set_modes(&case);
    if case.join("git").exists() {
        let mut shell = Command::new("sh");
        shell.arg("-e").arg(case.join("git")).current_dir(case.join("system"));
        shell.env("HOME", home.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        let settings = ["user.name=t", "user.email=t@example.org", "init.defaultBranch=main"];
        shell.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (number, setting) in settings.iter().enumerate() {
            let (key, value) = setting.split_once('=').unwrap();
            shell
                .env(format!("GIT_CONFIG_KEY_{number}"), key)
                .env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        assert!(shell.status().unwrap().success(), "{}", case.display());
    }
    let system = System::load(&case.join("system"), &Overrides::default()).unwrap();
    let target = Target::resolve(system, None).unwrap();
    let system = &target.system;
    let findings = if case.join("image").is_dir() {
        let store = Store::open(&home.path().join("store")).unwrap();
        let mut stack = Stack::default();
        let layers = [("image", Origin::Database), ("system/root", Origin::Files), ("setup", Origin::Setup)];
        for (dir, origin) in layers {
            let is_root = matches!(origin, Origin::Files);
            let mode_of = |path: &EntryPath, local: u32| match system.modes.get(path) {
                Some(mode) if is_root => *mode,
                _ => local & 0o7755,
            };
            stack.push(skeleton(&case.join(dir), &mode_of, 0, &store).unwrap(), origin);
        }
        check::image(&target, &stack, &store).unwrap()
    } else {
        check::system(&target).unwrap()
    };
    findings.iter().map(|f| format!("{}: {f}\n", f.severity)).collect()
}

#[test]
fn every_case_finds_what_it_expects_and_nothing_else() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/cases");
    let mut dirs: Vec<_> = fs::read_dir(cases).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.retain(|d| d.is_dir());
    dirs.sort();
    assert!(!dirs.is_empty());
    let mut wrong = String::new();
    for case in dirs {
        let (found, file) = (found(&case), case.join("expected.txt"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&file, &found).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap();
        if found != expected {
            wrong += &format!("{}\nexpected:\n{expected}found:\n{found}\n", case.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
