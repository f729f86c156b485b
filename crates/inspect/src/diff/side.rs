//! One side of a comparison: an image, a lock, a revision or a machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::Path;

use hoopy_base::digest::{ContentId, of_reader};
use hoopy_boot::secrets::IN_THE_CLEAR;
use hoopy_lock::{Lock, LockError, Role};

use super::DiffError;
use crate::image::root::{Content, FileType, Kind, Node};
use crate::image::split::Limits;
use crate::image::{Image, Packages};

/// One side.
#[derive(Debug, Default)]
pub struct Side {
    /// What it is called in messages and patches.
    pub label: String,
    /// Packages by name; nothing where that is not known.
    pub packages: Option<BTreeMap<String, Held>>,
    /// What is said of the whole, in the order in which it is shown.
    pub facts: Vec<(&'static str, String)>,
    /// Whether it is a system directory: what an image is made from.
    pub(super) is_directory: bool,
    /// Whether it is what such a directory has in `root/`.
    pub(super) is_root: bool,
    files: Files,
    owners: Option<Packages>,
}

/// A package that a side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its version.
    pub version: String,
    /// The digest of its file, where the side knows it.
    pub digest: Option<ContentId>,
}

/// The directory of a system that is laid over its packages, and what the segment of it is called.
const ROOT: &[u8] = b"root/";

/// Takes the contents of files, by path.
type Sink<'a> = &'a mut dyn FnMut(&[u8], &mut dyn io::Read) -> io::Result<()>;

#[derive(Debug, Default)]
enum Files {
    /// They are not known.
    #[default]
    Unknown,
    /// An image has them.
    Image(Box<Image>),
    /// They are at hand.
    Known(BTreeMap<Vec<u8>, (Entry, Vec<u8>)>),
}

/// A file, as far as it can be compared without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is: `a file`.
    pub kind: FileType,
    /// Permission bits.
    pub mode: u32,
    /// User and group, where the side knows them.
    pub owner: Option<(u32, u32)>,
    /// Bytes of a regular file.
    pub size: u64,
    /// A link's target, a device's numbers.
    pub text: Option<String>,
    /// The digest of a file's content, where it is known already.
    pub digest: Option<ContentId>,
    /// Where the content is: equal places are equal contents, unequal ones say nothing.
    pub place: Option<(ContentId, u64)>,
}

impl Side {
    /// An image; also one that was fetched from a machine.
    pub fn image(image: Image, label: &str) -> Self {
        let mut facts = Vec::new();
        facts.extend(image.kernel_version().map(|version| ("kernel", version)));
        let command_line = image.text(hoopy_uki::Section::Cmdline);
        facts.extend(command_line.map(|text| ("command line", text.trim_end().to_owned())));
        facts.push(("size", image.size.to_string()));
        let owners = Packages::of(&image);
        let packages =
            owners.all.iter().map(|p| (p.name.clone(), Held { version: p.version.clone(), digest: None }));
        let packages = (!owners.all.is_empty()).then(|| packages.collect());
        let files = Files::Image(Box::new(image));
        let (label, owners) = (label.to_owned(), Some(owners));
        Self { label, packages, facts, files, owners, ..Self::default() }
    }

    /// A lock.
    pub fn lock(lock: &Lock, label: &str) -> Self {
        let packages = lock
            .with_role(Role::Root)
            .map(|p| (p.name.clone(), Held { version: p.version.clone(), digest: Some(p.sha256) }));
        let mut facts = vec![("architecture", lock.arch.to_string()), ("branch", lock.branch.clone())];
        facts.extend(lock.with_role(Role::Stub).map(|p| ("stub", p.file_name())));
        Self { label: label.to_owned(), packages: Some(packages.collect()), facts, ..Self::default() }
    }

    /// The file at `path`: a lock where it is called so, else an image.
    ///
    /// # Errors
    /// [`DiffError`].
    pub fn file(path: &Path) -> Result<Self, DiffError> {
        let label = path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "lock") {
            let gone = || LockError::Io { path: path.to_owned(), source: io::ErrorKind::NotFound.into() };
            return Ok(Self::lock(&Lock::read(path)?.ok_or_else(gone)?, &label));
        }
        let mut image = Image::open(path, Limits::default())?;
        match image.stopped.take() {
            // Half an image would differ in all that is behind the damage.
            Some(stopped) => {
                Err(DiffError::Read { label, source: io::Error::new(io::ErrorKind::InvalidData, stopped) })
            }
            None => Ok(Self::image(image, &label)),
        }
    }

    /// Files at hand.
    pub(crate) fn known(label: &str, files: BTreeMap<Vec<u8>, (Entry, Vec<u8>)>) -> Self {
        Self { label: label.to_owned(), files: Files::Known(files), ..Self::default() }
    }

    /// What a system directory has in `root/`, by the paths that it has in an image.
    pub(super) fn root(&self) -> Self {
        let mut files = BTreeMap::new();
        if let Files::Known(all) = &self.files {
            let own = all.iter().filter_map(|(path, file)| Some((path.strip_prefix(ROOT)?, file)));
            files.extend(own.map(|(path, file)| (path.to_vec(), file.clone())));
        }
        let side = Self::known(&self.label, files);
        let (packages, facts) = (self.packages.clone(), self.facts.clone());
        Self { packages, facts, is_root: true, ..side }
    }

    /// The files of an image that are in its segment of `root/`.
    pub(super) fn of_root(&self) -> BTreeSet<Vec<u8>> {
        self.of_origin(ROOT)
    }

    /// The secrets that lie in an image in the clear.
    pub(crate) fn in_the_clear(&self) -> BTreeSet<Vec<u8>> {
        self.of_origin(IN_THE_CLEAR.as_bytes())
    }

    fn of_origin(&self, origin: &[u8]) -> BTreeSet<Vec<u8>> {
        let mut own = BTreeSet::new();
        let Files::Image(image) = &self.files else { return own };
        let is_own = |content: &Content| {
            let segment = image.segments.get(content.segment as usize);
            segment.is_some_and(|segment| segment.origins.iter().map(String::as_bytes).eq([origin]))
        };
        image.root.walk(image.root.top(), &mut |path, _, node| {
            if matches!(&node.kind, Kind::File(content) if is_own(content)) {
                own.insert(path.to_vec());
            }
        });
        own
    }

    /// Every file by path; nothing where the side has none to compare.
    pub(super) fn entries(&self) -> Option<BTreeMap<Vec<u8>, Entry>> {
        match &self.files {
            Files::Unknown => None,
            Files::Known(files) => {
                Some(files.iter().map(|(path, (entry, _))| (path.clone(), entry.clone())).collect())
            }
            Files::Image(image) if image.has_initramfs() => {
                let mut all = BTreeMap::new();
                image.root.walk(image.root.top(), &mut |path, _, node| {
                    all.insert(path.to_vec(), of_node(image, node));
                });
                Some(all)
            }
            Files::Image(_) => None,
        }
    }

    /// The package whose the file is, where an image's database says.
    pub(super) fn owner(&self, path: &[u8]) -> Option<&str> {
        Some(self.owners.as_ref()?.owner(path)?.name.as_str())
    }

    /// The digests of these files.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub(super) fn digests(&self, paths: &[Vec<u8>]) -> Result<BTreeMap<Vec<u8>, ContentId>, DiffError> {
        let mut found = BTreeMap::new();
        if let Files::Known(files) = &self.files {
            let digest = |path: &Vec<u8>| Some((path.clone(), files.get(path)?.0.digest?));
            return Ok(paths.iter().filter_map(digest).collect());
        }
        self.contents(paths, &mut |path, reader| {
            found.insert(path.to_vec(), of_reader(reader)?.0);
            Ok(())
        })?;
        Ok(found)
    }

    /// The contents of these files, up to `most` bytes of each.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub(crate) fn texts(
        &self,
        paths: &[Vec<u8>],
        most: u64,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, DiffError> {
        let mut found = BTreeMap::new();
        self.contents(paths, &mut |path, reader| {
            let mut bytes = Vec::new();
            reader.take(most).read_to_end(&mut bytes)?;
            found.insert(path.to_vec(), bytes);
            Ok(())
        })?;
        Ok(found)
    }

    fn contents(&self, paths: &[Vec<u8>], sink: Sink<'_>) -> Result<(), DiffError> {
        let failed = |source| DiffError::Read { label: self.label.clone(), source };
        match &self.files {
            Files::Unknown => Ok(()),
            Files::Known(files) => {
                for path in paths {
                    let bytes = files.get(path).map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
                    sink(path, &mut { bytes }).map_err(failed)?;
                }
                Ok(())
            }
            Files::Image(image) => {
                let mut wanted: BTreeMap<Content, Vec<&[u8]>> = BTreeMap::new();
                for path in paths {
                    let node = image.root.find_link(path).and_then(|id| image.root.node(id));
                    if let Some(Node { kind: Kind::File(content), .. }) = node {
                        wanted.entry(*content).or_default().push(path);
                    }
                }
                let each = &mut |names: &Vec<&[u8]>, reader: &mut dyn io::Read| match names.as_slice() {
                    [one] => sink(one, reader),
                    // Further names of one file: it passes by but once, and the bytes of few of them are wanted.
                    several => {
                        let mut bytes = Vec::new();
                        reader.read_to_end(&mut bytes)?;
                        several.iter().try_for_each(|name| sink(name, &mut bytes.as_slice()))
                    }
                };
                image.contents(wanted.into_iter().collect(), each).map_err(failed)
            }
        }
    }
}

fn of_node(image: &Image, node: &Node) -> Entry {
    let (size, text, place) = match &node.kind {
        Kind::File(content) => {
            let segment = image.segments.get(content.segment as usize);
            (content.size, None, segment.map(|segment| (segment.sha256, content.offset)))
        }
        Kind::Symlink(target) => (0, Some(String::from_utf8_lossy(target).into_owned()), None),
        Kind::Char(major, minor) | Kind::Block(major, minor) => (0, Some(format!("{major},{minor}")), None),
        _ => (0, None, None),
    };
    let (kind, owner) = (node.kind.file_type(), Some((node.uid, node.gid)));
    Entry { kind, mode: node.mode, owner, size, text, digest: None, place }
}
