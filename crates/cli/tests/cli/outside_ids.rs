//! Scripts that give files to ids which the sandbox does not have.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use hoopy_testkit::Home;

#[test]
fn a_script_that_gives_files_to_other_ids_runs_in_a_virtual_machine() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let setup = home.small("nas").join("setup.sh");
    fs::write(&setup, "#!/bin/sh\nset -e\nmkdir /srv/x\nchown 100000:100999 /srv/x\n").unwrap();
    fs::set_permissions(&setup, fs::Permissions::from_mode(0o755)).unwrap();
    let build = ["build", "nas", "--output", "tar"];
    let error = home.fails(4, &[&build[..], &["--scripts", "native"]].concat());
    assert!(error.contains("Invalid argument"), "{error}");
    assert!(error.contains("hint: the sandbox has the ids 0 to 65535"), "{error}");
    let out = home.run(&build);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    let why = "setup.sh runs in a virtual machine: it gives files to the ids 100000, 100999";
    assert!(said.contains(why), "{said}");
    let images = home.path("nas/images");
    let tar = fs::read_dir(images)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "tar"));
    let listed = Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(tar.unwrap()).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let line = listed.lines().find(|line| line.ends_with(" srv/x") || line.ends_with(" srv/x/")).unwrap();
    assert!(line.contains("100000/100999"), "{line}");
}
