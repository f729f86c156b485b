//! The installed database, `lib/apk/db/installed`: the stanza of each package, then its directories (`F:`,
//! `M:` where not root's 0755) each with its files (`R:`, `a:` where not root's 0644, `Z:` the checksum)
//! (apk-tools `src/database.c`, `apk_db_write_fdb`).

use std::fmt::Write as _;

use crate::index::IndexError;
use crate::record::{Checksum, Record};
use crate::stanza::{LineError, StanzaReader, joined};

/// Owner and mode of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// What a directory has when the database does not say.
const DIR: Access = Access { uid: 0, gid: 0, mode: 0o755 };

/// What a file has when the database does not say.
const FILE: Access = Access { uid: 0, gid: 0, mode: 0o644 };

/// A directory of a package. Its files follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    /// Relative to the root; empty for the root itself.
    pub path: Vec<u8>,
    /// Owner and mode.
    pub access: Access,
    /// Its files, links and devices.
    pub files: Vec<File>,
}

/// A file, link or device of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in the directory.
    pub name: Vec<u8>,
    /// Owner and mode.
    pub access: Access,
    /// SHA-1 of its content, or of a link's target.
    pub checksum: Option<Checksum>,
}

/// A package of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// What its index says of it.
    pub record: Record,
    /// Its directories, in the order written.
    pub dirs: Vec<Dir>,
}

impl Installed {
    /// Appends its stanza and the blank line that ends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.record.stanza().as_bytes());
        let mut rest = String::new();
        // Writing to a String cannot fail.
        // A package without files replaces none, and apk does not say that it would.
        let has_files = !self.dirs.is_empty();
        if has_files && !self.record.replaces.is_empty() {
            let _ = writeln!(rest, "r:{}", joined(&self.record.replaces));
        }
        if has_files && self.record.replaces_priority != 0 {
            let _ = writeln!(rest, "q:{}", self.record.replaces_priority);
        }
        out.extend(rest.as_bytes());
        for dir in &self.dirs {
            line(out, 'F', &dir.path);
            access(out, 'M', dir.access, DIR);
            for file in &dir.files {
                line(out, 'R', &file.name);
                access(out, 'a', file.access, FILE);
                if let Some(checksum) = &file.checksum {
                    line(out, 'Z', checksum.to_string().as_bytes());
                }
            }
        }
        out.push(b'\n');
    }
}

fn line(out: &mut Vec<u8>, letter: char, value: &[u8]) {
    out.extend([letter as u8, b':']);
    out.extend(value);
    out.push(b'\n');
}

fn access(out: &mut Vec<u8>, letter: char, access: Access, usual: Access) {
    if access != usual {
        line(out, letter, format!("{}:{}:{:o}", access.uid, access.gid, access.mode).as_bytes());
    }
}

/// Reads the text of a database.
///
/// # Errors
/// [`IndexError::Line`].
pub fn parse(text: &str) -> Result<Vec<Installed>, IndexError> {
    let mut all = Vec::new();
    let mut draft = StanzaReader::default();
    let mut dirs: Vec<Dir> = Vec::new();
    for (line, content) in (1..).zip(text.lines().chain([""])) {
        let at = |source| IndexError::Line { line, source };
        if content.is_empty() {
            let dirs = std::mem::take(&mut dirs);
            all.extend(draft.end().map_err(at)?.map(|record| Installed { record, dirs }));
            continue;
        }
        match content.split_at_checked(2) {
            Some((letter @ ("F:" | "R:" | "M:" | "a:" | "Z:"), value)) => {
                file_line(letter, value, &mut dirs).map_err(at)?;
            }
            Some(("q:", value)) => draft.line(&format!("q:{value}")).map_err(at)?,
            _ => draft.line(content).map_err(at)?,
        }
    }
    Ok(all)
}

fn file_line(letter: &str, value: &str, dirs: &mut Vec<Dir>) -> Result<(), LineError> {
    let shape = || LineError::Shape(format!("{letter}{value}").chars().take(80).collect());
    if letter == "F:" {
        dirs.push(Dir { path: value.into(), access: DIR, files: Vec::new() });
        return Ok(());
    }
    let dir = dirs.last_mut().ok_or_else(shape)?;
    match letter {
        "R:" => dir.files.push(File { name: value.into(), access: FILE, checksum: None }),
        "M:" => dir.access = parse_access(value).ok_or_else(shape)?,
        "a:" => dir.files.last_mut().ok_or_else(shape)?.access = parse_access(value).ok_or_else(shape)?,
        _ => dir.files.last_mut().ok_or_else(shape)?.checksum = Some(value.parse()?),
    }
    Ok(())
}

fn parse_access(value: &str) -> Option<Access> {
    let mut fields = value.split(':');
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
    Some(Access { uid, gid, mode })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const TEXT: &str = "\
C:Q1VFqm8pEgmviZMrdh2eQiwneFlsw=
P:alpine-baselayout
V:3.7.2-r0
A:x86_64
S:8279
I:6552
T:Alpine base dir structure and init scripts
U:https://gitlab.alpinelinux.org/alpine/aports/-/tree/master/main/alpine-baselayout
L:GPL-2.0-only
o:alpine-baselayout
m:Natanael Copa <ncopa@alpinelinux.org>
t:1774422169
c:15b3b78187b3808104f98f765e9632e0b09281a7
D:alpine-baselayout-data=3.7.2-r0 /bin/sh
r:alpine-base
q:1000
F:etc
R:motd
Z:Q1SLkS9hBidUbPwwrw+XR0Whv3ww8=
F:etc/crontabs
M:0:0:700
R:root
a:0:0:600
Z:Q1vfk1apUWI4yLJGhhNRd0kJixfvY=

";

    #[test]
    fn a_database_survives_reading_and_writing() {
        let parsed = parse(TEXT).unwrap();
        let mut out = Vec::new();
        parsed.iter().for_each(|p| p.write(&mut out));
        assert_eq!(String::from_utf8(out).unwrap(), TEXT);
    }

    #[test]
    fn an_error_names_its_line() {
        let text = TEXT.replace("a:0:0:600", "a:0:x:600");
        assert!(parse(&text).unwrap_err().to_string().starts_with("line 23:"));
    }
}
