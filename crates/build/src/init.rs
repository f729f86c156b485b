//! `hoopy init`: a small system to start from, with a comment beside everything that one would want to change.
//!
//! The files are in `init/`, as they come out but for `CONSOLE` and `NAME`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;

/// Stands for the serial port.
const CONSOLE: &str = "@CONSOLE@";

/// Stands for the machine's name.
const NAME: &str = "@NAME@";

/// What a directory without a usable name makes of a machine's.
const DEFAULT_NAME: &str = "hoopy";

/// Longest label of a host name (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

/// Each file, its mode and its text.
const FILES: [(&str, u32, &str); 9] = [
    (".gitignore", 0o644, include_str!("init/gitignore")),
    ("hoopy.toml", 0o644, include_str!("init/hoopy.toml")),
    ("packages", 0o644, include_str!("init/packages")),
    ("root/etc/hostname", 0o644, include_str!("init/hostname")),
    ("root/etc/inittab", 0o644, include_str!("init/inittab")),
    ("root/etc/modules", 0o644, include_str!("init/modules")),
    ("root/etc/network/interfaces", 0o644, include_str!("init/interfaces")),
    ("setup.sh", 0o755, include_str!("init/setup.sh")),
    ("tests/10-hostname.sh", 0o644, include_str!("init/hostname-test")),
];

/// A system that was not written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a system, or part of one.
    #[error("{} already exists", .0.display())]
    Exists(PathBuf),
    /// A file could not be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes a minimal system for `arch` into `dir`, which may be there; gives the files in order.
///
/// # Errors
/// [`InitError::Exists`] where the directory has any of them; whatever the error, nothing half-written is left.
pub fn init(dir: &Path, arch: Arch) -> Result<Vec<PathBuf>, InitError> {
    let paths: Vec<PathBuf> = FILES.iter().map(|(name, ..)| dir.join(name)).collect();
    if let Some(there) = paths.iter().find(|p| p.symlink_metadata().is_ok()) {
        return Err(InitError::Exists(there.clone()));
    }
    let mut made = Made::default();
    for (path, (_, mode, text)) in paths.iter().zip(FILES) {
        let text = text.replace(CONSOLE, arch.console()).replace(NAME, &name(dir));
        made.file(path, mode, &text).map_err(|source| InitError::Io { path: path.clone(), source })?;
    }
    made.keep();
    Ok(paths)
}

/// A host name like the directory's: letters, digits and `-` (RFC 952).
fn name(dir: &Path) -> String {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let own = whole.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = own.chars().map(fits).take(MAX_LABEL).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { DEFAULT_NAME.to_owned() } else { name.to_owned() }
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::check;
    use crate::config::{Overrides, System};
    use crate::target::Target;

    #[test]
    fn what_it_writes_is_clean_on_each_architecture() {
        for arch in Arch::ALL {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("My Machine!");
            let files = init(&dir, arch).unwrap();
            assert!(files.iter().all(|f| f.is_file()), "{files:?}");
            assert_eq!(fs::read_to_string(dir.join("root/etc/hostname")).unwrap(), "my-machine\n");
            let system = System::load(&dir, &Overrides::default()).unwrap();
            let findings = check::system(&Target::resolve(system, Some(arch)).unwrap()).unwrap();
            assert!(findings.is_empty(), "{findings:?}");
        }
    }

    #[test]
    fn a_directory_with_any_of_the_files_is_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("setup.sh"), "mine").unwrap();
        let error = init(home.path(), Arch::X86_64).unwrap_err();
        assert!(error.to_string().contains("setup.sh"), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(home.path().join("setup.sh")).unwrap(), "mine");
    }

    #[test]
    fn a_failure_half_way_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        // `root` is no directory, and the files of `root/` come after others.
        fs::write(home.path().join("root"), "").unwrap();
        init(home.path(), Arch::X86_64).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
