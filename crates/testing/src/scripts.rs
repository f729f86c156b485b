//! What is in `tests/` of a system directory.
//!
//! ```text
//! tests/10-web.sh                 a test: *.sh, or a file that may be executed
//! tests/data.1.sh  data.2.sh      one test in parts, with a reboot of the machine before each but the first
//! tests/lib/, tests/page.html     for the tests: all of tests/ is in their working directory
//! ```
//!
//! The directory reaches the machine as one archive; hidden files (`.x`) and editors' copies (`x~`) stay here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::input;
use hoopy_base::shell::quoted;
use hoopy_cpio::{Header, WriteError, Writer, file_type};

/// Most that `tests/` may hold: it is typed into a shell, some MiB a second.
const MAX_TOTAL: u64 = 8 << 20;

/// Deeper directories than this are a mistake.
const MAX_DEPTH: usize = 16;

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The file's name without `.sh`, and without the number of the part.
    pub name: String,
    /// The files, in the order of the parts.
    pub parts: Vec<Part>,
}

/// One program of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file's name in `tests/`.
    pub file: String,
    /// Whether it names its interpreter, or is a program itself; else `sh` runs it.
    pub runs_itself: bool,
}

/// The tests of a system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// By name.
    pub tests: Vec<Test>,
}

/// What is wrong with `tests/`.
#[derive(Debug, thiserror::Error)]
pub enum ScriptsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name that cannot be shown and typed.
    #[error("{}: expected the name of a test to be printable UTF-8", .0.display())]
    Name(PathBuf),
    /// Parts of a test are missing.
    #[error("{}: test {name}: expected the parts 1, 2 and so on ({name}.1.sh, {name}.2.sh), found {found}", .dir.display())]
    Parts {
        /// `tests/`.
        dir: PathBuf,
        /// The test.
        name: String,
        /// Their numbers.
        found: String,
    },
    /// Two tests of one name.
    #[error("{}: two tests are called {name}: rename one", .dir.display())]
    Twice {
        /// `tests/`.
        dir: PathBuf,
        /// The name.
        name: String,
    },
    /// More than is sent.
    #[error("{}: more than {} MiB, or deeper than {MAX_DEPTH} directories: tests get what they need from the image", .0.display(), MAX_TOTAL >> 20)]
    TooMuch(PathBuf),
    /// An entry that no archive can hold.
    #[error("cannot pack {}: {source}", .path.display())]
    Pack {
        /// Which.
        path: PathBuf,
        /// Why.
        source: WriteError,
    },
}

impl Directory {
    /// Finds the tests in `dir`; none where it is not there.
    ///
    /// # Errors
    /// [`ScriptsError`].
    pub fn read(dir: &Path) -> Result<Self, ScriptsError> {
        let mut found: BTreeMap<String, Vec<(Option<u32>, Part)>> = BTreeMap::new();
        for path in listed(dir)? {
            let meta = fs::metadata(&path).map_err(failed(&path))?;
            let shell = path.extension().is_some_and(|e| e == "sh");
            if !meta.is_file() || !(shell || meta.permissions().mode() & 0o111 != 0) {
                continue;
            }
            let file = path.file_name().and_then(|n| n.to_str()).filter(|n| !n.contains(char::is_control));
            let file = file.ok_or_else(|| ScriptsError::Name(path.clone()))?.to_owned();
            let (name, number) = named(&file);
            let part = Part { runs_itself: runs_itself(&path)?, file };
            found.entry(name).or_default().push((number, part));
        }
        let tests =
            found.into_iter().map(|(name, parts)| test(dir, name, parts)).collect::<Result<_, _>>()?;
        Ok(Self { tests })
    }

    /// Those with one of these texts in their name; all, where none is given.
    pub fn only(self, wanted: &[String]) -> Self {
        let named = |test: &Test| wanted.is_empty() || wanted.iter().any(|w| test.name.contains(w.as_str()));
        Self { tests: self.tests.into_iter().filter(named).collect() }
    }

    /// What is said to the machine's shell so that it has all that is in `dir`.
    ///
    /// # Errors
    /// [`ScriptsError`].
    pub(super) fn put(&self, dir: &Path) -> Result<impl FnOnce(&str) -> String + use<>, ScriptsError> {
        let programs = self.tests.iter().flat_map(|t| &t.parts).filter(|p| p.runs_itself);
        let programs: Vec<String> = programs.map(|p| p.file.clone()).collect();
        let mut pack = Pack { archive: Writer::new(Vec::new()), top: dir, programs: &programs, total: 0 };
        pack.directory(dir, 0)?;
        let packed =
            pack.archive.finish().map_err(|source| ScriptsError::Pack { path: dir.to_owned(), source });
        let text = data_encoding::BASE64.encode(&packed?);
        let lines: Vec<&str> =
            (0..text.len()).step_by(LINE).filter_map(|at| text.get(at..text.len().min(at + LINE))).collect();
        let text = lines.join("\n");
        Ok(move |mark: &str| format!("put {mark} <<'END'\n{text}\nEND\n"))
    }
}

/// Characters a line of base64 (RFC 2045, section 6.8).
const LINE: usize = 76;

impl Part {
    /// As words of a shell.
    pub(super) fn command(&self) -> String {
        let file = quoted(&format!("./{}", self.file));
        if self.runs_itself { file } else { format!("sh {file}") }
    }
}

/// The name of a test, and which part of it the file is.
fn named(file: &str) -> (String, Option<u32>) {
    let Some(stem) = file.strip_suffix(".sh") else { return (file.to_owned(), None) };
    let part = stem.rsplit_once('.').and_then(|(name, number)| Some((name, number.parse().ok()?)));
    match part {
        Some((name, number)) if !name.is_empty() => (name.to_owned(), Some(number)),
        _ => (stem.to_owned(), None),
    }
}

fn test(dir: &Path, name: String, mut parts: Vec<(Option<u32>, Part)>) -> Result<Test, ScriptsError> {
    parts.sort_by_key(|(number, _)| *number);
    let numbers: Vec<u32> = parts.iter().filter_map(|(number, _)| *number).collect();
    if numbers.is_empty() && parts.len() == 1 {
        return Ok(Test { name, parts: parts.into_iter().map(|(_, part)| part).collect() });
    }
    let dir = dir.to_owned();
    if numbers.len() < parts.len() {
        return Err(ScriptsError::Twice { dir, name });
    }
    if numbers.len() < 2 || !numbers.iter().copied().eq(1..=numbers.len() as u32) {
        let found = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        return Err(ScriptsError::Parts { dir, name, found });
    }
    Ok(Test { name, parts: parts.into_iter().map(|(_, part)| part).collect() })
}

/// What is in a directory, by name.
fn listed(dir: &Path) -> Result<Vec<PathBuf>, ScriptsError> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed(dir))?,
    };
    let entries = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(failed(dir))?;
    let shown = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        !name.starts_with(b".") && !name.ends_with(b"~")
    };
    let mut entries: Vec<PathBuf> = entries.into_iter().filter(shown).collect();
    entries.sort();
    Ok(entries)
}

fn runs_itself(path: &Path) -> Result<bool, ScriptsError> {
    let mut start = Vec::new();
    let file = input::open(path).map_err(failed(path))?;
    file.take(4).read_to_end(&mut start).map_err(failed(path))?;
    Ok(start.starts_with(b"#!") || start == b"\x7fELF")
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ScriptsError {
    let path = path.to_owned();
    move |source| ScriptsError::Io { path, source }
}

struct Pack<'a> {
    archive: Writer<Vec<u8>>,
    top: &'a Path,
    programs: &'a [String],
    total: u64,
}

impl Pack<'_> {
    fn directory(&mut self, dir: &Path, depth: usize) -> Result<(), ScriptsError> {
        if depth > MAX_DEPTH {
            return Err(ScriptsError::TooMuch(self.top.to_owned()));
        }
        for path in listed(dir)? {
            let meta = fs::symlink_metadata(&path).map_err(failed(&path))?;
            let content = if meta.is_symlink() {
                fs::read_link(&path).map_err(failed(&path))?.into_os_string().into_encoded_bytes()
            } else if meta.is_file() {
                self.total += meta.len();
                if self.total > MAX_TOTAL {
                    return Err(ScriptsError::TooMuch(self.top.to_owned()));
                }
                input::read_up_to(&path, MAX_TOTAL).map_err(failed(&path))?
            } else if meta.is_dir() {
                Vec::new()
            } else {
                continue;
            };
            self.entry(&path, meta.permissions().mode(), &content)
                .map_err(|source| ScriptsError::Pack { path: path.clone(), source })?;
            if meta.is_dir() {
                self.directory(&path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<(), WriteError> {
        let inside = path.strip_prefix(self.top).unwrap_or(path);
        let program = self.programs.iter().any(|p| Path::new(p) == inside);
        let mode = if program && mode & file_type::MASK == file_type::FILE { mode | 0o111 } else { mode };
        let nlink = if mode & file_type::MASK == file_type::DIR { 2 } else { 1 };
        let header = Header { name: inside.as_os_str().as_bytes(), mode, nlink, ..Header::default() };
        self.archive.entry(&header, content.len() as u64)?;
        self.archive.write_all(content)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "scripts/tests.rs"]
mod tests;
