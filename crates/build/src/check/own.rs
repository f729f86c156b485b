//! The user's own files: `root/`, what `setup.sh` changed, `programs`; and those beside `root/`.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::input;
use hoopy_store::Store;
use hoopy_store::layer::files::MAX_DEPTH;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use hoopy_store::tree::At;

use super::CheckError;
use super::finding::{Finding, Severity};
use crate::config::System;
use crate::stack::{Origin, Stack};
use crate::working_tree::WorkingTree;

/// As much of a file as a lint reads: scripts and tables of a machine are smaller, and what is wrong with a larger
/// one shows in its beginning.
const MAX_TEXT: u64 = 64 << 10;

/// As much of a file that is no text: enough for its magic.
const MAX_BINARY: usize = 256;

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// `root/`.
    Root,
    /// `programs` of `hoopy.toml`.
    Programs,
    /// `setup.sh`.
    Setup,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A regular file; another name of one counts as one with nothing in it.
    File,
    /// A symbolic link.
    Link(Vec<u8>),
    /// Anything else.
    Other,
}

/// A file that the user answers for.
#[derive(Debug)]
pub struct Own {
    /// Its path in the image.
    pub path: EntryPath,
    /// Where it comes from.
    pub from: From,
    /// What it is.
    pub what: What,
    /// Its permission bits in the image.
    pub mode: u32,
    /// Its beginning.
    pub text: Vec<u8>,
}

impl Own {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.what == What::File
    }

    /// A finding in it.
    pub fn finding(&self, severity: Severity, line: Option<usize>, message: &str, fix: String) -> Finding {
        let (file, message) = match self.from {
            From::Root => (Path::new("root").join(self.path.as_path()), message.to_owned()),
            From::Programs => (PathBuf::from("hoopy.toml"), format!("/{}: {message}", self.path)),
            From::Setup => (PathBuf::from("setup.sh"), format!("/{}: {message}", self.path)),
        };
        let line = line.filter(|_| self.from == From::Root);
        Finding { severity, file, line, message, fix }
    }

    /// What a fix calls it: the file to edit, or the path that `setup.sh` makes.
    pub fn shown(&self) -> String {
        if self.from == From::Root { format!("root/{}", self.path) } else { format!("/{}", self.path) }
    }
}

/// A file of the system directory that is not part of the image.
#[derive(Debug)]
pub struct TextFile {
    /// Its name.
    pub name: &'static str,
    /// Its beginning.
    pub text: Vec<u8>,
}

/// `packages` and `setup.sh`, those that are there.
pub fn text_files(system: &System) -> Result<Vec<TextFile>, CheckError> {
    let mut found = Vec::new();
    for name in ["packages", "setup.sh"] {
        let path = system.path(name);
        match input::open(&path) {
            Ok(mut file) => {
                let text = beginning(&mut file).map_err(|source| CheckError::Io { path, source })?;
                found.push(TextFile { name, text });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(CheckError::Io { path, source }),
        }
    }
    Ok(found)
}

/// The files of `root/` as they are in the directory, with the modes that `hoopy.toml` gives them.
pub fn in_directory(system: &System) -> Result<Vec<Own>, CheckError> {
    let root = system.path("root");
    let mut own = Vec::new();
    if root.is_dir() {
        walk(&root, &[], 0, &mut own)?;
    }
    let tree = WorkingTree::ask(&system.dir).answer();
    for file in &mut own {
        file.mode = system.modes.get(&file.path).copied().unwrap_or(tree.mode(&file.path, file.mode));
    }
    Ok(own)
}

fn walk(dir: &Path, inside: &[u8], depth: usize, own: &mut Vec<Own>) -> Result<(), CheckError> {
    let io = |source| CheckError::Io { path: dir.to_owned(), source };
    if depth > MAX_DEPTH {
        return Err(io(io::Error::other(format!("more than {MAX_DEPTH} directories deep"))));
    }
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let io = |source| CheckError::Io { path: path.clone(), source };
        let name = path.file_name().unwrap_or_default().as_bytes();
        let bytes = if inside.is_empty() { name.to_vec() } else { [inside, b"/", name].concat() };
        let meta = fs::symlink_metadata(&path).map_err(io)?;
        if meta.is_dir() {
            walk(&path, &bytes, depth + 1, own)?;
            continue;
        }
        // The build says what is wrong with a name that an image cannot hold.
        let Ok(target) = EntryPath::new(bytes) else { continue };
        let (what, text) = if meta.is_symlink() {
            let link = fs::read_link(&path).map_err(io)?;
            (What::Link(link.as_os_str().as_bytes().to_vec()), Vec::new())
        } else if meta.is_file() {
            (What::File, beginning(&mut input::open(&path).map_err(io)?).map_err(io)?)
        } else {
            (What::Other, Vec::new())
        };
        let mode = meta.permissions().mode() & 0o7777;
        own.push(Own { path: target, from: From::Root, what, mode, text });
    }
    Ok(())
}

/// The files of `root/`, `programs` and `setup.sh` that show in the image.
pub fn in_stack(stack: &Stack, store: &Store) -> Result<Vec<Own>, CheckError> {
    let mut own = Vec::new();
    for (index, (layer, origin)) in stack.iter().enumerate() {
        let from = match origin {
            Origin::Files => From::Root,
            Origin::Programs => From::Programs,
            Origin::Setup => From::Setup,
            _ => continue,
        };
        let mut number = 0;
        layer.stream(store, &mut |entry, content| {
            let at = At { layer: index, entry: number };
            number += 1;
            if stack.tree.at(&entry.path) == Some(at) && !entry.is_dir() {
                own.push(of_entry(entry, from, content)?);
            }
            Ok(())
        })?;
    }
    Ok(own)
}

fn of_entry(entry: &Entry, from: From, content: &mut dyn Read) -> io::Result<Own> {
    let (what, text) = match &entry.kind {
        Kind::File { .. } => (What::File, beginning(content)?),
        Kind::Hardlink(_) => (What::File, Vec::new()),
        Kind::Symlink(target) => (What::Link(target.clone()), Vec::new()),
        _ => (What::Other, Vec::new()),
    };
    Ok(Own { path: entry.path.clone(), from, what, mode: entry.mode, text })
}

fn beginning(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.take(MAX_BINARY as u64).read_to_end(&mut text)?;
    if !text.contains(&0) {
        from.take(MAX_TEXT).read_to_end(&mut text)?;
    }
    Ok(text)
}
