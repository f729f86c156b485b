//! Branches of Alpine: which one a first lock is of, that it stays there, and `hoopy update --branch`.

use std::fs;

use hoopy_testkit::{Home, package};

const OLD: &str = "\
package tool 1.0-r0
depends helper
file usr/bin/tool 755 one
package helper 1.0-r0
file usr/bin/helper 755 one
package leaver 1.0-r0
file usr/bin/leaver 755 one
";

/// The tool is newer, its helper has another name, and the kernel too is newer.
const NEW: &str = "\
package tool 2.0-r0
depends helper-ng
file usr/bin/tool 755 two
package helper-ng 2.0-r0
provides helper=2.0-r0
file usr/bin/helper 755 two
";

/// A system without a lock, and a mirror with the branches 3.23, which is its latest-stable, and 3.24.
fn home(toml: &str) -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    package::extended_branch(&home.path("mirror"), "3.23", "x86_64", OLD);
    package::extended_branch(&home.path("mirror"), "3.24", "x86_64", NEW);
    package::latest_stable(&home.path("mirror"), "3.23");
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/packages"), "alpine-base\nlinux-virt\ntool\n").unwrap();
    if !toml.is_empty() {
        fs::write(home.path("s/hoopy.toml"), toml).unwrap();
    }
    home
}

/// Standard output and error of a command in the system.
fn says(home: &Home, args: &[&str]) -> (String, String) {
    let out = home.run(&[&["-C", "s"], args, &["--mirror", "../mirror", "--arch", "x86_64"]].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

fn branch(home: &Home) -> String {
    let lock = fs::read_to_string(home.path("s/hoopy.lock")).unwrap();
    lock.lines().find(|line| line.starts_with("branch = ")).unwrap().to_owned()
}

#[test]
fn a_first_lock_is_of_the_newest_release_by_its_number_and_stays_there() {
    let home = home("");
    let (_, said) = says(&home, &["lock"]);
    assert!(said.contains("latest-stable of ../mirror is Alpine 3.23\n"), "{said}");
    assert_eq!(branch(&home), "branch = \"3.23\"");
    package::latest_stable(&home.path("mirror"), "3.24");
    for command in ["update", "lock"] {
        let (shown, said) = says(&home, &[command]);
        assert!(shown.contains("no changes") && !said.contains("latest-stable"), "{shown}{said}");
        assert_eq!(branch(&home), "branch = \"3.23\"");
    }
    let (found, _) = says(&home, &["info", "tool"]);
    assert!(found.contains("1.0-r0"), "{found}");
    // What would be locked first, and is not yet
    fs::remove_file(home.path("s/hoopy.lock")).unwrap();
    let (found, _) = says(&home, &["info", "tool"]);
    assert!(found.contains("2.0-r0"), "{found}");
}

#[test]
fn a_mirror_without_latest_stable_gives_the_fallback_and_says_so() {
    let home = home("");
    fs::remove_file(home.path("mirror/latest-stable")).unwrap();
    let (_, said) = says(&home, &["lock"]);
    assert!(said.contains("latest-stable of ../mirror is not there: using Alpine 3.23\n"), "{said}");
    assert_eq!(branch(&home), "branch = \"3.23\"");
    let said =
        home.fails(5, &["-C", "s", "update", "--branch", "latest-stable", "--mirror", "../mirror", "-q"]);
    assert!(said.contains("../mirror does not say which release is its latest-stable"), "{said}");
}

#[test]
fn a_branch_that_is_written_is_not_asked_for() {
    let home = home("branch = \"3.24\"\n");
    let (_, said) = says(&home, &["lock"]);
    assert!(!said.contains("latest-stable"), "{said}");
    assert_eq!(branch(&home), "branch = \"3.24\"");
}

#[test]
fn a_move_to_another_branch_writes_hoopy_toml_and_lock_and_says_what_changes() {
    let toml = "name = \"nas\" # of the family\nbranch = \"3.23\" # the newest\n";
    let home = home(toml);
    says(&home, &["lock"]);
    let before = fs::read(home.path("s/hoopy.lock")).unwrap();

    let (dry, _) = says(&home, &["update", "--branch", "3.24", "--dry-run", "--quiet"]);
    assert_eq!(fs::read(home.path("s/hoopy.lock")).unwrap(), before);
    assert_eq!(fs::read_to_string(home.path("s/hoopy.toml")).unwrap(), toml);

    let (shown, _) = says(&home, &["update", "--branch", "v3.24", "--quiet"]);
    assert_eq!(shown, dry);
    let lines: Vec<&str> = shown.lines().map(|line| line.split(" (").next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "branch   3.23 -> 3.24",
            "renamed  helper 1.0-r0 -> helper-ng 2.0-r0",
            "out      helper 1.0-r0",
            "in       helper-ng 2.0-r0",
            "up       tool 1.0-r0 -> 2.0-r0",
        ]
    );
    assert_eq!(branch(&home), "branch = \"3.24\"");
    let written = fs::read_to_string(home.path("s/hoopy.toml")).unwrap();
    assert_eq!(written, toml.replace("3.23", "3.24"));
    let (shown, _) = says(&home, &["update", "--quiet"]);
    assert!(shown.contains("no changes"), "{shown}");
}

#[test]
fn a_kernel_that_changes_is_named_and_json_has_all_of_it() {
    let home = home("");
    let kernel = "package linux-virt 99.0-r0\nfile boot/vmlinuz-virt 644 a kernel\n";
    package::extended_branch(&home.path("mirror"), "3.25", "x86_64", &format!("{NEW}{kernel}"));
    package::latest_stable(&home.path("mirror"), "3.25");
    fs::write(home.path("s/hoopy.toml"), "branch = \"3.23\"\n").unwrap();
    says(&home, &["lock"]);
    let (json, _) = says(&home, &["update", "--branch", "latest-stable", "--dry-run", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["branch"], &json["moved"]["old"]), (&"3.25".into(), &"3.23".into()));
    assert_eq!(json["moved"]["renamed"], serde_json::json!([["helper", "helper-ng"]]));
    assert_eq!(json["moved"]["kernels"][0]["new"], "99.0-r0");
    let (shown, _) = says(&home, &["update", "--branch", "3.25", "--quiet"]);
    let line = shown.lines().nth(1).unwrap();
    assert!(line.starts_with("kernel   linux-virt ") && line.ends_with(" -> 99.0-r0"), "{shown}");
}

#[test]
fn a_branch_that_lacks_a_package_changes_nothing() {
    let home = home("branch = \"3.23\"\n");
    fs::write(home.path("s/packages"), "alpine-base\nlinux-virt\ntool\nleaver\n").unwrap();
    says(&home, &["lock"]);
    let files = || ["s/hoopy.lock", "s/hoopy.toml"].map(|file| fs::read_to_string(home.path(file)).unwrap());
    let before = files();
    let move_to = |branch: &str, code| {
        let args =
            ["-C", "s", "update", "--branch", branch, "--mirror", "../mirror", "--arch", "x86_64", "-q"];
        home.fails(code, &args)
    };
    let said = move_to("3.24", 3);
    assert!(said.contains("packages:4") && said.contains("3.23 had leaver-1.0-r0"), "{said}");
    let said = move_to("3.99", 5);
    assert!(said.contains("v3.99/main/x86_64/APKINDEX.tar.gz: not found"), "{said}");
    let said = move_to("three", 2);
    assert!(said.contains("expected 3.24, edge or latest-stable"), "{said}");
    assert_eq!(files(), before);
}

#[test]
fn what_names_a_branch_itself_and_other_locks_are_told_of_since_they_stay() {
    let home = home("repositories = [\"main\", \"@old v3.23/main\"]\n");
    says(&home, &["lock"]);
    fs::copy(home.path("s/hoopy.lock"), home.path("s/hoopy-aarch64.lock")).unwrap();
    let (_, said) = says(&home, &["update", "--branch", "3.24"]);
    assert!(said.contains("the repository \"v3.23/main\" in hoopy.toml stays on 3.23"), "{said}");
    assert!(said.contains("hoopy-aarch64.lock is still of 3.23: hoopy update"), "{said}");
}

#[test]
fn check_says_when_the_support_of_a_branch_has_ended_or_soon_will() {
    let home = home("");
    says(&home, &["lock"]);
    let check = |day: &str| {
        let seconds = format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_second();
        let mut command = home.command(&["check", "s", "--quiet"]);
        let out = command.env("SOURCE_DATE_EPOCH", seconds.to_string()).output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        said.lines().filter(|line| line.contains("Alpine 3.23")).map(str::to_owned).collect::<String>()
    };
    assert_eq!(check("2027-08-02"), "");
    assert_eq!(
        check("2027-08-03"),
        "warning: hoopy.lock: Alpine 3.23 gets fixes only until 2027-11-01 (fix: move to a newer one with \
         `hoopy update --branch latest-stable`)"
    );
    assert!(check("2027-11-01").contains("Alpine 3.23 has had no fixes since 2027-11-01"));
}
