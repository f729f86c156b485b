//! `state`: directories that outlive a boot, one absolute path per line, `#` comments. A word may follow:
//!
//! | word | meaning |
//! |---|---|
//! | `optional` | the machine is healthy without it |
//! | `forget` | it is lost at each boot, on purpose: `check` does not warn about it |

use std::path::{Path, PathBuf};

use hoopy_boot::state::stored_name;
use hoopy_store::layer::{EntryPath, overlap};

/// The word after a directory that the machine is healthy without.
const OPTIONAL: &str = "optional";

/// The word after a directory that is not kept.
const FORGET: &str = "forget";

/// The longest name of a file (`NAME_MAX`): each directory is kept under one name.
const MAX_NAME: usize = 255;

/// Directories of the machine itself: the kernel's, and those that each boot makes anew.
const NEVER: [&str; 8] = ["proc", "sys", "dev", "run", "tmp", "boot", "usr", "lib"];

/// A directory that outlives a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLine {
    /// The directory.
    pub path: EntryPath,
    /// Whether the machine is healthy without it.
    pub optional: bool,
    /// The line of `state`, from 1.
    pub line: usize,
}

/// A line of `state` that does not name a directory to keep.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {message}", .file.display())]
pub struct BadState {
    /// The file.
    pub file: PathBuf,
    /// Its line.
    pub line: usize,
    /// What was expected and what was found.
    pub message: String,
}

/// The file `state`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateFile {
    /// What is kept.
    pub lines: Vec<StateLine>,
    /// Directories that are lost at each boot, on purpose.
    pub forgotten: Vec<EntryPath>,
}

/// Reads the text of `state`; `file` is for messages.
///
/// # Errors
/// [`BadState`] for the first line that is not valid.
pub fn parse(file: &Path, text: &str) -> Result<StateFile, BadState> {
    let (mut found, mut forgotten) = (Vec::<StateLine>::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()) {
        let bad = |message: String| BadState { file: file.to_owned(), line, message };
        let new = match parse_line(line, text).map_err(bad)? {
            None => continue,
            Some(Line::Forget(path)) => {
                forgotten.push(path);
                continue;
            }
            Some(Line::Keep(new)) => new,
        };
        if let Some(other) = found.iter().find(|other| overlap(other.path.as_bytes(), new.path.as_bytes())) {
            let message = format!(
                "expected a directory of its own, found /{}, which overlaps /{} of line {}",
                new.path, other.path, other.line
            );
            return Err(bad(message));
        }
        found.push(new);
    }
    Ok(StateFile { lines: found, forgotten })
}

enum Line {
    Keep(StateLine),
    Forget(EntryPath),
}

fn parse_line(line: usize, text: &str) -> Result<Option<Line>, String> {
    let text = text.split('#').next().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (path, rest) = match text.rsplit_once(char::is_whitespace) {
        Some((path, word)) if matches!(word, OPTIONAL | FORGET) => (path.trim_end(), Some(word)),
        _ => (text, None),
    };
    if !path.starts_with('/') || path.contains(char::is_whitespace) {
        return Err(format!(
            "expected an absolute directory, such as /var/lib/tailscale, and perhaps `optional` or `forget`, found {text:?}"
        ));
    }
    let path = EntryPath::new(path).map_err(|_| format!("expected an absolute directory, found {path:?}"))?;
    if rest == Some(FORGET) {
        return Ok(Some(Line::Forget(path)));
    }
    let top = path.as_bytes().split(|&byte| byte == b'/').next().unwrap_or_default();
    if NEVER.iter().any(|never| never.as_bytes() == top)
        || path.as_bytes() == b"etc"
        || path.as_bytes() == b"var"
    {
        return Err(format!(
            "expected a directory of one service, as /var/lib/tailscale, found /{path}, which each boot or each image makes anew"
        ));
    }
    let name = stored_name(&path.to_string());
    if name.len() > MAX_NAME {
        return Err(format!(
            "expected at most {MAX_NAME} bytes, with two more for each `-`, found {}",
            name.len()
        ));
    }
    Ok(Some(Line::Keep(StateLine { path, optional: rest.is_some(), line })))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StateFile, String> {
        parse(Path::new("state"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn directories_comments_and_optional_are_read() {
        let lines = read("# what lasts\n/var/lib/tailscale/\n\n/var/lib/app optional # nice to have\n/var/lib/chrony forget\n").unwrap();
        let seen: Vec<_> = lines.lines.iter().map(|l| (l.path.to_string(), l.optional, l.line)).collect();
        assert_eq!(seen, [("var/lib/tailscale".to_owned(), false, 2), ("var/lib/app".to_owned(), true, 4)]);
        assert_eq!(lines.forgotten, [EntryPath::new("var/lib/chrony").unwrap()]);
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_its_line() {
        for (text, found) in [
            ("var/lib/a", "state:1: expected an absolute directory"),
            ("\n/var/lib/a sometimes", "state:2: expected an absolute directory"),
            ("/run/app", "each boot"),
            ("/etc", "each boot"),
            ("/var/lib/../../etc", "state:1: expected an absolute directory"),
            ("/var/lib/a\n/var/lib/a/b", "state:2: expected a directory of its own"),
            ("/var/lib/a\n/var/lib/a", "overlaps /var/lib/a of line 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(found), "{text:?}: {error}");
        }
        assert!(read("/var/lib/a\n/var/lib/ab").is_ok());
    }
}
