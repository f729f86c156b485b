//! Standard output and standard error that are closed, full, or no longer read: never a panic.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use hoopy_testkit::Home;

/// A cheap use of every command: most print something, none needs a machine.
const COMMANDS: [&[&str]; 44] = [
    &["--help"],
    &["--version"],
    &["deploy", "--help"],
    &["no-such-command"],
    &["init", "fresh"],
    &["check", "s"],
    &["build", "s"],
    &["run", "s"],
    &["test", "s", "--image", "initrd"],
    &["disk", "s", "-o", "disk.img"],
    &["-C", "s", "flash", "/dev/null"],
    &["-C", "s", "deploy", "far", "--image", "/dev/null"],
    &["-C", "s", "status", "far"],
    &["-C", "s", "rollback", "far"],
    &["-C", "s", "logs", "far"],
    &["-C", "s", "open", "far"],
    &["-C", "s", "backup", "far", "-o", "backup.age"],
    &["-C", "s", "restore", "far", "initrd"],
    &["-C", "s", "drift", "far"],
    &["-C", "s", "pull", "far", "/etc"],
    &["-C", "s", "add", "musl", "--dry-run"],
    &["-C", "s", "remove", "linux-virt", "--dry-run"],
    &["lock", "s"],
    &["-C", "s", "update", "--dry-run"],
    &["vendor", "s"],
    &["-C", "s", "why", "musl"],
    &["tree", "s"],
    &["-C", "s", "search", "musl"],
    &["-C", "s", "info", "musl"],
    &["inspect", "initrd"],
    &["inspect", "cat", "initrd", "etc/hostname"],
    &["-C", "s", "keys", "status"],
    &["-C", "s", "sign", "../initrd"],
    &["-C", "s", "secret", "list"],
    &["-C", "s", "unlock", "far"],
    &["import", "initrd", "-o", "imported"],
    &["export", "--world", "s"],
    &["doctor"],
    &["diff", "s/hoopy.lock", "old.lock"],
    &["gc", "--dry-run"],
    &["store", "verify"],
    &["schema"],
    &["completions", "bash"],
    &["man"],
];

struct Place {
    home: Home,
}

impl Place {
    fn new() -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.small("s");
        let script = |name: &str, text: &str| {
            fs::write(home.path(name), text).unwrap();
            fs::set_permissions(home.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        fs::create_dir(home.path("bin")).unwrap();
        let ssh = "#!/bin/sh\ncase \"$*\" in\n*hoopy-ready*) echo hoopy-ready; exec cat >/dev/null ;;\nesac\necho log\necho line\n";
        script("bin/ssh", ssh);
        script("qemu", "#!/bin/sh\necho no machine >&2\nexit 1\n");
        home.ok(&["lock", "s"]);
        let lock = fs::read_to_string(home.path("s/hoopy.lock")).unwrap();
        fs::write(home.path("old.lock"), lock).unwrap();
        let mut cpio = Command::new("sh");
        cpio.args(["-c", "cd s/root && find . | cpio -o --quiet -H newc >../../initrd"]);
        assert!(cpio.current_dir(home.path("")).status().unwrap().success(), "no cpio(1)");
        home.ok(&["build", "s"]);
        Self { home }
    }

    fn run(&self, args: &[&str], out: Stdio, err: Stdio) -> Output {
        let _ = fs::remove_dir_all(self.home.path("fresh"));
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display());
        let mut command = self.home.command(args);
        command.env("PATH", path).env("HOOPY_QEMU", self.home.path("qemu"));
        command.stdin(Stdio::null()).stdout(out).stderr(err).output().unwrap()
    }

    /// The same, started by a shell that closes a file descriptor first.
    fn run_closed(&self, args: &[&str], closing: &str) -> Output {
        let _ = fs::remove_dir_all(self.home.path("fresh"));
        let program = PathBuf::from(env!("CARGO_BIN_EXE_hoopy"));
        let shell = ["-c", &format!("exec \"$0\" \"$@\" {closing}"), program.to_str().unwrap()];
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display());
        let mut command = self.home.command_of("/bin/sh".as_ref(), &[&shell[..], args].concat());
        command.env("PATH", path).env("HOOPY_QEMU", self.home.path("qemu"));
        command.stdin(Stdio::null()).output().unwrap()
    }
}

/// A pipe that nobody reads, as that to `head` is after a line.
fn unread() -> Stdio {
    let (_, writer) = io::pipe().unwrap();
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn every_command_is_in_the_list() {
    let place = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let help = place.ok(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let missing: Vec<&str> =
        names.filter(|name| *name != "help" && !COMMANDS.iter().any(|args| args.contains(name))).collect();
    assert!(missing.is_empty(), "add to COMMANDS: {missing:?}");
}

#[test]
fn no_command_panics_where_its_output_goes_nowhere() {
    let place = Place::new();
    for args in COMMANDS {
        let piped = place.run(args, Stdio::piped(), Stdio::piped());
        let code = piped.status.code();
        let (out, err) = (String::from_utf8_lossy(&piped.stdout), String::from_utf8_lossy(&piped.stderr));
        assert!(code.is_some_and(|code| code != 101), "{args:?}: {code:?}\n{out}{err}");

        let unread_out = place.run(args, unread(), Stdio::piped());
        assert_eq!(
            unread_out.status.code(),
            code,
            "{args:?} | head: {}",
            String::from_utf8_lossy(&unread_out.stderr)
        );

        let full_out = place.run(args, full(), Stdio::piped());
        let said = String::from_utf8_lossy(&full_out.stderr);
        if out.is_empty() {
            assert_eq!(full_out.status.code(), code, "{args:?} >/dev/full: {said}");
        } else {
            assert_eq!(full_out.status.code(), Some(1), "{args:?} >/dev/full: {said}");
            assert!(said.contains("cannot write to standard output: No space left"), "{args:?}: {said}");
        }
        for (name, err) in [("full", full()), ("unread", unread())] {
            let run = place.run(args, Stdio::piped(), err);
            assert_eq!(run.status.code(), code, "{args:?}, standard error {name}");
        }
        for closing in [">&-", "2>&-", ">&- 2>&-"] {
            assert_eq!(place.run_closed(args, closing).status.code(), code, "{args:?} {closing}");
        }
    }
}
