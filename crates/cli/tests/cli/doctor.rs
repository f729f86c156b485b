//! `hoopy doctor` on this computer, and on one that lacks things.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hoopy_testkit::Home;
use insta::assert_snapshot;

fn home() -> Home {
    Home::new(env!("CARGO_BIN_EXE_hoopy"))
}

/// A computer whose programs are elsewhere. KVM is said to be elsewhere, too: whether it works differs.
fn bare(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(&[&["doctor"], args].concat());
    command.env("PATH", "/nowhere").env("HOOPY_QEMU", "/no/qemu").env("HOOPY_KVM", "/no/kvm");
    command.env("HOOPY_FIRMWARE", "/no/firmware.fd");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).unwrap()
}

/// The screen without what differs between computers: the system, paths, room, the command that installs a package, and
/// whether programs of another architecture run here.
fn screen(home: &Home, out: &Output) -> String {
    let mirror = hoopy_testkit::mirror().alpine.display().to_string();
    let said = text(&out.stdout).replace(home.path("").to_str().unwrap().trim_end_matches('/'), "[home]");
    // Not in the names of checks, which are the same everywhere
    let [place, conclusion] = ["/main/", " for "].map(|before| format!("{before}{}", std::env::consts::ARCH));
    let said = said.replace(&mirror, "[mirror]").replace(&place, "/main/[arch]");
    let said = said.replace(&conclusion, " for [arch]");
    let mut lines: Vec<String> = Vec::new();
    let mut left_out = false;
    for line in said.lines() {
        let is_command = line.trim_start().starts_with("run: ");
        left_out = if is_command { left_out } else { line.contains(" binfmt ") };
        if !left_out {
            lines.push(plain(line));
        }
    }
    lines[0] = "[system]".to_owned();
    lines.join("\n")
}

fn plain(line: &str) -> String {
    let cut = |at: usize, what: &str| format!("{}{what}", &line[..at]);
    if let Some(at) = ["apt ", "dnf ", "apk ", "pacman "].iter().find_map(|it| line.find(*it)) {
        return cut(at, "[install]");
    }
    if let Some(at) = line.find("which are ").filter(|_| line.ends_with(" here")) {
        return cut(at, "which are [ids] here");
    }
    if let Some(at) = line.find(" free") {
        return cut(line[..at].rfind(", ").unwrap() + 2, "[room] free");
    }
    // A file of this computer: `ok       git              /usr/bin/git`
    line.find(" /usr/").map_or(line.to_owned(), |at| cut(at, " [file]"))
}

#[test]
fn a_computer_that_lacks_programs_is_told_which_and_what_to_run() {
    let home = home();
    let out = bare(&home, &[]).output().unwrap();
    assert_eq!(text(&out.stderr), "");
    assert_snapshot!(screen(&home, &out));
}

#[test]
fn a_kvm_under_which_no_guest_runs_is_missing() {
    let home = home();
    fs::write(home.path("kvm"), "").unwrap();
    // Ends at once, as no guest would: what a broken KVM looks like from outside
    let mut command = home.command(&["doctor", "--quiet"]);
    let out = command.env("HOOPY_QEMU", "/bin/false").env("HOOPY_KVM", home.path("kvm")).output().unwrap();
    let said = text(&out.stdout);
    assert!(
        said.contains("missing  KVM              KVM does not work here: QEMU ended by itself"),
        "{said}"
    );
    assert!(said.contains("without KVM, which is slower\n"), "{said}");
}

#[test]
fn a_build_that_is_possible_is_success() {
    let home = home();
    let out = home.run(&["doctor"]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("`hoopy build` works for {}: ", std::env::consts::ARCH)), "{said}");
    assert!(said.lines().count() <= 35, "more than a screen:\n{said}");
}

#[test]
fn a_mirror_that_is_not_there_ends_with_3_and_says_where_it_was_looked_for() {
    let home = home();
    let out = home.run(&["doctor", "--mirror", "nowhere"]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(3), "{said}");
    let place = format!("nowhere/v3.23/main/{}/APKINDEX.tar.gz: not found\n", std::env::consts::ARCH);
    assert!(said.contains(&format!("missing  mirror           {place}")), "{said}");
    assert!(said.contains("cannot work") && said.contains("see the mirror above\n"), "{said}");
}

#[test]
fn a_mirror_that_never_answers_is_not_waited_for() {
    let home = home();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    let out = home.run(&["doctor", "--quiet", "--mirror", &address]);
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stdout).contains(": no answer within 5 s\n"), "{}", text(&out.stdout));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

#[test]
fn the_mirror_is_that_of_the_system_in_the_working_directory() {
    let home = home();
    let dir = home.small("s");
    fs::write(dir.join("hoopy.toml"), "mirror = \"elsewhere\"\n").unwrap();
    let out = home.command(&["-C", "s", "doctor"]).env_remove("HOOPY_MIRROR").output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stdout).contains("elsewhere/v3.23/main/"), "{}", text(&out.stdout));
}

#[test]
fn a_store_that_cannot_be_written_ends_with_3() {
    let home = home();
    let out = home.run(&["doctor", "--store", "/dev/null/store"]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(said.contains("missing  store") && said.contains("run: export HOOPY_STORE=DIR\n"), "{said}");
}

#[test]
fn json_has_the_same_checks_and_conclusions() {
    let home = home();
    let out = bare(&home, &["--json", "--mirror", "nowhere"]).output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(said["can_build"], false);
    assert_eq!(said["can_run"], false);
    let checks = said["checks"].as_array().unwrap();
    let named = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(named("git")["ok"], false);
    assert_eq!(named("store")["ok"], true);
    assert_eq!(named("mirror")["fix"], "export HOOPY_MIRROR=URL");
    assert_eq!(named("QEMU x86_64")["fix"], "unset HOOPY_QEMU");
}
