//! The lint of scripts that nothing runs beside OpenRC's real service `local`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use hoopy_build::check;
use hoopy_build::config::{Overrides, System};
use hoopy_build::target::Target;

/// What OpenRC gives its services, as far as `local` calls it.
const OPENRC: &str = "for name in ebegin eend eindent eoutdent vebegin veend ewarn; do eval \"$name() { :; }\"; done\n\
                      yesno() { return 0; }\nRC_SERVICE=$1/etc/init.d/local\n. \"$RC_SERVICE\"\nstart\nstop\n";

/// Where a machine has it, with the service out of the package.
fn machine() -> tempfile::TempDir {
    let machine = tempfile::tempdir().unwrap();
    let mirror = hoopy_testkit::mirror();
    let packages = mirror.alpine.join("v3.23/main").join(std::env::consts::ARCH);
    let is_openrc = |name: &str| name.starts_with("openrc-0") && name.ends_with(".apk");
    let files = fs::read_dir(packages).unwrap().map(|entry| entry.unwrap().path());
    let package =
        files.into_iter().find(|path| is_openrc(path.file_name().unwrap().to_str().unwrap())).unwrap();
    let mut tar = Command::new("tar");
    let out =
        tar.arg("-xzf").arg(package).arg("-C").arg(machine.path()).arg("etc/init.d/local").output().unwrap();
    assert!(machine.path().join("etc/init.d/local").exists(), "{}", String::from_utf8_lossy(&out.stderr));
    std::os::unix::fs::symlink(mirror.apk_root.join("bin/busybox"), machine.path().join("sh")).unwrap();
    machine
}

/// Whether the service runs a script of this name and mode.
fn runs(machine: &Path, name: &str, mode: u32) -> bool {
    let (scripts, ran) = (machine.join("etc/local.d"), machine.join("ran"));
    let _ = fs::remove_dir_all(&scripts);
    put(&scripts, name, mode);
    let loader = format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    let mut shell = Command::new(hoopy_testkit::mirror().apk_root.join(loader));
    shell.arg(machine.join("sh")).args(["-c", OPENRC, "sh"]).arg(machine).env("RAN", &ran);
    // A name may end the whole service.
    shell.output().unwrap();
    fs::remove_file(ran).is_ok()
}

fn put(dir: &Path, name: &str, mode: u32) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join(name), "#!/bin/sh\ntouch \"$RAN\"\n").unwrap();
    fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn openrc_runs_the_scripts_of_local_d_that_the_lint_lets_pass_and_no_others() {
    let home = tempfile::tempdir().unwrap();
    let system = home.path().join("s");
    fs::create_dir_all(&system).unwrap();
    fs::write(system.join("packages"), "").unwrap();
    let plain = [("a.start", 0o755), ("b.start", 0o644), ("c.stop", 0o755), ("d.stop", 0o600)];
    let odd: Vec<String> =
        " \"'\\$;&|<>()`~#!*?[]{}=,+@%:^-_".chars().map(|c| format!("x{c}y.start")).collect();
    let scripts: Vec<(&str, u32)> =
        plain.into_iter().chain(odd.iter().map(|name| (name.as_str(), 0o755))).collect();
    for (name, mode) in &scripts {
        put(&system.join("root/etc/local.d"), name, *mode);
    }
    let target = Target::resolve(System::load(&system, &Overrides::default()).unwrap(), None).unwrap();
    let found = check::system(&target).unwrap();
    let machine = machine();
    assert!(runs(machine.path(), "a.start", 0o755));
    for (name, mode) in scripts {
        let is_told = found.iter().any(|finding| finding.file.ends_with(format!("etc/local.d/{name}")));
        assert_eq!(runs(machine.path(), name, mode), !is_told, "{name}");
    }
}
