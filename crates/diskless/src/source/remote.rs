//! A running machine: what lbu would save of it, and what it would not.
//!
//! The machine needs what every Alpine has: apk and BusyBox. It writes nothing. One script prints lines about the machine,
//! an empty line, and then a gzipped archive of: what `apk audit --backup` lists, which is what lbu saves; `/root`,
//! `/usr/local` and `/opt`; and apk's database, by which files of packages are known.

use std::io;

use super::archive::{self, ArchiveError, MAX_FILE};
use super::medium::own_arguments;
use crate::overlay::{Hints, Overlay};

/// Runs a script with `sh` on the machine; gives what it printed, of which so many bytes are read at most.
pub type RunRemote<'a> = dyn FnMut(&str, u64) -> io::Result<Vec<u8>> + 'a;

/// Ends the lines about the machine.
const END: &[u8] = b"\n\n";

const SCRIPT: &str = include_str!("remote.sh");

/// A machine that was asked, and did not answer as expected.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It could not be asked.
    #[error(transparent)]
    Ask(#[from] io::Error),
    /// It is no Alpine Linux.
    #[error("expected Alpine Linux with apk, found: {0}")]
    NotAlpine(String),
    /// Whoever was logged in cannot read all of it.
    #[error("expected to be logged in as root, found user {0}, who cannot read all files")]
    NotRoot(String),
    /// What it sent cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Asks the machine.
///
/// # Errors
/// [`RemoteError`].
pub fn read(run: &mut RunRemote<'_>) -> Result<Overlay, RemoteError> {
    let said = run(SCRIPT, MAX_FILE)?;
    let not_alpine = || {
        let start = said.get(..said.len().min(200)).unwrap_or_default();
        RemoteError::NotAlpine(String::from_utf8_lossy(start).trim().to_owned())
    };
    let end = said.windows(END.len()).position(|part| part == END).ok_or_else(not_alpine)?;
    let (lines, rest) = said.split_at(end);
    let lines = String::from_utf8_lossy(lines).into_owned();
    let field = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    if field("hoopy-import") != Some("1") {
        return Err(not_alpine());
    }
    if let Some(user) = field("user").filter(|user| *user != "0") {
        return Err(RemoteError::NotRoot(user.to_owned()));
    }
    let text = |name: &str| field(name).map(str::to_owned).filter(|text| !text.is_empty());
    let mut overlay = archive::read(rest.get(END.len()..).unwrap_or_default())?;
    overlay.hints = Hints {
        kernel: field("kernel").and_then(|k| k.rsplit_once('-')).map(|(_, flavor)| flavor.to_owned()),
        release: text("release"),
        cmdline: field("cmdline").map(own_arguments).filter(|args| !args.is_empty()),
        host: text("host"),
        ..Hints::default()
    };
    Ok(overlay)
}
