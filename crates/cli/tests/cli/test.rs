//! `hoopy test`: what it tells of machines that are as they should be, and of those that are not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use hoopy_testkit::{Home, repository, soon};

use crate::run::ends_its_machine_when_killed;

/// What is to happen happens within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The exit code of failing tests.
const FAILED: i32 = 6;

/// Two machines, one of which is booted twice: what fails must be told as such, and what holds must hold.
#[test]
fn each_fault_is_told_by_its_name_and_what_is_well_passes() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.system(&repository().join("crates/cli/tests/cli/test/faulty"), "faulty");
    let args =
        ["test", "faulty", "--arch", "x86_64", "--timeout", "20", "--junit", "junit.xml", "--logs", "logs"];
    let out = home.run(&args);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(FAILED), "{said}\n{why}");
    for line in [
        "ok   the machine boots",
        "ok   runlevel default is reached",
        "FAIL services are up: not up: hopeless",
        "FAIL fstab is mounted: not mounted: /share",
        "ok   the clock is set",
        "ok   the root filesystem is in memory: rootfs",
        "ok   10-passes",
        "FAIL 20-fails: exit status 3",
        "skip 30-skipped: no sound card here",
        "FAIL 40-no-interpreter: exit status 127: not to be run",
        "FAIL 50-hangs: timed out after 20 s",
        "FAIL no service crashed: crashed: short-lived",
        "ok   data",
    ] {
        assert!(untimed(&said).iter().any(|l| l == line), "{line}: not in\n{said}\n{why}");
    }
    assert!(said.contains("    one & <two>\n    three\n"), "{said}");
    assert!(said.contains("hint: --timeout gives scripts more time\n"), "{said}");
    assert!(said.contains("UUID=1b0c2f0e-1111-4222-8333-444455556666 on /srv: mounted"), "{said}");
    assert!(said.contains("logs/console.log, logs/console-data.log"), "{said}");
    let bar = said.lines().find(|line| line.starts_with("boot ")).unwrap();
    for phase in ["firmware", "kernel", "init"] {
        assert!(!bar.contains(&format!("{phase} 0.0 s")), "{bar}");
    }
    let log = fs::read_to_string(home.path("logs/console.log")).unwrap();
    assert!(log.contains("there is no hope"), "{log}");
    let junit = fs::read_to_string(home.path("junit.xml")).unwrap();
    assert!(junit.contains("<system-out>one &amp; &lt;two&gt;\nthree\n</system-out>"), "{junit}");
}

/// The lines of tests, without the times.
fn untimed(said: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines = said.lines().filter_map(|line| match words(line).as_slice() {
        [verdict, _, s, rest @ ..] if s == "s" => Some(format!("{verdict:4} {}", rest.join(" "))),
        _ => None,
    });
    lines.collect()
}

#[test]
fn the_example_passes_on_the_other_architecture() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.example("hello");
    let out = home.run(&["test", "hello", "--arch", "aarch64", "--json", "--logs", "logs"]);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let log = fs::read_to_string(home.path("logs/console.log")).unwrap_or_default();
    assert!(out.status.success(), "{report:#}\n{}\n{log}", String::from_utf8_lossy(&out.stderr));
    let outcomes = report["outcomes"].as_array().unwrap();
    assert!(outcomes.len() > 8 && outcomes.iter().all(|o| o["verdict"] == "passed"), "{report:#}");
    assert!(report["boot"]["kernel"].as_f64().unwrap() > 0.1, "{report:#}");
}

/// A QEMU that says a word and stays, or ends at once.
fn home_with(qemu: &str) -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    fs::create_dir(dir.join("tests")).unwrap();
    fs::write(dir.join("tests/web.sh"), "true\n").unwrap();
    fs::create_dir(home.path("tmp")).unwrap();
    let probe = "case \"$*\" in *\"-accel kvm\"*) exit 1;; esac\n";
    fs::write(home.path("qemu"), format!("#!/bin/sh\n{probe}{qemu}")).unwrap();
    fs::set_permissions(home.path("qemu"), fs::Permissions::from_mode(0o755)).unwrap();
    home
}

fn test(home: &Home, more: &[&str]) -> Command {
    let mut command = home.command(&[&["test", "s", "--arch", "x86_64", "--logs", "logs"], more].concat());
    command.env("HOOPY_QEMU", home.path("qemu")).env("TMPDIR", home.path("tmp"));
    command
}

fn left_behind(home: &Home) -> usize {
    fs::read_dir(home.path("tmp")).unwrap().count()
}

#[test]
fn a_machine_that_ends_fails_what_was_to_be_tested() {
    let home = home_with("echo firmware says no; echo unknown device >&2; exit 1\n");
    let out = test(&home, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(FAILED), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
    let lines = untimed(&said);
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("FAIL the machine boots: QEMU ended"), "{said}");
    assert_eq!(lines[1], "skip web: the machine had stopped");
    assert!(said.contains("unknown device") && said.contains("    firmware says no"), "{said}");
    assert_eq!(left_behind(&home), 0);
}

#[test]
fn nothing_outlives_a_test_run_that_is_killed() {
    let home = home_with("echo $$ >\"$HOME/qemu.pid\"; exec sleep 1000\n");
    ends_its_machine_when_killed(&home, &mut test(&home, &["--quiet"]));
    assert!(soon(PATIENCE, || left_behind(&home) == 0), "{:?}", fs::read_dir(home.path("tmp")).unwrap());
}

#[test]
fn a_test_that_is_not_there_and_one_in_pieces_are_refused_before_anything_is_built() {
    let home = home_with("exit 1\n");
    let run = |more: &[&str]| {
        let out = test(&home, more).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    assert_eq!(
        run(&["--only", "wbe"]),
        (Some(2), "error: no test matches --only \"wbe\"\nhint: the tests are web\n".to_owned())
    );
    fs::write(home.path("s/tests/data.2.sh"), "true\n").unwrap();
    let (code, said) = run(&[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.starts_with("error: s/tests: test data: expected the parts 1, 2 and so on (data.1.sh"),
        "{said}"
    );
    assert!(!home.path("s/images").exists());
}
