//! Where the user's files come to lie, and what they may not take the place of.

use crate::system::Directory;
use hoopy_store::layer::Kind;

const BIN: &str =
    "package busybox 1-r0\ndir bin 755 0:0\nfile bin/busybox 755 0:0 one\nlink bin/sh busybox\n";

#[test]
fn a_link_over_a_directory_of_a_package_is_an_error_that_names_what_would_be_lost() {
    let dir = Directory::new();
    std::fs::create_dir_all(dir.path("root")).unwrap();
    std::os::unix::fs::symlink("usr/bin", dir.path("root/bin")).unwrap();
    let error = dir.build(BIN).err().unwrap().to_string();
    assert_eq!(
        error,
        "root/: /bin is not a directory and would replace one: /bin/busybox of busybox-1-r0 would be lost"
    );
}

#[test]
fn a_file_over_a_directory_of_a_package_is_an_error_too() {
    let dir = Directory::new();
    dir.write("root/bin", "x");
    assert!(dir.build(BIN).is_err());
}

#[test]
fn a_directory_over_a_file_of_a_package_is_an_error_that_names_both() {
    let dir = Directory::new();
    dir.write("root/etc/motd/mine", "x\n");
    let error = dir.build("package base 1-r0\ndir etc 755 0:0\nfile etc/motd 644 0:0 hello\n").err().unwrap();
    assert_eq!(
        error.to_string(),
        "root/: /etc/motd is a directory and would replace a file: /etc/motd of base-1-r0 would be lost"
    );
}

#[test]
fn a_directory_over_a_link_to_a_file_of_a_package_is_an_error_too() {
    let dir = Directory::new();
    dir.write("root/bin/sh/mine", "x\n");
    let error = dir.build(BIN).err().unwrap().to_string();
    assert!(error.contains("/bin/sh is a directory and would replace a file"), "{error}");
}

#[test]
fn a_link_over_an_empty_directory_loses_nothing() {
    let dir = Directory::new();
    std::fs::create_dir_all(dir.path("root/var")).unwrap();
    std::os::unix::fs::symlink("/run/lock", dir.path("root/var/lock")).unwrap();
    let built = dir.build("package base 1-r0\ndir var 755 0:0\ndir var/lock 755 0:0\n").unwrap();
    assert_eq!(built.entry("var/lock").kind, Kind::Symlink(b"/run/lock".to_vec()));
}

#[test]
fn a_directory_over_a_link_goes_where_the_link_leads() {
    let dir = Directory::new();
    dir.write("root/bin/mine", "x\n");
    let merged = "package base 1-r0\ndir usr 755 0:0\ndir usr/bin 711 0:0\nlink bin usr/bin\nfile usr/bin/busybox 755 0:0 one\n";
    let built = dir.build(merged).unwrap();
    assert_eq!(built.entry("bin").kind, Kind::Symlink(b"usr/bin".to_vec()));
    assert_eq!(built.text("usr/bin/mine"), "x\n");
    assert_eq!(built.access("usr/bin").0, 0o711);
    assert_eq!(built.text("usr/bin/busybox"), "one");
}

#[test]
fn a_directory_over_a_link_that_leads_nowhere_yet_is_made_there() {
    let dir = Directory::new();
    dir.write("root/var/log/app/keep", "x\n");
    let base = "package base 1-r0\ndir var 755 0:0\nlink var/log ../data/log\n";
    let built = dir.build(base).unwrap();
    assert_eq!(built.entry("var/log").kind, Kind::Symlink(b"../data/log".to_vec()));
    assert_eq!(built.text("data/log/app/keep"), "x\n");
}
