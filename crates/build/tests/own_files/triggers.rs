//! Triggers run again for what `root/` and `programs` put into the directories that they watch.

use crate::system::Directory;

const PACKAGES: &str = "package certs 1-r0\ndir usr 755 0:0\ndir usr/local 755 0:0\ndir usr/local/share 755 0:0\ndir usr/local/share/ca-certificates 755 0:0\ntriggers /usr/local/share/ca-certificates\ntriggers /usr/share/fonts/*\ntrigger write certs made\npackage fonts 1-r0\ndepends certs\ndir usr 755 0:0\ndir usr/share 755 0:0\ndir usr/share/fonts 755 0:0\ndir usr/share/fonts/a 755 0:0\nfile usr/share/fonts/a/f 644 0:0 one\n";

#[test]
fn a_certificate_in_root_is_told_to_the_package_that_watches_for_it() {
    let dir = Directory::new();
    dir.write("root/usr/local/share/ca-certificates/mine.crt", "x\n");
    let built = dir.build(PACKAGES).unwrap();
    assert_eq!(
        built.ran,
        [
            "certs-1-r0.trigger /usr/local/share/ca-certificates /usr/share/fonts/a",
            "certs-1-r0.trigger /usr/local/share/ca-certificates"
        ]
    );
}

#[test]
fn a_font_in_a_directory_of_its_own_is_told_of_however_deep_it_lies() {
    let dir = Directory::new();
    dir.write("root/usr/share/fonts/mine/deep/f", "x\n");
    let ran = dir.build(PACKAGES).unwrap().ran;
    assert_eq!(ran[1..], ["certs-1-r0.trigger /usr/share/fonts/mine"]);
}

#[test]
fn nothing_runs_again_where_nothing_was_put() {
    let dir = Directory::new();
    dir.write("root/etc/motd", "x\n");
    assert_eq!(dir.build(PACKAGES).unwrap().ran.len(), 1);
}
