//! What a person sees: messages whole, as they stand on the terminal.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use hoopy_testkit::Home;
use insta::assert_snapshot;

/// A small system with this `packages` and `hoopy.toml`, and what hoopy says of it when it fails.
fn refused(code: i32, packages: &str, toml: &str, args: &[&str]) -> String {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    fs::write(dir.join("packages"), packages).unwrap();
    fs::write(dir.join("hoopy.toml"), toml).unwrap();
    plain(&home.fails(code, args), home.path("").as_path())
}

/// Without what differs from run to run.
fn plain(text: &str, home: &Path) -> String {
    text.replace(home.to_str().unwrap().trim_end_matches('/'), "HOME")
}

#[test]
fn a_package_that_is_nowhere() {
    assert_snapshot!(refused(3, "alpine-base\n\nopenshh\n", "", &["lock", "s", "--arch", "x86_64"]));
}

#[test]
fn a_version_that_is_not_there() {
    assert_snapshot!(refused(3, "alpine-base\nmusl>9\n", "", &["lock", "s", "--arch", "x86_64"]));
}

#[test]
fn a_conflict_asked_for() {
    assert_snapshot!(refused(3, "alpine-base\n!musl\n", "", &["lock", "s", "--arch", "x86_64"]));
}

#[test]
fn a_key_that_is_none() {
    assert_snapshot!(refused(3, "alpine-base\n", "name = \"s\"\nmemroy = \"1G\"\n", &["build", "s"]));
}

#[test]
fn a_value_of_the_wrong_kind() {
    assert_snapshot!(refused(3, "alpine-base\n", "name = \"s\"\nmemory = true\n", &["build", "s"]));
}

#[test]
fn a_constraint_that_is_none() {
    assert_snapshot!(refused(3, "alpine-base\n=1.0\n", "", &["lock", "s", "--arch", "x86_64"]));
}

#[test]
fn no_lock_where_one_must_be() {
    assert_snapshot!(refused(3, "alpine-base\n", "", &["build", "s", "--locked"]));
}

#[test]
fn no_such_directory() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    assert_snapshot!(plain(&home.fails(3, &["build", "nowhere"]), &home.path("")));
}
