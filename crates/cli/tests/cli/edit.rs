//! `hoopy add`, `hoopy remove` and `hoopy logs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hoopy_testkit::{Home, package};

const PACKAGES: &str = "\
package base 1.0-r0
package tool 1.0-r0
depends library
package library 1.0-r0
";

fn home() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    package::extended_mirror(&home.path("mirror"), "x86_64", PACKAGES);
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/hoopy.toml"), "mirror = \"../mirror\"\narch = \"x86_64\"\n").unwrap();
    fs::write(home.path("s/packages"), "# the machine\nalpine-base\n\nlinux-virt # kernel\n").unwrap();
    run(&home, 0, &["lock", "s", "--quiet"]);
    home
}

/// Runs it on the mirror of this test; what it prints.
fn run(home: &Home, code: i32, args: &[&str]) -> String {
    let mirror = home.path("mirror");
    let out = home.run(&[args, &["--mirror", mirror.to_str().unwrap()]].concat());
    let text = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    assert_eq!(out.status.code(), Some(code), "{args:?}: {text}");
    text
}

fn packages(home: &Home) -> String {
    fs::read_to_string(home.path("s/packages")).unwrap()
}

#[test]
fn add_and_remove_edit_packages_and_show_what_changes_in_the_lock() {
    let home = home();
    let before = packages(&home);
    let said = run(&home, 0, &["-C", "s", "add", "tool", "--dry-run"]);
    assert!(said.contains("in       tool 1.0-r0 (") && said.contains("in       library 1.0-r0 ("), "{said}");
    assert_eq!(packages(&home), before);

    run(&home, 0, &["-C", "s", "add", "tool"]);
    assert_eq!(packages(&home), format!("{before}tool\n"));
    run(&home, 0, &["build", "s", "--locked", "--output", "tar"]);

    let json: serde_json::Value =
        serde_json::from_str(&run(&home, 0, &["-C", "s", "remove", "tool", "--json"])).unwrap();
    assert_eq!(json["changes"][0]["change"], "out", "{json}");
    assert_eq!(json["changes"][1]["old"], "1.0-r0", "{json}");
    assert_eq!(packages(&home), before);
}

#[test]
fn add_changes_nothing_where_the_packages_cannot_be_installed() {
    let home = home();
    let (before, lock) = (packages(&home), fs::read(home.path("s/hoopy.lock")).unwrap());
    let said = run(&home, 3, &["-C", "s", "add", "tool>2"]);
    assert!(said.contains("packages:5 asks for tool>2"), "{said}");
    run(&home, 2, &["-C", "s", "remove", "base"]);
    run(&home, 2, &["-C", "s", "update", "base"]);
    assert!(packages(&home) == before && fs::read(home.path("s/hoopy.lock")).unwrap() == lock);
}

/// A machine whose log is what `log` prints.
fn machine(log: &str) -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    fs::create_dir(home.path("bin")).unwrap();
    let ssh = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\ncase \"$3\" in\n*hoopy-ready*) echo hoopy-ready; exec \
         cat >/dev/null ;;\nesac\n{log}\n"
    );
    fs::write(home.path("bin/ssh"), ssh).unwrap();
    fs::set_permissions(home.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    home
}

fn logs(home: &Home, args: &[&str]) -> (Option<i32>, String) {
    let mut command = home.command(args);
    let path = format!("{}:/usr/bin:/bin", home.path("bin").display());
    let out = command.env("PATH", path).output().unwrap();
    let text = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    (out.status.code(), text)
}

#[test]
fn logs_come_without_what_a_terminal_would_act_on() {
    let home = machine("printf 'log\\none\\033[2J\\ttwo\\nthree\\n'");
    assert_eq!(logs(&home, &["logs", "nas"]), (Some(0), "one\u{fffd}[2J\ttwo\nthree\n".to_owned()));
    let home = machine("echo none");
    let (code, said) = logs(&home, &["logs", "nas"]);
    assert!(code == Some(1) && said.contains("nas has no system log"), "{said}");
}

#[test]
fn the_script_of_logs_reads_the_file_and_follows_it() {
    // The script itself, in the shell that is here, with a log of the test's own.
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let script = hoopy_testkit::repository().join("crates/ship/src/deploy/remote/logs.sh");
    let text = fs::read_to_string(script).unwrap().replace("/var/log/messages", "log/messages");
    fs::create_dir(home.path("log")).unwrap();
    fs::write(home.path("log/messages"), "1\n2\n3\n").unwrap();
    let run = |variables: &str| {
        let mut shell = home.command_of("/bin/sh".as_ref(), &["-c", &format!("{variables}\n{text}")]);
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    };
    assert_eq!(run("LINES= FOLLOW="), "log\n1\n2\n3\n");
    assert_eq!(run("LINES=2 FOLLOW="), "log\n2\n3\n");
    // Standard input is at its end, as it is when the connection is gone: what follows ends.
    assert!(run("LINES=1 FOLLOW=1").starts_with("log\n"));
    fs::remove_file(home.path("log/messages")).unwrap();
    assert_eq!(run("PATH=/nowhere LINES= FOLLOW="), "none\n");
}
