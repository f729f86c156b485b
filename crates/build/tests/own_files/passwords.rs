//! Accounts without a password.

use crate::system::Directory;

const BASE: &str = "package base 1-r0\ndir etc 755 0:0\nfile etc/shadow 640 0:42 daemon:*:1::::::\npost-install write etc/shadow root::1::::::\n";

#[test]
fn an_account_of_a_package_is_locked_in_silence() {
    let dir = Directory::new();
    let built = dir.build(BASE).unwrap();
    assert_eq!(built.text("etc/shadow"), "root:*:1::::::\n");
    assert_eq!(built.warnings, "");
}

#[test]
fn an_account_of_root_is_locked_on_whatever_line_and_the_user_hears_of_it() {
    let dir = Directory::new();
    dir.write("root/etc/shadow", "daemon:*:1::::::\nroot::1::::::\nme::1::::::\n");
    dir.write("root/etc/passwd", "root:x:0:0::/root:/bin/sh\nguest::1000:1000::/:/bin/sh\n");
    let built = dir.build(BASE).unwrap();
    assert_eq!(built.text("etc/shadow"), "daemon:*:1::::::\nroot:*:1::::::\nme:*:1::::::\n");
    assert_eq!(built.text("etc/passwd"), "root:x:0:0::/root:/bin/sh\nguest:x:1000:1000::/:/bin/sh\n");
    for expected in
        ["root/etc/shadow has no password for root, me", "root/etc/passwd has no password for guest"]
    {
        assert!(built.warnings.contains(expected), "{}", built.warnings);
    }
}

#[test]
fn what_setup_empties_stays_empty_and_the_user_hears_of_it() {
    let dir = Directory::new();
    dir.write("setup.sh", "#!/bin/sh\npasswd -d root # write etc/shadow root::1::::::\n");
    let built = dir.build(BASE).unwrap();
    assert_eq!(built.text("etc/shadow"), "root::1::::::\n");
    assert!(built.warnings.contains("setup.sh: /etc/shadow has no password for root"), "{}", built.warnings);
}
