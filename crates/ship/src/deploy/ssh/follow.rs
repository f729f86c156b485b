//! A script whose output is read line by line, while it runs.

use std::io;
use std::process::{ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use hoopy_base::pace::Pace;

use super::pipes;
use super::{PAUSE, Process, Ssh, SshError};

/// A longer line comes in parts.
const MAX_LINE: usize = 64 << 10;

impl Ssh {
    /// Runs a script and gives each line of what it prints to `sink`, until it ends or `sink` fails. With `open`, its
    /// input stays open for as long as that, and it may be silent for as long as it wants.
    ///
    /// # Errors
    /// [`SshError`] when the connection breaks, or the script is silent or slow.
    pub fn follow(
        &self,
        script: &str,
        open: bool,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), SshError> {
        let (mut child, input, words) = self.begin(script)?;
        let input = input.filter(|_| open);
        let out = child.0.stdout.take();
        if !self.lines(&mut child, out, open, sink)? {
            return Ok(());
        }
        drop(input);
        // What ssh itself fails with (ssh(1)).
        if self.end(&mut child)?.code().is_none_or(|code| code == 255) {
            return Err(SshError::of(&self.host, &words.last(), true));
        }
        Ok(())
    }

    /// Reads lines to the end; false where `sink` wants no more.
    fn lines(
        &self,
        child: &mut Process,
        out: Option<ChildStdout>,
        open: bool,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, SshError> {
        let Some(mut out) = out else { return Ok(true) };
        let mut pace = Pace::new(self.limits().answer(), Instant::now());
        let (mut line, mut buffer, mut exited) = (Vec::new(), vec![0; MAX_LINE], false);
        // How much came, and how long `sink` took: a pager may hold a line for minutes, which is not the machine's fault.
        let (mut moved, mut held) = (0, Duration::ZERO);
        loop {
            match pipes::read(&mut out, &mut buffer).map_err(SshError::Io)? {
                Some(0) => break,
                Some(n) => {
                    moved += n as u64;
                    let began = Instant::now();
                    for part in buffer.get(..n).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
                        line.extend_from_slice(part);
                        if line.ends_with(b"\n") || line.len() >= MAX_LINE {
                            if sink(&line).is_err() {
                                return Ok(false);
                            }
                            line.clear();
                        }
                    }
                    held += began.elapsed();
                }
                // What it started may hold the pipe; what it said itself has been read by now.
                None if exited => break,
                None => exited = child.0.try_wait().map_err(SshError::Io)?.is_some(),
            }
            let stall = if open { None } else { pace.check(Instant::now() - held, moved) };
            if let Some(stall) = stall {
                return Err(self.stalled(stall));
            }
        }
        Ok(line.is_empty() || sink(&line).is_ok())
    }

    /// Waits for the end of a script that has nothing more to say.
    fn end(&self, child: &mut Process) -> Result<ExitStatus, SshError> {
        let mut pace = Pace::new(self.limits().answer(), Instant::now());
        loop {
            if let Some(status) = child.0.try_wait().map_err(SshError::Io)? {
                return Ok(status);
            }
            if let Some(stall) = pace.check(Instant::now(), 0) {
                return Err(self.stalled(stall));
            }
            std::thread::sleep(PAUSE);
        }
    }
}
