//! Runs a program of the machine's owner, with a limit for its time and its output.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process_group};

/// The `PATH` of these programs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often to check whether a program has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The most of a program's error output that is kept.
const MAX_SAID: usize = 4096;

/// How to call a program.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// What its environment holds beside a path: nothing secret.
    pub environment: &'a [(&'a str, &'a str)],
    /// What it gets on standard input.
    pub input: &'a [u8],
    /// When it is ended, with all that it started.
    pub limit: Duration,
    /// Whether what it left running stays when it has ended by itself.
    pub leave: bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether it exited with 0.
    pub success: bool,
    /// Whether it ended by itself.
    pub in_time: bool,
    /// What it said on standard error, and how it ended.
    pub said: String,
}

/// A command with nothing of this process but a path to find programs with, in a group of its own.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").current_dir("/").process_group(0);
    command
}

/// Ends a program that [`command`] started, and whatever it started that stayed with it.
pub fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Runs a program. No thread waits for its pipes: what it leaves running may hold them open for ever.
///
/// # Errors
/// Where it cannot be started.
pub fn run(program: &Path, call: &Call<'_>) -> io::Result<Ended> {
    let mut command = command(program);
    command
        .args(call.arguments)
        .envs(call.environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut pipes =
        Pipes { input: child.stdin.take(), rest: call.input, said: child.stderr.take(), text: Vec::new() };
    pipes.make_patient()?;
    let begun = Instant::now();
    let status = loop {
        pipes.turn();
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if begun.elapsed() < call.limit => thread::sleep(PAUSE),
            None => break None,
        }
    };
    pipes.turn();
    if status.is_none() || !call.leave {
        end(&mut child);
    }
    let said = String::from_utf8_lossy(&pipes.text).trim().to_owned();
    let how = match status {
        Some(status) => status.to_string(),
        None => format!("it did not end within {} s", call.limit.as_secs()),
    };
    let said = if said.is_empty() { how } else { format!("{how}: {said}") };
    Ok(Ended { success: status.is_some_and(|status| status.success()), in_time: status.is_some(), said })
}

/// Both ends of a program's pipes on this side.
struct Pipes<'a> {
    input: Option<ChildStdin>,
    rest: &'a [u8],
    said: Option<ChildStderr>,
    text: Vec<u8>,
}

impl Pipes<'_> {
    fn make_patient(&self) -> io::Result<()> {
        let pipes = [self.input.as_ref().map(AsFd::as_fd), self.said.as_ref().map(AsFd::as_fd)];
        pipes.into_iter().flatten().try_for_each(|pipe| Ok(ioctl_fionbio(pipe, true)?))
    }

    /// Writes and reads what is possible now.
    fn turn(&mut self) {
        while let Some(input) = &mut self.input {
            match input.write(self.rest) {
                Ok(0) => self.input = None,
                Ok(written) => self.rest = self.rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.input = None,
            }
        }
        let mut buffer = [0; 4096];
        while let Some(said) = &mut self.said {
            match said.read(&mut buffer) {
                Ok(0) => self.said = None,
                Ok(read) => {
                    let room = MAX_SAID.saturating_sub(self.text.len()).min(read);
                    self.text.extend(buffer.get(..room).unwrap_or_default());
                    // A program that writes without end must not keep this loop from the clock.
                    if room == 0 {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.said = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: u64) -> Ended {
        let call = Call {
            arguments: &["-c", script],
            environment: &[],
            input: &[b'x'; 1 << 20],
            limit: Duration::from_millis(limit),
            leave: false,
        };
        run(Path::new("/bin/sh"), &call).unwrap_or_else(|error| unreachable!("{error}"))
    }

    #[test]
    fn a_program_is_ended_in_time_with_what_it_started() {
        let begun = Instant::now();
        let ended = shell("sleep 60 & sleep 60", 200);
        assert!(!ended.success && !ended.in_time && ended.said.contains("did not end"), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_leaves_something_running_has_ended() {
        let begun = Instant::now();
        assert!(shell("setsid sleep 60 & exit 0", 30_000).success);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_a_program_complains_of_is_told() {
        let ended = shell("echo no such host >&2; exit 4", 30_000);
        assert!(ended.said.contains("exit status: 4: no such host"), "{ended:?}");
    }

    #[test]
    fn a_program_finds_nothing_of_the_agents_environment() {
        assert!(shell("[ -z \"$HOME\" ] && [ -n \"$PATH\" ]", 30_000).success);
    }
}
