//! Which images the files in `root/` name: the lock has a digest for each that is named by a tag alone. What is wrong with a
//! file is told where it is checked and built.

use std::fs;
use std::path::{Path, PathBuf};

use hoopy_base::input::read_up_to;

use super::{DIRECTORY, EXTENSION, Image, MAX_FILE, UnitError, unit};

/// How deep directories are looked into.
const MAX_DEPTH: usize = 8;

/// An image that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The file, from the system directory.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The image.
    pub image: Image,
}

/// A file that names no image which could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The file, from the system directory.
    pub file: PathBuf,
    /// What is wrong with it.
    pub error: UnitError,
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = self.error.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(f, "{}{line}: {}", self.file.display(), self.error.message)
    }
}

/// The images that the files in the `root/` of the system directory `dir` name, by file. Links are left out, on the way there,
/// too: what they lead to may be no file of the system's.
pub fn declared(dir: &Path) -> Vec<Declared> {
    files(dir).into_iter().filter_map(Result::ok).collect()
}

/// The files there of which no image could be read.
pub fn unread(dir: &Path) -> Vec<Unread> {
    files(dir).into_iter().filter_map(Result::err).collect()
}

fn files(dir: &Path) -> Vec<Result<Declared, Unread>> {
    let below = Path::new("root").join(DIRECTORY);
    let mut found = Vec::new();
    if below.ancestors().any(|above| dir.join(above).is_symlink() && above != Path::new("")) {
        return Vec::new();
    }
    look(dir, &below, 0, &mut found);
    found.sort();
    found.into_iter().map(|file| image(dir, file)).collect()
}

/// Those of them that are named by a tag alone, sorted: the lock's part of a world.
pub fn tagged(dir: &Path) -> Vec<Image> {
    let mut images: Vec<Image> = declared(dir).into_iter().map(|declared| declared.image).collect();
    images.retain(|image| image.tag.is_some() && image.digest.is_none());
    images.sort_by_key(Image::reference);
    images.dedup();
    images
}

fn look(dir: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir.join(below)) else { return };
    for entry in entries.flatten() {
        let path = below.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < MAX_DEPTH {
            look(dir, &path, depth + 1, found);
        } else if kind.is_file() && path.to_string_lossy().ends_with(EXTENSION) {
            found.push(path);
        }
    }
}

fn image(dir: &Path, file: PathBuf) -> Result<Declared, Unread> {
    match image_of(&dir.join(&file)) {
        Ok((line, image)) => Ok(Declared { file, line, image }),
        Err(error) => Err(Unread { file, error }),
    }
}

fn image_of(file: &Path) -> Result<(usize, Image), UnitError> {
    let text = read_up_to(file, MAX_FILE as u64)
        .map_err(|error| UnitError::new(None, error.to_string(), "make it a file that can be read"))?;
    let (assignments, errors) = unit::parse(&text);
    let is_image = |a: &&unit::Assignment| a.section == "Container" && a.key == "Image";
    let Some(last) = assignments.iter().rfind(is_image) else {
        let none =
            || UnitError::new(None, "expected Image= in [Container], found none".to_owned(), super::PIN);
        return Err(errors.into_iter().next().unwrap_or_else(none));
    };
    let image = Image::parse(&last.value).map_err(|message| UnitError::at(last.line, message, super::PIN))?;
    Ok((last.line, image))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn images_are_read_of_files_in_root_and_of_nothing_behind_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let units = dir.path().join("root").join(DIRECTORY);
        fs::create_dir_all(units.join("sub")).unwrap();
        let text = |tag: &str| format!("[Container]\nImage=docker.io/x:old\nImage=docker.io/x:{tag}\n");
        fs::write(units.join("a.container"), text("1")).unwrap();
        fs::write(units.join("sub/b.container"), text("2")).unwrap();
        fs::write(units.join("c.container"), "[Container]\nImage=x\n").unwrap();
        fs::write(dir.path().join("outside.container"), text("3")).unwrap();
        symlink(dir.path().join("outside.container"), units.join("d.container")).unwrap();
        let tags: Vec<_> = tagged(dir.path()).into_iter().filter_map(|image| image.tag).collect();
        assert_eq!(tags, ["1", "2"]);
        let said: Vec<String> = unread(dir.path()).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("root/etc/containers/systemd/c.container:2: expected a registry"),
            "{said:?}"
        );
        fs::write(units.join("c.container"), "[Container]\n").unwrap();
        assert!(
            unread(dir.path())[0]
                .to_string()
                .ends_with("c.container: expected Image= in [Container], found none")
        );
        fs::write(units.join("c.container"), vec![b'x'; MAX_FILE + 1]).unwrap();
        assert_eq!((unread(dir.path()).len(), tagged(dir.path()).len()), (1, 2));
        let elsewhere = tempfile::tempdir().unwrap();
        fs::create_dir_all(elsewhere.path().join("root/etc/containers")).unwrap();
        symlink(&units, elsewhere.path().join("root").join(DIRECTORY)).unwrap();
        assert_eq!(declared(elsewhere.path()), []);
    }
}
