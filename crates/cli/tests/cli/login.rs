//! What `hoopy init` makes, used as its owner uses it: built, booted, logged in to at the console.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use hoopy_testkit::{Home, ended, soon};

/// Long enough for a machine to come up on a busy computer without KVM.
const BOOTED: Duration = Duration::from_secs(240);
/// Long enough for a program on a machine without KVM.
const ANSWERED: Duration = Duration::from_secs(60);

/// A console that is typed at.
struct Console<'a> {
    home: &'a Home,
    keyboard: ChildStdin,
}

impl Console<'_> {
    /// Waits until the console shows `text` for so many times, and types `line`: what is typed before is lost.
    fn answer(&mut self, text: &str, times: usize, line: &str, within: Duration) {
        let shown = || String::from_utf8_lossy(&fs::read(self.home.path("console")).unwrap()).into_owned();
        let is_asked = || shown().matches(text).count() >= times;
        assert!(soon(within, is_asked), "no {text:?} on the console, {times} times:\n{}", shown());
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

#[test]
fn the_password_that_init_shows_opens_the_console_and_no_other_does() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let out = home.run(&["init", "s"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let (_, rest) = said.split_once("at the console: ").unwrap_or_else(|| panic!("{said}"));
    let password = rest.split(' ').next().unwrap();
    home.ok(&["build", "s"]);

    let mut command = home.command(&["run", "s"]);
    let console = File::create(home.path("console")).unwrap();
    command.stdin(Stdio::piped()).stdout(console).stderr(File::create(home.path("said")).unwrap());
    let mut run = command.spawn().unwrap();
    let mut typed = Console { home: &home, keyboard: run.stdin.take().unwrap() };
    typed.answer("login: ", 1, "root", BOOTED);
    typed.answer("Password: ", 1, "hoopy", ANSWERED);
    typed.answer("login: ", 2, "root", ANSWERED);
    typed.answer("Password: ", 2, password, ANSWERED);
    let shown = String::from_utf8_lossy(&fs::read(home.path("console")).unwrap()).into_owned();
    assert!(shown.contains("Login incorrect"), "{shown}");
    typed.answer(":~# ", 1, "echo in as $(id -un); poweroff", ANSWERED);
    assert!(ended(&mut run, ANSWERED).success());
    let shown = String::from_utf8_lossy(&fs::read(home.path("console")).unwrap()).into_owned();
    assert!(shown.contains("in as root"), "{shown}");
}
