//! KVM that is not there, or half there: every command that starts a machine sees it at once, says so, and uses TCG
//! unless KVM was asked for. QEMU is a stand-in ([`hoopy_testkit::standin`]).

use std::fs::{self, File};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hoopy_testkit::standin::{self, Kvm, Tcg};
use hoopy_testkit::{Home, soon};

/// What is seen over QMP is seen within this time, on a busy machine; the time limits of the commands are minutes.
const AT_ONCE: Duration = Duration::from_secs(20);

/// For a build, and for a boot that is emulated.
const LONG: Duration = Duration::from_secs(400);

const PAUSED: &str = "KVM failed: QEMU paused the machine (internal-error): KVM internal error. Suberror: 1";
const ENDED: &str = "KVM failed: QEMU ended by itself (exit status: 1): \
                     qemu-system: failed to initialize kvm: Invalid argument";
const HANGS: &str = "KVM failed: nothing came from the machine for 60 s, and QEMU says that it runs";
const AGAIN: &str = ". Starting again with TCG, which is slower\n";
const HINT: &str = "hint: --accel tcg runs the machine without KVM, which is slower\n";

/// A system, a test in it, and an image that is none.
fn home() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    // On a busy computer an emulated timer may be late, which the kernel takes for a broken one
    let config = "name = \"small\"\ncmdline = \"no_timer_check console=ttyS0 console=ttyAMA0\"\n";
    fs::write(dir.join("hoopy.toml"), config).unwrap();
    fs::create_dir(dir.join("tests")).unwrap();
    fs::write(dir.join("tests/web.sh"), "true\n").unwrap();
    fs::write(home.path("image.efi"), "MZ").unwrap();
    home
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn run(home: &Home, kvm: Kvm, more: &[&str]) -> Command {
    let args = ["run", "s", "--arch", std::env::consts::ARCH, "--image", "image.efi"];
    let mut command = home.command(&[&args[..], more].concat());
    standin::qemu(home, &mut command, kvm, Tcg::Says).stdin(Stdio::null());
    command
}

const UNTIL: [&str; 2] = ["--until", "is up"];

#[test]
fn run_starts_again_without_kvm_and_says_so_in_one_line() {
    for (kvm, why) in [(Kvm::Paused, PAUSED), (Kvm::Ends, ENDED)] {
        for more in [&UNTIL[..], &[]] {
            let home = home();
            let out = run(&home, kvm, more).output().unwrap();
            let said = said(&out);
            assert!(out.status.success() && said.contains("the machine"), "{said}");
            assert!(said.contains("accelerator: KVM\n"), "{said}");
            assert_eq!(said.matches(&format!("{why}{AGAIN}")).count(), 1, "{said}");
            assert_eq!((said.matches("KVM failed").count(), standin::started(&home)), (1, (1, 1)), "{said}");
        }
    }
}

#[test]
fn run_with_kvm_alone_fails_at_once_and_says_what_to_type() {
    for (kvm, why) in [(Kvm::Paused, PAUSED), (Kvm::Ends, ENDED)] {
        for more in [&UNTIL[..], &[]] {
            let home = home();
            let since = Instant::now();
            let out = run(&home, kvm, more).args(["--accel", "kvm"]).output().unwrap();
            let said = said(&out);
            assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
            assert_eq!((out.status.code(), standin::started(&home)), (Some(1), (1, 0)), "{said}");
            assert!(said.contains(&format!("error: {why}")) && said.ends_with(HINT), "{said}");
            assert_eq!(
                kvm == Kvm::Paused && !more.is_empty(),
                said.contains("firmware begins\nhint"),
                "{said}"
            );
        }
    }
}

#[test]
fn run_tells_of_silence_while_it_waits_and_of_all_that_is_known_at_the_end() {
    let home = home();
    let out = run(&home, Kvm::Silent, &UNTIL).args(["--within", "4"]).output().unwrap();
    let said = said(&out);
    assert_eq!((out.status.code(), standin::started(&home)), (Some(1), (1, 0)), "{said}");
    for text in [
        "nothing on the machine's console for 2 s; accelerator: KVM, state: running. Still waiting\n",
        "error: timed out: the console did not show \"is up\" within 4 s (accelerator: KVM, state: running); \
         it printed nothing on its console\n",
        "hint: if it comes up with --accel tcg, KVM does not work on this computer\n",
    ] {
        assert!(said.contains(text), "{text}: not in\n{said}");
    }
}

#[test]
fn the_accelerator_is_chosen_by_option_and_by_environment() {
    let home = home();
    let out = run(&home, Kvm::Paused, &UNTIL).env("HOOPY_ACCEL", "tcg").output().unwrap();
    assert!(out.status.success() && said(&out).contains("accelerator: TCG\n"), "{}", said(&out));
    assert_eq!(fs::read_to_string(home.path("qemus")).unwrap(), "tcg\n", "KVM was tried");
    let without = |accel: &str| {
        let mut run = run(&home, Kvm::Paused, &UNTIL);
        let out = run.env("HOOPY_KVM", "/no/such/device").args(["--accel", accel]).output().unwrap();
        (out.status.code(), said(&out))
    };
    let (code, said) = without("auto");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("accelerator: TCG (this computer has no /dev/kvm)\n"), "{said}");
    let (code, said) = without("kvm");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said, format!("error: KVM cannot be used: this computer has no /dev/kvm\n{HINT}"));
}

fn test(home: &Home, kvm: Kvm, tcg: Tcg, more: &[&str]) -> Output {
    let args = ["test", "s", "--arch", std::env::consts::ARCH, "--logs", "logs"];
    let mut command = home.command(&[&args[..], more].concat());
    standin::qemu(home, &mut command, kvm, tcg).output().unwrap()
}

#[test]
fn a_test_run_that_falls_back_counts_as_one_run() {
    let home = home();
    let out = test(&home, Kvm::Paused, Tcg::Real, &[]);
    let said = said(&out);
    assert_eq!(standin::started(&home), (1, 1), "{said}");
    for (text, times) in [
        ("accelerator: KVM\n", 1),
        (&*format!("{PAUSED}{AGAIN}"), 1),
        ("the machine boots\n", 1),
        (" s  web\n", 1),
    ] {
        assert_eq!(said.matches(text).count(), times, "{text}: in\n{said}");
    }
    assert!(out.status.success(), "{said}");
}

#[test]
fn a_machine_under_test_that_fails_without_kvm_too_is_told_once() {
    let home = home();
    let out = test(&home, Kvm::Ends, Tcg::Fails, &["--json"]);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.code(), standin::started(&home)), (Some(6), (1, 1)), "{report:#}");
    let verdicts: Vec<_> = report["outcomes"].as_array().unwrap().iter().map(|o| &o["verdict"]).collect();
    assert_eq!(verdicts, ["failed", "skipped"], "{report:#}");
}

#[test]
fn a_test_with_kvm_alone_fails_at_once_and_says_what_to_type() {
    let home = home();
    // The build is no part of it
    assert_eq!(
        test(&home, Kvm::Paused, Tcg::Fails, &["--accel", "kvm", "--timeout", "1"]).status.code(),
        Some(6)
    );
    let since = Instant::now();
    let out = test(&home, Kvm::Paused, Tcg::Fails, &["--accel", "kvm"]);
    let said = said(&out);
    assert!(since.elapsed() < AT_ONCE * 2, "{:?}: {said}", since.elapsed());
    assert_eq!((out.status.code(), standin::started(&home)), (Some(6), (2, 0)), "{said}");
    assert!(said.contains(&format!("the machine boots: {PAUSED}; the machine was to ")), "{said}");
    assert!(said.contains("    firmware begins\n") && said.contains(HINT), "{said}");
}

#[test]
fn a_silent_machine_under_test_is_told_with_all_that_is_known() {
    let home = home();
    let out = test(&home, Kvm::Silent, Tcg::Fails, &["--boot-timeout", "4"]);
    let said = said(&out);
    assert_eq!((out.status.code(), standin::started(&home)), (Some(6), (1, 0)), "{said}");
    for text in [
        "nothing on the machine's console for 2 s; accelerator: KVM, state: running. Still waiting\n",
        "the machine did not reach init within 4 s (accelerator: KVM, state: running)\n",
    ] {
        assert!(said.contains(text), "{text}: not in\n{said}");
    }
}

fn build(home: &Home, kvm: Kvm, tcg: Tcg, more: &[&str]) -> Command {
    let args = ["build", "s", "--arch", std::env::consts::ARCH];
    let mut command = home.command(&[&args[..], more].concat());
    standin::qemu(home, &mut command, kvm, tcg);
    command
}

const SCRIPTS: [&str; 2] = ["--scripts", "vm"];

#[test]
fn scripts_in_a_virtual_machine_run_again_without_kvm() {
    let home = home();
    let out = build(&home, Kvm::Paused, Tcg::Real, &SCRIPTS).output().unwrap();
    let said = said(&out);
    assert!(out.status.success(), "{said}");
    assert_eq!(said.matches(&format!("{PAUSED}{AGAIN}")).count(), 1, "{said}");
    assert_eq!(standin::started(&home), (1, 1), "{said}");
}

#[test]
fn scripts_in_a_virtual_machine_with_kvm_alone_fail_and_say_what_to_type() {
    let home = home();
    for (kvm, why) in [(Kvm::Paused, PAUSED), (Kvm::Ends, ENDED)] {
        let out = build(&home, kvm, Tcg::Fails, &SCRIPTS).args(["--accel", "kvm"]).output().unwrap();
        let said = said(&out);
        assert_eq!(out.status.code(), Some(4), "{said}");
        assert!(said.contains(why) && said.ends_with(HINT), "{said}");
    }
}

/// There are KVMs under which a guest turns in circles: QEMU says that it runs, and nothing comes of it.
#[test]
fn a_silent_machine_for_scripts_is_told_of_and_then_started_again_without_kvm() {
    let home = home();
    let out = build(&home, Kvm::Silent, Tcg::Real, &SCRIPTS).output().unwrap();
    let said = said(&out);
    assert!(out.status.success(), "{said}");
    for text in [
        "accelerator: KVM\n".to_owned(),
        "nothing on the machine's console for 30 s; accelerator: KVM, state: running. Still waiting\n"
            .to_owned(),
        format!("{HANGS}{AGAIN}"),
    ] {
        assert_eq!(said.matches(&text).count(), 1, "{text}: in\n{said}");
    }
    assert_eq!(standin::started(&home), (1, 1), "{said}");
}

#[test]
fn a_machine_that_never_says_a_word_is_started_again_without_kvm() {
    let home = home();
    let out = run(&home, Kvm::Silent, &UNTIL).output().unwrap();
    let said = said(&out);
    assert!(out.status.success() && said.contains(&format!("{HANGS}{AGAIN}")), "{said}");
    assert_eq!(standin::started(&home), (1, 1), "{said}");
}

#[test]
fn a_watched_machine_starts_again_without_kvm() {
    for (kvm, why) in [(Kvm::Paused, PAUSED), (Kvm::Ends, ENDED)] {
        let home = home();
        let again = format!("{why}{AGAIN}");
        let more = ["--watch", "--run"];
        watched(
            &home,
            &mut build(&home, kvm, Tcg::Says, &more),
            &[&again, "the machine is up", "has stopped"],
        );
        assert_eq!(standin::started(&home), (1, 1));
    }
}

/// Runs a command until it has said these, and kills it.
fn watched(home: &Home, command: &mut Command, texts: &[&str]) {
    let file = File::create(home.path("said")).unwrap();
    let command = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap();
    let said = || String::from_utf8_lossy(&fs::read(home.path("said")).unwrap()).into_owned();
    let all = soon(LONG, || texts.iter().all(|text| said().contains(text)));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(all, "{texts:?}: not all in\n{}", said());
}
