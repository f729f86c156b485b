//! Writing all files of a system, or none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{File, InitError};

/// Writes all of them, or none.
pub(super) fn write(dir: &Path, files: &[File]) -> Result<(), InitError> {
    let paths = || files.iter().map(|(path, ..)| dir.join(path));
    if let Some(there) = paths().find(|path| path.symlink_metadata().is_ok()) {
        return Err(InitError::Exists(there));
    }
    let mut made = Made::default();
    for (path, (_, mode, text)) in paths().zip(files) {
        made.file(&path, *mode, text).map_err(|source| InitError::Io { path, source })?;
    }
    made.keep();
    Ok(())
}

/// What was made so far, and is taken back unless it is kept.
#[derive(Default)]
struct Made {
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    fn file(&mut self, path: &Path, mode: u32, text: &str) -> io::Result<()> {
        self.parents(path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        self.files.push(path.to_owned());
        file.write_all(text.as_bytes())
    }

    fn parents(&mut self, path: &Path) -> io::Result<()> {
        let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
        let mut missing: Vec<&Path> = path.ancestors().skip(1).take_while(missing).collect();
        missing.reverse();
        for dir in missing {
            fs::create_dir(dir)?;
            self.dirs.push(dir.to_owned());
        }
        Ok(())
    }

    fn keep(mut self) {
        self.files.clear();
        self.dirs.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The error that led here is the one to tell; a directory that somebody put something into stays.
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        for dir in self.dirs.iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
}
