//! The lint of names beside the real run-parts, character by character.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use hoopy_build::check::executable::run_parts_runs;

#[test]
fn run_parts_runs_the_names_that_the_lint_lets_pass_and_no_others() {
    let root = hoopy_testkit::mirror().apk_root;
    let dir = tempfile::tempdir().unwrap();
    let (scripts, shell) = (dir.path().join("scripts"), dir.path().join("run-parts"));
    fs::create_dir(&scripts).unwrap();
    std::os::unix::fs::symlink(root.join("bin/busybox"), &shell).unwrap();
    let characters = (1_u8..127).map(char::from).filter(|c| *c != '/');
    let mut names: Vec<String> = characters.map(|c| format!("a{c}b")).collect();
    names
        .extend(["backup", "a.sh", "b.v1", ".hidden", "a.", "a..b", "-a", "_a", "é", "9"].map(str::to_owned));
    for name in &names {
        let path = scripts.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let loader = format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    let out = Command::new(root.join(loader)).arg(&shell).arg("--test").arg(&scripts).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let run: Vec<&str> = said.lines().filter_map(|line| line.rsplit('/').next()).collect();
    assert!(run.contains(&"backup"), "{said}");
    for name in names.iter().filter(|name| !name.contains('\n')) {
        assert_eq!(run_parts_runs(name), run.contains(&name.as_str()), "{name:?}");
    }
    assert!(!run_parts_runs("a\nb"));
}
