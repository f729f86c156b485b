//! What a machine says of its files.

use std::collections::BTreeMap;

use hoopy_base::shell::quoted;
use hoopy_store::layer::EntryPath;

use super::{DriftError, RunRemote};
use crate::diff::Entry;
use crate::image::root::FileType;

/// The question.
const LIST: &str = include_str!("list.sh");

/// A line and a digest of each of [`MAX_FILES`], whose paths have 50 bytes.
const MAX_ANSWER: u64 = 48 << 20;

/// A desktop with all of KDE has this many; the root filesystem lies in memory.
const MAX_FILES: usize = 250_000;

/// All contents together, which are held in memory; what comes after so much is not fetched.
const MAX_CONTENTS: u64 = 256 << 20;

/// Containers and bind mounts bring hundreds.
const MAX_MOUNTS: usize = 10_000;

/// The files of a machine's root filesystem.
#[derive(Debug, Default)]
pub struct Listing {
    /// The image that it says it runs: `nas-2026112101`.
    pub image: Option<String>,
    /// Where something is mounted: that is no part of the root filesystem.
    pub mounts: Vec<Vec<u8>>,
    /// By path. Contents are empty until [`contents`] fetches them.
    pub files: BTreeMap<Vec<u8>, (Entry, Vec<u8>)>,
}

/// Asks the machine `host` for its files.
///
/// # Errors
/// [`DriftError`] when it cannot be asked, or answers something else.
pub fn list(host: &str, run: &mut RunRemote<'_>) -> Result<Listing, DriftError> {
    let answer = run(LIST, MAX_ANSWER).map_err(|source| DriftError::Ask { host: host.to_owned(), source })?;
    match parse(&answer) {
        Ok(listing) if !listing.files.is_empty() => Ok(listing),
        Err(Unreadable::TooMuch(what)) => Err(DriftError::TooMuch { host: host.to_owned(), what }),
        _ if answer.len() as u64 >= MAX_ANSWER => {
            Err(DriftError::TooMuch { host: host.to_owned(), what: "48 MiB of names" })
        }
        _ => Err(unexpected(host, &answer)),
    }
}

fn unexpected(host: &str, answer: &[u8]) -> DriftError {
    let end = answer.get(answer.len().saturating_sub(200)..).unwrap_or_default();
    DriftError::Answer { host: host.to_owned(), found: end.escape_ascii().to_string() }
}

/// Why an answer is no listing.
#[derive(Debug)]
enum Unreadable {
    /// It has no end.
    NoEnd,
    /// There is more of this than any machine has.
    TooMuch(&'static str),
}

fn parse(answer: &[u8]) -> Result<Listing, Unreadable> {
    let mut listing = Listing::default();
    for line in answer.split(|&byte| byte == b'\n') {
        let (word, rest) = cut(line);
        match word {
            b"done" => return Ok(listing),
            b"image" => listing.image = Some(String::from_utf8_lossy(rest).trim().to_owned()),
            b"mount" => listing.mounts.extend(rest.strip_prefix(b"/").map(<[u8]>::to_vec)),
            b"node" => listing.take(rest, false),
            b"link" => listing.take(rest, true),
            b"hash" => listing.hash(rest),
            _ => {}
        }
        if listing.files.len() > MAX_FILES {
            return Err(Unreadable::TooMuch("250,000 files"));
        }
        if listing.mounts.len() > MAX_MOUNTS {
            return Err(Unreadable::TooMuch("10,000 mounts"));
        }
    }
    Err(Unreadable::NoEnd)
}

impl Listing {
    /// A line without its word; one that is not understood is no file.
    fn take(&mut self, line: &[u8], is_link: bool) {
        let (mode, line) = cut(line);
        let (uid, line) = cut(line);
        let (gid, line) = cut(line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Ok(mode) = u32::from_str_radix(&text(mode), 16) else { return };
        let Some(owner) = text(uid).parse().ok().zip(text(gid).parse().ok()) else { return };
        let (size, path, target) = if is_link {
            let Some((path, target)) = arrow(line) else { return };
            (0, path, Some(text(target)))
        } else {
            let (size, path) = cut(line);
            (text(size).parse().unwrap_or(0), path, None)
        };
        let Ok(path) = EntryPath::new(path) else { return };
        let Some(kind) = FileType::of_mode(mode) else { return };
        let size = if kind == FileType::File { size } else { 0 };
        let entry = Entry {
            kind,
            mode: mode & 0o7777,
            owner: Some(owner),
            size,
            text: target,
            digest: None,
            place: None,
        };
        self.files.insert(path.as_bytes().to_vec(), (entry, Vec::new()));
    }

    fn hash(&mut self, line: &[u8]) {
        let (digest, path) = cut(line);
        let path = path.trim_ascii_start().strip_prefix(b"/").unwrap_or_default();
        if let Some((entry, _)) = self.files.get_mut(path) {
            entry.digest = String::from_utf8_lossy(digest).parse().ok();
        }
    }
}

/// A word, and what follows the space behind it.
fn cut(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default())
}

/// `'PATH' -> 'TARGET'`, as stat(1) writes a link.
fn arrow(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = line.strip_prefix(b"'")?.strip_suffix(b"'")?;
    let at = inner.windows(6).position(|window| window == b"' -> '")?;
    Some((inner.get(..at)?, inner.get(at + 6..)?))
}

/// Fetches the contents of these files, of `most` bytes at most each.
///
/// # Errors
/// [`DriftError`] when the machine cannot be asked, or a file changes while it is read.
pub fn contents(
    host: &str,
    run: &mut RunRemote<'_>,
    paths: &[Vec<u8>],
    most: u64,
    listing: &mut Listing,
) -> Result<(), DriftError> {
    let mut script = format!(
        "get() {{ s=$(stat -c %s \"/$1\") && [ \"$s\" -le {most} ] && echo \"file $s $1\" && head -c \"$s\" \"/$1\" && echo; }}\n"
    );
    let mut limit = 4096;
    for path in paths {
        let Ok(text) = std::str::from_utf8(path) else { continue };
        let Some((entry, _)) = listing.files.get(path) else { continue };
        if entry.kind == FileType::File && entry.size <= most && limit < MAX_CONTENTS {
            script += &format!("get {}\n", quoted(text));
            // It may have grown meanwhile.
            limit += most.min(entry.size.saturating_mul(2) + 65_536) + path.len() as u64 + 64;
        }
    }
    script += "echo 'done'\n";
    let answer = run(&script, limit).map_err(|source| DriftError::Ask { host: host.to_owned(), source })?;
    let mut rest = answer.as_slice();
    loop {
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| unexpected(host, &answer))?;
        let (line, after) = rest.split_at(end);
        let after = after.get(1..).unwrap_or_default();
        if line == b"done" {
            return Ok(());
        }
        let (word, told) = cut(line);
        let (size, path) = cut(told);
        let size = String::from_utf8_lossy(size).parse::<usize>().ok().filter(|_| word == b"file");
        let content = size.and_then(|size| after.get(..size)).ok_or_else(|| unexpected(host, &answer))?;
        if let Some((entry, bytes)) = listing.files.get_mut(path) {
            *bytes = content.to_vec();
            (entry.size, entry.digest) =
                (content.len() as u64, Some(hoopy_base::digest::ContentId::of(content)));
        }
        rest = after.get(content.len() + 1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_a_machine_says_is_read_and_nonsense_is_no_file() {
        let digest = "0".repeat(64);
        let text = format!(
            "motd of a login\nimage nas-1\nmount /\nmount /media/usb\nnode 41ed 0 0 40 /\nnode 41ed 0 0 40 /etc\nnode 81a4 0 5 3 /etc/a b\nlink a1ff 0 0 \
             '/etc/l' -> 'a b'\nnode zz 0 0 1 /bad\nnode 81a4 0 0 1 /../up\nhash {digest}  /etc/a b\nhash {digest}  /none\ndone\n"
        );
        let listing = parse(text.as_bytes()).unwrap();
        assert_eq!(listing.image.as_deref(), Some("nas-1"));
        assert_eq!(listing.mounts, [&b""[..], b"media/usb"]);
        let paths: Vec<_> =
            listing.files.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
        assert_eq!(paths, ["etc", "etc/a b", "etc/l"]);
        let (file, _) = &listing.files[&b"etc/a b"[..]];
        assert_eq!((file.mode, file.owner, file.size, file.digest.is_some()), (0o644, Some((0, 5)), 3, true));
        assert_eq!(listing.files[&b"etc/l"[..]].0.text.as_deref(), Some("a b"));
        assert!(matches!(parse(b"node 41ed 0 0 40 /etc\n"), Err(Unreadable::NoEnd)));
    }

    #[test]
    fn a_flood_is_not_kept() {
        let flood = |line: &dyn Fn(usize) -> String| (0..300_000).map(line).collect::<String>() + "done\n";
        let files = flood(&|n| format!("node 81a4 0 0 1 /{n}\n"));
        assert!(matches!(parse(files.as_bytes()), Err(Unreadable::TooMuch("250,000 files"))));
        let mounts = flood(&|n| format!("mount /{n}\n"));
        assert!(matches!(parse(mounts.as_bytes()), Err(Unreadable::TooMuch("10,000 mounts"))));
    }
}
