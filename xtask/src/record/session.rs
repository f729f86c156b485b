//! A program that runs in a pseudo-terminal, and what it prints there.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::screen::Recorder;

/// Runs `command` in a terminal of `(columns, rows)` and gives all that it prints to `recorder`, as it comes.
///
/// # Errors
/// The terminal, the program's start, and an exit code other than 0.
pub fn record(
    command: &mut Command,
    (columns, rows): (u16, u16),
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("cannot open a pseudo-terminal")?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let terminal = File::options().read(true).write(true).open(name.to_str()?)?;
    tcsetwinsize(&terminal, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 })?;
    let mut child = command
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .stdout(Stdio::from(terminal.try_clone()?))
        .stderr(Stdio::from(terminal))
        .spawn()
        .context("cannot start hoopy")?;
    // The command keeps this side of the terminal open: without that, the end would never be read
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let copied = copy(File::from(master), recorder);
    let status = child.wait()?;
    copied?;
    if !status.success() {
        bail!("expected it to succeed, found {status}");
    }
    Ok(())
}

fn copy(mut master: File, recorder: &mut Recorder) -> std::io::Result<()> {
    let mut bytes = [0; 8192];
    loop {
        match master.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(read) => recorder.output(bytes.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // How Linux says that no program has the terminal open any more
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
