//! Processes that do not outlive the caller.
//!
//! QEMU does not notice that whoever started it is gone. So a second process, a few lines of shell, holds the
//! read end of a pipe whose other end is only in this process: when this process ends, in whatever way, the pipe
//! closes, the watcher wakes, ends QEMU (kindly first, so that QEMU puts the terminal back) and removes the
//! machine's directory. A parent-death signal would do the same on Linux alone, but can only be set between fork
//! and exec, which needs `unsafe`.
//!
//! There is no moment at which QEMU runs and the watcher does not know it. The watcher is there first. What is
//! started then is a line of shell that writes its number to the file `pid` and becomes QEMU; the watcher, once
//! alone, makes a directory of that name. Only one of the two succeeds: either the number is there to be read,
//! or the shell cannot write it and ends.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tempfile::TempDir;

use super::error::VmError;

/// Waits for the end of the pipe; a line in it means that all is well. `$1` is the directory of the number, `$2`
/// the directory to remove.
const WATCHER: &str = r#"trap '' INT TERM HUP QUIT
read -r bye && exit 0
if ! mkdir "$1/pid" 2>/dev/null; then
    n=0 pid=
    while [ -z "$pid" ] && [ $n -lt 50 ]; do read -r pid <"$1/pid" || sleep 0.1; n=$((n+1)); done
    if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
        n=0
        while kill -0 "$pid" 2>/dev/null && [ $n -lt 20 ]; do sleep 0.1; n=$((n+1)); done
        kill -KILL "$pid" 2>/dev/null
    fi
fi
rm -rf -- "$1"
[ -z "$2" ] || rm -rf -- "$2""#;

/// `$1` is the directory of the number, what follows is the program: it keeps the number.
const GATE: &str = r#"echo $$ >"$1/pid" || exit 125; shift; exec "$@""#;

/// Watches over what is started under it.
#[derive(Debug)]
pub struct Guard {
    watcher: Child,
    dir: TempDir,
}

/// A child process that ends with this one, at the latest when this value is dropped.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    /// Dropped after the process has ended.
    _guard: Guard,
}

impl Guard {
    /// Starts to watch, with a directory of its own in `temp`. `remove` is a directory to remove should this process
    /// end before the value is dropped.
    ///
    /// # Errors
    /// [`VmError::Start`], [`VmError::Io`].
    pub fn new(temp: &Path, remove: Option<&Path>) -> Result<Self, VmError> {
        let dir = tempfile::Builder::new().prefix("hoopy-guard-").tempdir_in(temp);
        let dir = dir.map_err(VmError::io("make a directory in", temp))?;
        let mut watch = Command::new("/bin/sh");
        watch.args(["-c", WATCHER, "watcher"]).arg(dir.path()).arg(remove.unwrap_or(Path::new("")));
        watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watcher = watch.spawn().map_err(VmError::start("/bin/sh"))?;
        Ok(Self { watcher, dir })
    }

    /// A command that becomes `program`, to be given arguments and streams and to be started by [`Guard::spawn`].
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GATE, "gate"]).arg(self.dir.path()).arg(program);
        command
    }

    /// Starts what [`Guard::command`] gave.
    ///
    /// # Errors
    /// [`VmError::Start`]: also where a program that is named by its path is not there.
    pub fn spawn(self, mut command: Command) -> Result<Guarded, VmError> {
        // The shell would say so too, but only once it runs
        let program = command.get_args().nth(4).map(Path::new).unwrap_or(Path::new("")).to_owned();
        if program.components().count() > 1 && !program.is_file() {
            return Err(VmError::Start { program, source: io::ErrorKind::NotFound.into() });
        }
        let child = command.spawn().map_err(VmError::start("/bin/sh"))?;
        Ok(Guarded { child, _guard: self })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.watcher.stdin.take() {
            let _ = pipe.write_all(b"bye\n");
        }
        let _ = self.watcher.wait();
    }
}

impl Guarded {
    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The settings of the terminal on standard input, put back on drop: QEMU does it itself unless it is killed.
#[derive(Debug)]
pub struct Terminal(Option<Termios>);

impl Terminal {
    /// Takes note of the settings, where standard input is a terminal.
    pub fn keep() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }

    /// Puts them back.
    pub fn put_back(&self) {
        if let Some(settings) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.put_back();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// What is to happen happens within this time.
    const PATIENCE: Duration = Duration::from_secs(10);
    use std::time::Duration;

    use hoopy_testkit::soon;

    fn alive(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    fn sleeper(remove: Option<&Path>) -> Guarded {
        let guard = Guard::new(&std::env::temp_dir(), remove).unwrap();
        let mut command = guard.command(Path::new("sleep"));
        command.arg("1000");
        guard.spawn(command).unwrap()
    }

    #[test]
    fn dropping_it_ends_the_process() {
        let mut guarded = sleeper(None);
        let (pid, dir) = (guarded.child().id(), guarded._guard.dir.path().to_owned());
        assert!(alive(pid));
        drop(guarded);
        assert!(!alive(pid));
        assert!(!dir.exists());
    }

    #[test]
    fn the_process_and_its_directory_go_when_the_caller_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("machine");
        std::fs::create_dir(&inner).unwrap();
        let mut guarded = sleeper(Some(&inner));
        // To the watcher, a closed pipe is a caller that is gone
        drop(guarded._guard.watcher.stdin.take());
        assert!(soon(PATIENCE, || {
            let _ = guarded.child.try_wait();
            !inner.exists()
        }));
        assert!(guarded.child.try_wait().unwrap().is_some());
    }

    #[test]
    fn a_caller_that_is_killed_before_the_program_runs_leaves_nothing_behind() {
        let mut guard = Guard::new(&std::env::temp_dir(), None).unwrap();
        let mut command = guard.command(Path::new("sleep"));
        command.arg("1000").stderr(Stdio::null());
        drop(guard.watcher.stdin.take());
        // Before the watcher has cleared up, or after: what is started now must not go on
        let mut late = command.spawn().unwrap();
        assert!(soon(PATIENCE, || late.try_wait().unwrap().is_some()));
        assert!(soon(PATIENCE, || !guard.dir.path().exists()));
        let mut later = command.spawn().unwrap();
        assert_eq!(later.wait().unwrap().code(), Some(125));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let guard = Guard::new(&std::env::temp_dir(), None).unwrap();
        let command = guard.command(Path::new("/no/such/program"));
        let error = guard.spawn(command).unwrap_err();
        assert!(error.to_string().starts_with("cannot start /no/such/program: "), "{error}");
    }
}
