//! `examples/homelab`, built, booted twice and used: its own tests do the work. Its owner has set up backups, too.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hoopy_testkit::Home;

/// What the machine does of a backup on its array, beside the tests of the example.
const BACKUP: &str = "#!/bin/sh
# A backup of the state is on the array, encrypted to the owner.
set -eu
/usr/libexec/hoopy/hoopyd backup
cd /array/backups
head -n 1 homelab-*.tar.zst.age | grep -q age-encryption.org/v1
";

#[test]
fn the_home_server_has_its_containers_and_their_data_after_a_reboot() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.example("homelab");
    home.ok(&["-C", "homelab", "secret", "init"]);
    let toml = fs::read_to_string(dir.join("hoopy.toml")).unwrap();
    fs::write(dir.join("hoopy.toml"), format!("{toml}\n[backup]\nto = \"/array/backups\"\n")).unwrap();
    let script = dir.join("tests/85-backup.sh");
    fs::write(&script, BACKUP).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["test", "homelab", "--logs", "logs"];
    let out = home.run(&args);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
    for line in ["25-nothing-twice (after a reboot)", "70-shutdown (after a reboot)"] {
        assert!(said.lines().any(|l| l.starts_with("ok ") && l.ends_with(line)), "{line}: not in\n{said}");
    }
}
