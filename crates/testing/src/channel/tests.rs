//! The machine's shell is the host's own here, at the other end of a socket.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};

use super::*;
use crate::scripts::Directory;

const PATIENCE: Duration = Duration::from_secs(30);

struct Shell {
    child: Child,
    channel: Channel,
    _dir: tempfile::TempDir,
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nothing() -> Option<String> {
    None
}

/// A shell that was given the functions, with a directory of its own in the place of the machine's.
fn shell() -> Shell {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let out: OwnedFd = theirs.try_clone().unwrap().into();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo last words; echo hoopy is up; exec sh"]);
    let child = command.stdin(OwnedFd::from(theirs)).stdout(out).spawn().unwrap();
    let mut channel = Channel { stream: ours, marks: 0, secret: "secret".to_owned() };
    channel.greet(PATIENCE, &mut nothing).unwrap();
    let own = format!("dir={}/t\n", dir.path().display());
    channel.tell(&own, PATIENCE, &mut nothing).unwrap();
    Shell { child, channel, _dir: dir }
}

impl Shell {
    fn ask(&mut self, command: &str) -> Captured {
        self.channel.ask(command, PATIENCE, &mut nothing).unwrap()
    }

    /// Runs a test of this text; skips where the host lacks what every image has.
    fn test(&mut self, limit: u32, text: &str) -> Option<Captured> {
        let tests = tempfile::tempdir().unwrap();
        std::fs::write(tests.path().join("it's.sh"), text).unwrap();
        let directory = Directory::read(tests.path()).unwrap();
        let put = directory.put(tests.path()).unwrap();
        let put = self.channel.request(PATIENCE, &mut nothing, put).unwrap();
        if put.output.contains("not found") {
            hoopy_testkit::skip(format_args!("cpio and base64 are not installed: {}", put.output));
            return None;
        }
        assert_eq!((put.status.as_str(), put.output.as_str()), ("0", ""));
        let run = |mark: &str| format!("run {mark} {limit} 1 sh ./{}\n", quoted("it's.sh"));
        Some(self.channel.request(PATIENCE, &mut nothing, run).unwrap())
    }
}

#[test]
fn a_command_is_answered_with_its_output_and_status() {
    let mut shell = shell();
    let captured = shell.ask("echo \"it's\"; echo there >&2; cat; exit 3");
    assert_eq!((captured.status.as_str(), captured.output.as_str()), ("3", "it's\nthere\n"));
    assert_eq!(shell.ask("cd /; x=1").status, "0");
    assert_eq!(shell.ask("echo \"<$x> $(pwd)\" | grep -c '^<> /$'; for a in").status, "2");
}

#[test]
fn a_test_is_run_where_its_files_are_and_its_output_comes_in_order() {
    let mut shell = shell();
    let text = "ls; echo err >/dev/stderr; echo out >/dev/stdout; echo $HOOPY_BOOT $#; exit 77\n";
    let Some(captured) = shell.test(20, text) else { return };
    assert_eq!((captured.status.as_str(), captured.output.as_str()), ("77", "it's.sh\nerr\nout\n1 0\n"));
}

#[test]
fn a_test_that_takes_too_long_is_ended_with_all_that_it_started() {
    let mut shell = shell();
    let started = Instant::now();
    let Some(captured) = shell.test(1, "echo before; sleep 1000; echo after\n") else { return };
    assert_eq!((captured.status.as_str(), captured.output.as_str()), ("late", "before\n"));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn what_a_test_leaves_running_does_not_hold_up_the_next() {
    let mut shell = shell();
    let started = Instant::now();
    let Some(captured) = shell.test(20, "(sleep 15; echo late) & echo started\n") else { return };
    assert_eq!((captured.status.as_str(), captured.output.as_str()), ("0", "started\n"));
    assert!(started.elapsed() < Duration::from_secs(12));
    assert_eq!(shell.ask("echo next").output, "next\n");
}

#[test]
fn a_machine_that_says_nothing_ends_or_panics_is_told_apart() {
    let mut shell = shell();
    let limit = Duration::from_millis(300);
    let silent = shell.channel.ask("echo a; sleep 2", limit, &mut nothing).unwrap_err();
    assert_eq!(silent, NoAnswer { why: Silence::Late(limit), output: "a\n".to_owned() });
    let panicked = &mut || Some("Kernel panic".to_owned());
    let broken = shell.channel.ask("sleep 4", PATIENCE, panicked).unwrap_err();
    assert_eq!(broken.why, Silence::Broken("Kernel panic".to_owned()));
    shell.channel.tell("exit\n", PATIENCE, &mut nothing).unwrap();
    let ended = shell.channel.ask("true", PATIENCE, &mut nothing).unwrap_err();
    assert_eq!(ended.why, Silence::Ended);
}

#[test]
fn garbage_without_end_is_not_waited_for_longer_than_it_may_take() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut channel = Channel { stream: ours, marks: 0, secret: "secret".to_owned() };
    std::thread::spawn(move || while theirs.write_all(&[0xFE; 4096]).is_ok() {});
    let limit = Duration::from_millis(500);
    let up = |channel: &mut Channel| channel.greet(limit, &mut nothing).unwrap_err().why;
    assert_eq!(up(&mut channel), Silence::Late(limit));
    let error = channel.ask("true", limit, &mut nothing).unwrap_err();
    assert_eq!(error.why, Silence::Late(limit));
    assert!(error.output.len() < 2 << 20);
    assert!(Path::new("/").exists());
}
