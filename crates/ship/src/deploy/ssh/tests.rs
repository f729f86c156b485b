#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// What a connection begins with, and what its scripts get: `$1` is `login` or `script`.
const PREFACE: &str = "#!/bin/sh
case \"$*\" in *ControlMaster=yes*) set -- login ;; *) set -- script ;; esac
ready() { [ $1 = script ] || { echo hoopy-ready; exec cat; }; }
";

/// A machine reached by a program for `ssh` that does this.
struct Machine {
    _dir: TempDir,
    config: SshConfig,
}

fn machine(does: &str) -> Machine {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ssh");
    fs::write(&program, format!("{PREFACE}{does}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let limits = Limits {
        connect: Duration::from_millis(200),
        login: Duration::from_millis(200),
        idle: Duration::from_millis(400),
        work: Duration::from_millis(400),
        rate: 10_000,
        ..Limits::default()
    };
    let config = SshConfig { program, batch: true, temp: dir.path().to_owned(), limits };
    Machine { _dir: dir, config }
}

impl Machine {
    fn asks(&self, script: &str, limit: u64) -> Result<Vec<u8>, SshError> {
        // A program that was just written may still be open in another test's child.
        let mut tries = 0;
        let ssh = loop {
            match Ssh::connect("nas", &self.config) {
                Err(SshError::Start { .. }) if tries < 50 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => break other?,
            }
        };
        ssh.ask(script, limit)
    }

    /// Why it fails, which must not take long.
    fn failure(&self) -> SshError {
        let started = Instant::now();
        let error = self.asks("true", 1 << 20).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(15), "it took {:?}", started.elapsed());
        error
    }
}

#[test]
fn a_machine_that_accepts_and_says_nothing_is_not_waited_for() {
    // With and without a process of its own that holds the pipes when it is gone.
    for does in ["exec sleep 100", "sleep 100; true", "while echo x; do sleep 0.1; done"] {
        let error = machine(does).failure();
        assert!(matches!(error, SshError::NoLogin { .. }), "{does}: {error}");
        assert!(error.to_string().contains("nas did not finish the login: waited 1 s"), "{error}");
    }
}

#[test]
fn a_machine_that_lets_in_and_is_silent_is_not_waited_for() {
    for does in [
        "ready $1; exec sleep 100",
        "ready $1; cat >/dev/null; sleep 100; true",
        "ready $1; exec >&-; sleep 100",
    ] {
        let error = machine(does).failure();
        assert!(matches!(error, SshError::Silent { .. }), "{does}: {error}");
        assert!(error.to_string().contains("waited 1 s"), "{error}");
    }
}

#[test]
fn a_machine_that_trickles_is_not_waited_for() {
    let error = machine("ready $1; while echo x; do sleep 0.1; done").failure();
    assert!(matches!(error, SshError::Slow { .. }), "{error}");
}

fn connected(machine: &Machine) -> Ssh {
    loop {
        match Ssh::connect("nas", &machine.config) {
            Err(SshError::Start { .. }) => {}
            other => return other.unwrap(),
        }
    }
}

#[test]
fn lines_are_waited_for_where_they_are_followed_and_not_where_all_of_them_are_there() {
    let machine = machine("ready $1; printf 'a\\nb\\n'; sleep 3; echo c");
    let ssh = connected(&machine);
    let mut lines = Vec::new();
    let mut sink = |line: &[u8]| {
        lines.push(String::from_utf8_lossy(line).into_owned());
        Ok(())
    };
    let error = ssh.follow("true", false, &mut sink).unwrap_err();
    assert!(matches!(error, SshError::Silent { .. }), "{error}");
    ssh.follow("true", true, &mut sink).unwrap();
    assert_eq!(lines, ["a\n", "b\n", "a\n", "b\n", "c\n"]);
}

#[test]
fn a_machine_that_takes_nothing_of_what_is_sent_is_not_waited_for() {
    let machine = machine("ready $1; sleep 100; true");
    let ssh = connected(&machine);
    let call = Call { script: "true", limit: 10, patience: ssh.limits().answer(), until: None };
    let mut feed =
        |out: &mut dyn Write| std::iter::repeat_n([0; 65_536], 100).try_for_each(|b| out.write_all(&b));
    let error = ssh.run(&call, &mut feed).unwrap_err();
    assert!(matches!(error, SshError::Silent { .. }), "{error}");
}

#[test]
fn a_flood_is_read_up_to_its_limit() {
    // Killed by its pipe, and where ssh itself tells of that with its own status.
    for does in ["ready $1; exec cat /dev/zero", "ready $1; cat /dev/zero; exit 255"] {
        let machine = self::machine(does);
        assert!(matches!(machine.asks("true", 100_000), Ok(said) if said.len() == 100_000), "{does}");
    }
    let machine = self::machine("ready $1; exec head -c 1000000 /dev/zero");
    assert!(matches!(machine.asks("true", 1_000_000), Ok(said) if said.len() == 1_000_000));
}

#[test]
fn what_a_server_says_does_nothing_to_a_terminal() {
    let says = r"printf 'banner \033]0;owned\007\r\n\342\200\256Permission denied\r\n' >&2; exit 255";
    let error = machine(says).failure();
    assert!(matches!(error, SshError::NotAllowed { .. }), "{error}");
    let said = error.to_string();
    assert_eq!(hoopy_base::terminal::harmless(&said), said);
    assert!(said.contains("banner \u{fffd}]0;owned\u{fffd}\n\u{fffd}Permission denied"), "{said}");
}

/// It was waited for a minute, and then said to have ended without a message.
#[test]
fn a_flood_instead_of_a_greeting_fails_at_once_and_is_called_one() {
    let mut machine = machine("cat /dev/zero");
    machine.config.limits.login = Duration::from_secs(60);
    let error = machine.failure();
    let expected = "nas did not finish the login: expected the greeting of a login shell, found 64 KiB of something else";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_machine_that_closes_its_output_and_stays_is_late() {
    let error = machine("exec >&-; exec sleep 100").failure();
    assert!(matches!(error, SshError::NoLogin { .. }), "{error}");
}

#[test]
fn of_a_banner_without_an_end_the_last_lines_are_told() {
    let error = machine("seq 1 100000 >&2; echo Permission denied >&2; exit 255").failure();
    assert!(matches!(error, SshError::NotAllowed { .. }), "{error}");
    let said = error.to_string();
    assert!(said.ends_with("\n99999\n100000\nPermission denied"), "{said}");
    assert_eq!(said.lines().count(), 21, "{said}");
}
