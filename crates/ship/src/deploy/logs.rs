//! The system log of a machine, as its syslog daemon keeps it: in `/var/log/messages`, or in memory for `logread`.

use std::io;

use super::error::DeployError;
use super::ssh::Ssh;

const SCRIPT: &str = include_str!("remote/logs.sh");

/// Gives the last `lines` of the log to `sink`, line by line, and with `follow` all new ones until it fails.
///
/// # Errors
/// [`DeployError::NoLog`], and where the connection breaks. What `sink` fails with ends it without an error.
pub fn read(
    ssh: &Ssh,
    lines: Option<u32>,
    follow: bool,
    sink: &mut dyn FnMut(&str) -> io::Result<()>,
) -> Result<(), DeployError> {
    let lines = lines.map_or_else(String::new, |lines| lines.to_string());
    let script = format!("LINES={lines} FOLLOW={}\n{SCRIPT}", if follow { "1" } else { "" });
    let mut has_log = None;
    ssh.follow(&script, follow, &mut |line| {
        if has_log.is_some() {
            return sink(&String::from_utf8_lossy(line));
        }
        has_log = Some(line == b"log\n");
        Ok(())
    })?;
    match has_log {
        Some(true) => Ok(()),
        Some(false) | None => Err(DeployError::NoLog { host: ssh.host().to_owned() }),
    }
}
