//! Where below `root/` a file of a bare name belongs: `ssh_host_ed25519_key` in the `.gitignore` above it is any file of that
//! name, and most bare names there (`target`, `TODO`) mean none of the machine's. So one is looked for:
//!
//! - files of the name that are there;
//! - its public half, `NAME.pub`, in the same directory;
//! - its whole path, `/etc/ssl/NAME`, in a text of `root/` or in `setup.sh`, below `/etc` or in a directory that `root/` has;
//! - host keys of OpenSSH and dropbear, which have one place, where `root/` has that directory.
//!
//! Where nothing says so, nothing is named: that would be a guess.

use std::fs;
use std::path::{Path, PathBuf};

use hoopy_base::input::{Kind, read};
use hoopy_store::layer::files::MAX_DEPTH;

/// Configuration is smaller; larger files are programs and data.
const MAX_TEXT: u64 = 64 << 10;

/// Where servers look for their keys: how a key's name begins and ends, and the directory.
const HOST_KEYS: [(&str, &str, &str); 2] =
    [("ssh_host_", "_key", "etc/ssh"), ("dropbear_", "_host_key", "etc/dropbear")];

/// What is known of `root/`, read when it is first asked for.
pub(super) struct Places<'a> {
    dir: &'a Path,
    found: Option<Found>,
}

#[derive(Default)]
struct Found {
    /// Files, from the system directory.
    files: Vec<PathBuf>,
    dirs: Vec<PathBuf>,
    texts: Vec<Vec<u8>>,
}

impl<'a> Places<'a> {
    /// Those of the system directory `dir`.
    pub(super) fn new(dir: &'a Path) -> Self {
        Self { dir, found: None }
    }

    /// Where files called `name` belong, from the system directory.
    pub(super) fn of(&mut self, name: &str) -> Vec<PathBuf> {
        let found = self.found.get_or_insert_with(|| Found::of(self.dir));
        let public = format!("{name}.pub");
        let mut places = Vec::new();
        for file in &found.files {
            let is = |name: &str| file.file_name() == Some(name.as_ref());
            if is(name) || is(&public) {
                places.push(file.with_file_name(name));
            }
        }
        for text in &found.texts {
            // What the machine keeps elsewhere it makes itself.
            let is_configured = |path: &PathBuf| {
                path.starts_with("root/etc")
                    || path.parent().is_some_and(|dir| found.dirs.iter().any(|d| d == dir))
            };
            places.extend(mentioned(text, name).into_iter().filter(is_configured));
        }
        for (begin, end, at) in HOST_KEYS {
            let at = Path::new("root").join(at);
            if name.starts_with(begin) && name.ends_with(end) && found.dirs.contains(&at) {
                places.push(at.join(name));
            }
        }
        places.sort();
        places.dedup();
        places
    }
}

impl Found {
    fn of(dir: &Path) -> Self {
        let mut found = Self::default();
        found.below(dir, Path::new("root"), 0);
        found.text(&dir.join("setup.sh"));
        found
    }

    fn below(&mut self, top: &Path, dir: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(top.join(dir)) else { return };
        if depth > MAX_DEPTH {
            return;
        }
        for entry in entries.flatten() {
            let path = dir.join(entry.file_name());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                self.below(top, &path, depth + 1);
                self.dirs.push(path);
            } else {
                self.text(&top.join(&path));
                self.files.push(path);
            }
        }
    }

    fn text(&mut self, path: &Path) {
        let is_small = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_TEXT);
        let text = if is_small { read(path, Kind::Text).unwrap_or_default() } else { Vec::new() };
        if !text.is_empty() && !text.contains(&0) {
            self.texts.push(text);
        }
    }
}

/// Paths that end in `name`, in a text: `/etc/ssl/NAME`, and nothing that goes on before or behind it.
fn mentioned(text: &[u8], name: &str) -> Vec<PathBuf> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-+@/".contains(&byte);
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    for (at, _) in text.match_indices(&format!("/{name}")) {
        let (before, behind) = (text.get(..at).unwrap_or_default(), text.get(at + 1 + name.len()..));
        if behind.unwrap_or_default().bytes().next().is_some_and(is_part) {
            continue;
        }
        let begin = before.bytes().rposition(|byte| !is_part(byte)).map_or(0, |last| last + 1);
        let Some(parent) = before.get(begin..).filter(|parent| parent.starts_with('/')) else { continue };
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if parent.trim_start_matches('/').split('/').all(is_plain) {
            found.push(Path::new("root").join(parent.trim_start_matches('/')).join(name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_has_the_whole_path_says_where_it_belongs() {
        let found = |text: &str| mentioned(text.as_bytes(), "frood.key");
        assert_eq!(found("key = \"/etc/ssl/frood.key\"\n"), [Path::new("root/etc/ssl/frood.key")]);
        assert_eq!(found("cat /etc/ssl/frood.key; x"), [Path::new("root/etc/ssl/frood.key")]);
        for other in [
            "frood.key",
            "etc/frood.key",
            "/frood.key",
            "/etc/frood.keys",
            "/etc/frood.key/x",
            "/etc/../frood.key",
            "$DIR/frood.key",
        ] {
            assert!(found(other).is_empty(), "{other}");
        }
    }
}
