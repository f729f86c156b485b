//! Processes that do not outlive the caller.
//!
//! QEMU does not notice that whoever started it is gone. So a second process, a few lines of shell, holds the
//! read end of a pipe whose other end is only in this process: when this process ends, in whatever way, the pipe
//! closes, the watcher wakes, ends QEMU (kindly first, so that QEMU puts the terminal back) and removes the
//! machine's directory. It is started before QEMU and learns its number over the same pipe. A parent-death signal
//! would do the same on Linux alone, but can only be set between fork and exec, which needs `unsafe`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::error::VmError;

/// Reads a process number, then waits for the end of the pipe. An empty second line means that all is well.
const WATCHER: &str = r#"trap '' INT TERM HUP QUIT
read -r pid || pid=
read -r bye && exit 0
if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 20 ]; do sleep 0.1; n=$((n+1)); done
    kill -KILL "$pid" 2>/dev/null
fi
[ -z "$1" ] || rm -rf -- "$1""#;

/// A child process that ends with this one, at the latest when this value is dropped.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    watcher: Child,
}

impl Guarded {
    /// Starts a program. `dir` is a directory to remove should this process end before the value is dropped.
    ///
    /// # Errors
    /// [`VmError::Start`].
    pub fn spawn(mut command: Command, dir: Option<&Path>) -> Result<Self, VmError> {
        let mut watch = Command::new("/bin/sh");
        watch.args(["-c", WATCHER, "sh"]).arg(dir.unwrap_or(Path::new("")));
        watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut watcher = watch.spawn().map_err(VmError::start("/bin/sh"))?;
        let program = Path::new(command.get_program()).to_owned();
        let spawned = command.spawn();
        let told = match (&spawned, &mut watcher.stdin) {
            (Ok(child), Some(pipe)) => writeln!(pipe, "{}", child.id()),
            _ => Ok(()),
        };
        match (spawned, told) {
            (Ok(child), Ok(())) => Ok(Self { child, watcher }),
            (Ok(child), Err(source)) => {
                drop(Self { child, watcher });
                Err(VmError::Start { program: "/bin/sh".into(), source })
            }
            (Err(source), _) => {
                let _ = watcher.kill();
                let _ = watcher.wait();
                Err(VmError::Start { program, source })
            }
        }
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(mut pipe) = self.watcher.stdin.take() {
            let _ = pipe.write_all(b"bye\n");
        }
        let _ = self.watcher.wait();
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
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::time::{Duration, Instant};

    fn alive(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("1000");
        command
    }

    #[test]
    fn dropping_it_ends_the_process() {
        let mut guarded = Guarded::spawn(sleeper(), None).unwrap();
        let pid = guarded.child().id();
        assert!(alive(pid));
        drop(guarded);
        assert!(!alive(pid));
    }

    #[test]
    fn the_process_and_its_directory_go_when_the_caller_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("machine");
        std::fs::create_dir(&inner).unwrap();
        let mut guarded = Guarded::spawn(sleeper(), Some(&inner)).unwrap();
        // To the watcher, a closed pipe is a caller that is gone
        drop(guarded.watcher.stdin.take());
        let started = Instant::now();
        while inner.exists() && started.elapsed() < Duration::from_secs(10) {
            let _ = guarded.child.try_wait();
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!inner.exists());
        assert!(guarded.child.try_wait().unwrap().is_some());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Guarded::spawn(Command::new("/no/such/program"), None).unwrap_err();
        assert!(error.to_string().starts_with("cannot start /no/such/program: "), "{error}");
    }
}
