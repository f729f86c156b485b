//! A machine that is an image, extracted and entered by a program called `ssh` that comes first in PATH: its tools are
//! the real BusyBox, and nothing boots.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::Home;

/// Runs the command behind `--` and the machine's name in the extracted root; all of it ends with this, as with ssh.
pub const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
[ "$2" = root@far ] || { echo "ssh: Could not resolve hostname $2: Name or service not known" >&2; exit 255; }
echo "$2" >>"$HOME/asked"
export FAR="$HOME/far" FAR_COMMAND="$3"
exec unshare -rmpf --kill-child sh -c '
mount --bind "$FAR" "$FAR" && mount --rbind /proc "$FAR/proc" && mount --rbind /dev "$FAR/dev" || exit 9
exec chroot "$FAR" /bin/sh -c "$FAR_COMMAND"'
"#;

/// The machine `root@far`, whose root is `far` in its home. It runs the image `s/images/small-1.efi`.
#[derive(Debug)]
pub struct Entered {
    home: Home,
}

impl Deref for Entered {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

impl Entered {
    /// A system `s` with this `hoopy.toml`, built by `program`, and the machine that runs it.
    ///
    /// # Panics
    /// When any of it fails.
    pub fn new(program: &str, toml: &str) -> Self {
        let home = Home::new(program);
        fs::write(home.small("s").join("hoopy.toml"), toml).expect("a hoopy.toml of the test's own");
        home.ok(&["build", "s", "--image-version", "1"]);
        // With the image's own modes, as a machine has them
        let extract = ["inspect", "extract", "s/images/small-1.efi", "-o", "far", "--quiet"];
        let shell = [&["-c", "umask 0 && exec \"$@\"", "sh", program][..], &extract].concat();
        let made = home.command_of(Path::new("sh"), &shell).status().expect("start a shell");
        assert!(made.success(), "the image cannot be extracted: {made}");
        fs::create_dir(home.path("bin")).expect("a directory for ssh");
        let machine = Self { home };
        machine.answers(SSH);
        machine
    }

    /// Has this script for its `ssh`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn answers(&self, ssh: &str) {
        let program = self.home.path("bin/ssh");
        fs::write(&program, ssh).expect("an ssh of the test's own");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an ssh that can be run");
    }

    /// A file of the machine.
    pub fn far(&self, name: &str) -> PathBuf {
        self.home.path("far").join(name)
    }

    /// The command, with this machine's `ssh` first in PATH.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        let bin = self.home.path("bin");
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", bin.display()));
        command
    }

    /// Runs it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Runs it; what it prints, the error too.
    ///
    /// # Panics
    /// When it ends with another code.
    pub fn says(&self, code: i32, args: &[&str]) -> String {
        let out = self.run(args);
        let text = String::from_utf8([out.stdout, out.stderr].concat()).expect("text");
        assert_eq!(out.status.code(), Some(code), "{args:?}: {text}");
        text
    }
}
