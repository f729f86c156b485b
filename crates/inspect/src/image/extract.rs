//! Extracting files without root, and without trust: nothing is written through a symbolic link, neither one that
//! the image brings nor one that was there, and nothing that is there is overwritten.
//!
//! How: [`Beneath`]. Owners are the user's own; devices, pipes and sockets are left out and told of.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use hoopy_base::atomic::new_mode;
use hoopy_base::beneath::Beneath;
use hoopy_store::layer::path::is_within;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use super::root::{Content, Kind, Node};
use super::{Image, InspectError};

/// What was extracted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Paths that were made.
    pub count: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// What was left out, and why.
    pub left_out: Vec<(Vec<u8>, String)>,
}

/// What is to be made, by path.
type Wanted<'a> = BTreeMap<Vec<u8>, &'a Node>;

impl Image {
    /// Writes `paths`, with all that is below them, into the directory `to`, which is made where there is none. No
    /// path at all is the whole tree.
    ///
    /// # Errors
    /// When a path is not in the image, and when something cannot be written: what was written until then stays.
    pub fn extract(&self, paths: &[Vec<u8>], to: &Path) -> Result<Extracted, InspectError> {
        let wanted = self.wanted(paths)?;
        let failed = |source| InspectError::Extract { path: to.to_owned(), source };
        fs::create_dir_all(to).map_err(failed)?;
        // Their own rights they get last.
        let top = Beneath::open(to, 0o700).map_err(failed)?;
        let permissions = new_mode(to, PERMISSIONS).map_err(failed)?;
        let mut done = Extraction { to, top, permissions, done: Extracted::default() }.run(self, &wanted)?;
        done.left_out.extend(self.lost_of(paths));
        Ok(done)
    }

    /// What the kernel could not make at boot either, among `paths`.
    fn lost_of<'a>(&'a self, paths: &'a [Vec<u8>]) -> impl Iterator<Item = (Vec<u8>, String)> + 'a {
        let is_meant = |path: &[u8]| {
            paths.is_empty() || paths.iter().any(|asked| is_within(&clean(path), &clean(asked)))
        };
        let lost = self.root.lost.iter().filter(move |lost| is_meant(&lost.path));
        lost.map(|lost| (lost.path.clone(), format!("lost at boot: {}", lost.why)))
    }

    fn wanted(&self, paths: &[Vec<u8>]) -> Result<Wanted<'_>, InspectError> {
        let asked: BTreeSet<Vec<u8>> = paths.iter().map(|path| clean(path)).collect();
        let mut met = BTreeSet::new();
        let mut wanted = Wanted::new();
        self.root.walk(self.root.top(), &mut |path, _, node| {
            let hits: Vec<_> = asked.iter().filter(|asked| is_within(path, asked)).collect();
            if paths.is_empty() || !hits.is_empty() {
                wanted.insert(path.to_vec(), node);
                met.extend(hits.into_iter().cloned());
            }
        });
        match asked.iter().find(|path| !path.is_empty() && !met.contains(*path)) {
            Some(path) => Err(InspectError::NoSuchPath { image: self.path.clone(), path: path.clone() }),
            None => Ok(wanted),
        }
    }
}

/// A path without what does not count in it.
fn clean(path: &[u8]) -> Vec<u8> {
    let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.collect::<Vec<_>>().join(&b'/')
}

struct Extraction<'a> {
    to: &'a Path,
    top: Beneath,
    /// What the umask leaves of [`PERMISSIONS`].
    permissions: u32,
    done: Extracted,
}

impl Extraction<'_> {
    fn run(mut self, image: &Image, wanted: &Wanted<'_>) -> Result<Extracted, InspectError> {
        let mut files: BTreeMap<Content, Vec<(&[u8], &Node)>> = BTreeMap::new();
        for (path, node) in wanted {
            let made = match &node.kind {
                Kind::File(content) => {
                    files.entry(*content).or_default().push((path, node));
                    continue;
                }
                Kind::Dir(_) => self.top.directory(path).map(drop),
                // The kernel makes them, and no other system call does.
                Kind::Symlink(target) if target.is_empty() => {
                    self.done.left_out.push((path.clone(), "a symbolic link without a target".to_owned()));
                    continue;
                }
                Kind::Symlink(target) => self.link(path, target),
                _ => {
                    self.done.left_out.push((path.clone(), node.kind.file_type().to_string()));
                    continue;
                }
            };
            made.map_err(|source| self.failed(path, source))?;
            self.done.count += 1;
        }
        let files = files.into_iter().collect();
        let mut at = Vec::new();
        let read = image.contents(files, &mut |names: &Vec<(&[u8], &Node)>, data| {
            at = names.first().map(|(path, _)| path.to_vec()).unwrap_or_default();
            self.file(names, data)
        });
        read.map_err(|source| self.failed(&at, source))?;
        // Last, since a directory without the right to write takes no files.
        for (path, node) in wanted.iter().rev().filter(|(_, node)| matches!(node.kind, Kind::Dir(_))) {
            self.settle(path, node).map_err(|source| self.failed(path, source))?;
        }
        Ok(self.done)
    }

    fn failed(&self, path: &[u8], source: io::Error) -> InspectError {
        InspectError::Extract { path: self.to.join(OsStr::from_bytes(path)), source }
    }

    fn link(&self, path: &[u8], target: &[u8]) -> io::Result<()> {
        let (dir, name) = self.top.place(path)?;
        rustix::fs::symlinkat(target, &dir, name).map_err(Into::into)
    }

    /// A file under its first name, and its other names as links to that.
    fn file(&mut self, names: &[(&[u8], &Node)], data: &mut dyn Read) -> io::Result<()> {
        let Some(((first, node), others)) = names.split_first() else { return Ok(()) };
        let (dir, name) = self.top.place(first)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&dir, name, flags, Mode::RUSR | Mode::WUSR)?);
        self.done.bytes += io::copy(data, &mut file)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(node.mode & self.permissions))?;
        rustix::fs::futimens(&file, &times(node))?;
        for (other, _) in others {
            let (to, other) = self.top.place(other)?;
            rustix::fs::linkat(&dir, name, &to, other, AtFlags::empty())?;
        }
        self.done.count += names.len() as u64;
        Ok(())
    }

    fn settle(&self, path: &[u8], node: &Node) -> io::Result<()> {
        let dir = self.top.directory(path)?;
        // The user's own right to it stays, or nobody could remove it.
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(node.mode & self.permissions | 0o700))?;
        Ok(rustix::fs::futimens(&dir, &times(node))?)
    }
}

/// Without setuid, setgid and sticky: the owner is another one here.
const PERMISSIONS: u32 = 0o777;

fn times(node: &Node) -> Timestamps {
    let time = Timespec { tv_sec: node.mtime.into(), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
