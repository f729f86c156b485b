//! A script whose output is bytes of any number, given on while they come.

use std::io;
use std::time::{Duration, Instant};

use hoopy_base::pace::{Pace, Patience};

use super::pipes;
use super::{PAUSE, Process, Ssh, SshError};

/// How much is read at a time.
const PART: usize = 256 << 10;

impl Ssh {
    /// Runs a script and gives what it prints to `sink`. The script says by its exit status whether that is all.
    ///
    /// # Errors
    /// [`SshError`] when the connection breaks, or the script is silent or slow; [`SshError::Words`] with what it said where
    /// it failed.
    pub fn stream(
        &self,
        script: &str,
        patience: Patience,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), SshError> {
        let (mut child, input, words) = self.begin(script)?;
        drop(input);
        self.parts(&mut child, patience, sink)?;
        let ended = Instant::now();
        let status = loop {
            match child.0.try_wait().map_err(SshError::Io)? {
                Some(status) => break status,
                None if ended.elapsed() > patience.idle => return Err(SshError::Late(self.host.clone())),
                None => std::thread::sleep(PAUSE),
            }
        };
        match status.code() {
            Some(0) => Ok(()),
            // What ssh itself fails with (ssh(1)).
            None | Some(255) => Err(SshError::of(&self.host, &words.last(), true)),
            Some(_) => Err(SshError::Words { host: self.host.clone(), words: words.last() }),
        }
    }

    fn parts(
        &self,
        child: &mut Process,
        patience: Patience,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), SshError> {
        let Some(mut out) = child.0.stdout.take() else { return Ok(()) };
        let mut pace = Pace::new(patience, Instant::now());
        let (mut buffer, mut exited) = (vec![0; PART], false);
        // How much came, and how long `sink` took: a slow disk here is not the machine's fault.
        let (mut moved, mut held) = (0, Duration::ZERO);
        loop {
            match pipes::read(&mut out, &mut buffer).map_err(SshError::Io)? {
                Some(0) => return Ok(()),
                Some(n) => {
                    moved += n as u64;
                    let began = Instant::now();
                    sink(buffer.get(..n).unwrap_or_default()).map_err(SshError::Io)?;
                    held += began.elapsed();
                }
                // What it started may hold the pipe; what it said itself has been read by now.
                None if exited => return Ok(()),
                None => exited = child.0.try_wait().map_err(SshError::Io)?.is_some(),
            }
            if let Some(stall) = pace.check(Instant::now() - held, moved) {
                return Err(self.stalled(stall));
            }
        }
    }
}
