//! A script whose output is read line by line, while it runs.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

use super::{Process, Ssh, SshError, command, listen};

/// A longer line comes in parts.
const MAX_LINE: u64 = 64 << 10;

impl Ssh {
    /// Runs a script and gives each line of what it prints to `sink`, until it ends or `sink` fails. With `open`, its
    /// input stays open for as long as that.
    ///
    /// # Errors
    /// [`SshError`] when the connection breaks.
    pub fn follow(
        &self,
        script: &str,
        open: bool,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), SshError> {
        let mut command = command(&self.config, &self.host, self.socket.as_deref(), false);
        let size = script.len();
        command.arg(format!(
            "exec sh -c 's=$(dd bs={size} count=1 iflag=fullblock 2>/dev/null) && eval \"$s\"'"
        ));
        let mut child = Process(command.spawn().map_err(|e| SshError::start(&self.config.program, e))?);
        let words = listen(child.0.stderr.take());
        let mut input = child.0.stdin.take();
        if let Some(input) = &mut input {
            // A script that does not start says so by its exit status.
            let _ = input.write_all(script.as_bytes());
        }
        let input = input.filter(|_| open);
        if let Some(out) = child.0.stdout.take() {
            let mut out = BufReader::new(out);
            let mut line = Vec::new();
            while out.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(SshError::Io)? > 0 {
                if sink(&line).is_err() {
                    return Ok(());
                }
                line.clear();
            }
        }
        drop(input);
        let status = child.0.wait().map_err(SshError::Io)?;
        // What ssh itself fails with (ssh(1)).
        if status.code().is_none_or(|code| code == 255) {
            return Err(SshError::of(&self.host, &words.join().unwrap_or_default(), true));
        }
        Ok(())
    }
}
