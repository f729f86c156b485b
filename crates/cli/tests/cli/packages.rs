//! Packages of a test's own, in a signed mirror of its own.

use std::process::Command;

use hoopy_testkit::{Home, package};

fn home_with(packages: &str, wanted: &str) -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    let world = std::fs::read_to_string(dir.join("packages")).unwrap();
    std::fs::write(dir.join("packages"), format!("{world}\n{wanted}\n")).unwrap();
    package::extended_mirror(&home.path("mirror"), std::env::consts::ARCH, packages);
    home
}

/// The content of a file in the archive of the root that a build wrote.
fn content(home: &Home, path: &str) -> String {
    let archive = home.path("s/images/small-1.tar");
    let out = Command::new("tar").arg("-xOf").arg(archive).arg(path).output().unwrap();
    assert!(out.status.success(), "{path}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_package_that_would_leave_the_root_is_refused_before_it_is_locked() {
    let home = home_with("package evil 1-r0\nfile ../evil 644 out\n", "evil");
    let message = home.fails(5, &["lock", "s", "--mirror", "mirror"]);
    assert!(message.contains("evil-1-r0.apk") && message.contains("could leave the root"), "{message}");
    assert!(!home.path("s/hoopy.lock").exists() && !home.path("evil").exists());
}

#[test]
fn what_a_script_configured_stays_and_a_later_package_puts_its_own_beside_it() {
    let packages = "package first 1-r0\nscript post-install echo scripted >/etc/app.conf\n\
                    package second 1-r0\ndepends first\nfile etc/app.conf 644 packaged\n";
    let home = home_with(packages, "second");
    home.ok(&["build", "s", "--mirror", "mirror", "--output", "tar", "--image-version", "1", "--quiet"]);
    assert_eq!(content(&home, "etc/app.conf"), "scripted\n");
    assert_eq!(content(&home, "etc/app.conf.apk-new"), "packaged\n");
}
