//! The first difference between two stacks, and how it shows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use hoopy_store::Store;
use hoopy_store::layer::{Entry, EntryPath, Kind, Layer};
use serde::Serialize;

use super::cause::{self, Cause};
use super::{ReproduceError, io_at};
use crate::stack::{Origin, Stack};

/// Contents up to this size are read to show how they differ; of larger ones is only said that they do.
const MAX_SHOWN: u64 = 64 << 20;

/// How many bytes of a difference are shown.
const EXCERPT: usize = 60;

/// How many other differing paths of the layer are named.
const OTHERS: usize = 8;

/// Two builds of the same that came out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The lowest layer that differs: `setup.sh`, or a package's script.
    pub layer: String,
    /// The first path in it that does; none where it is the images that differ and no layer.
    pub path: Option<String>,
    /// How: `contents, from line 3 on`.
    pub how: String,
    /// What the first build has there.
    pub first: String,
    /// What the second build has there.
    pub second: String,
    /// Why it may be so.
    pub cause: Cause,
    /// Other paths of that layer that differ, a few of them.
    pub others: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// One of two builds: its stack, and the store with the contents.
pub type Build<'a> = (&'a Stack, &'a Store);

/// The first difference between two stacks; none where their layers are the same.
///
/// # Errors
/// [`ReproduceError`] when contents cannot be read.
pub fn compare(first: Build<'_>, second: Build<'_>) -> Result<Option<Difference>, ReproduceError> {
    let layers = |stack: &Stack| -> Vec<(Layer, Origin)> {
        let all = stack.iter().filter(|(_, origin)| !matches!(origin, Origin::Release));
        all.map(|(layer, origin)| (layer.clone(), origin.clone())).collect()
    };
    let (mine, other) = (layers(first.0), layers(second.0));
    for (a, b) in mine.iter().zip(&other) {
        if a.0.id != b.0.id {
            return Differing { first: (&a.0, first.1), second: (&b.0, second.1) }
                .describe(&a.1, &b.1)
                .map(Some);
        }
    }
    // One script changed nothing in one of the builds, and so is no layer of it.
    let longer = if mine.len() > other.len() { mine.get(other.len()) } else { other.get(mine.len()) };
    let Some((_, origin)) = longer else { return Ok(None) };
    let (yes, no) = ("changes something".to_owned(), "changes nothing".to_owned());
    let (first, second) = if mine.len() > other.len() { (yes, no) } else { (no, yes) };
    Ok(Some(Difference::bare(origin.label(), "whether it is there", first, second)))
}

/// Where two image files differ, whose layers are the same: a fault of hoopy's own.
///
/// # Errors
/// [`ReproduceError`] when they cannot be read.
pub fn compare_images(first: &Path, second: &Path) -> Result<Option<Difference>, ReproduceError> {
    let open = |path: &Path| File::open(path).map(|f| BufReader::with_capacity(1 << 20, f));
    let mut mine = open(first).map_err(io_at(first.to_owned()))?.bytes();
    let mut other = open(second).map_err(io_at(second.to_owned()))?.bytes();
    let mut offset = 0_u64;
    loop {
        let a = mine.next().transpose().map_err(io_at(first.to_owned()))?;
        let b = other.next().transpose().map_err(io_at(second.to_owned()))?;
        if a != b {
            let shown = |byte: Option<u8>| byte.map_or("its end".to_owned(), |byte| format!("{byte:02x}"));
            let how = format!("the image file, from byte {offset} on");
            return Ok(Some(Difference::bare("the image".into(), &how, shown(a), shown(b))));
        }
        if a.is_none() {
            return Ok(None);
        }
        offset += 1;
    }
}

impl Difference {
    fn bare(layer: String, how: &str, first: String, second: String) -> Self {
        let (how, cause) = (how.to_owned(), Cause::Unknown);
        Self { layer, path: None, how, first, second, cause, others: Vec::new(), more: 0 }
    }
}

/// A layer of each build, in the same place of the stack.
struct Differing<'a> {
    first: (&'a Layer, &'a Store),
    second: (&'a Layer, &'a Store),
}

impl Differing<'_> {
    fn describe(&self, first: &Origin, second: &Origin) -> Result<Difference, ReproduceError> {
        if first.label() != second.label() {
            let how = "which layer comes next";
            return Ok(Difference::bare(first.label(), how, first.label(), second.label()));
        }
        let mut paths = self.paths();
        if paths.is_empty() {
            let how = "the order of its entries".to_owned();
            return Ok(Difference::bare(first.label(), &how, String::new(), String::new()));
        }
        let path = paths.remove(0);
        let more = paths.len().saturating_sub(OTHERS);
        paths.truncate(OTHERS);
        let difference = self.entry(&path)?;
        Ok(Difference {
            layer: first.label(),
            path: Some(path.to_string()),
            others: paths.iter().map(ToString::to_string).collect(),
            more,
            ..difference
        })
    }

    /// The paths that are not the same in both, in their order.
    fn paths(&self) -> Vec<EntryPath> {
        let mut all: BTreeMap<&EntryPath, [Option<&Entry>; 2]> = BTreeMap::new();
        for (n, layer) in [&self.first.0, &self.second.0].into_iter().enumerate() {
            for entry in layer.entries.iter() {
                if let Some(slot) = all.entry(&entry.path).or_default().get_mut(n) {
                    *slot = Some(entry);
                }
            }
        }
        let differing = all.into_iter().filter(|(_, [first, second])| first != second);
        differing.map(|(path, _)| path.clone()).collect()
    }

    fn entry(&self, path: &EntryPath) -> Result<Difference, ReproduceError> {
        let find = |layer: &Layer| layer.entry(path).cloned();
        let difference = |how: &str, first: String, second: String| {
            Ok(Difference::bare(String::new(), how, first, second))
        };
        let there = |entry: &Entry| format!("{} is there", kind(entry));
        let (a, b) = match (find(self.first.0), find(self.second.0)) {
            (Some(a), Some(b)) => (a, b),
            (Some(a), None) => {
                return difference("whether it is there", there(&a), "unchanged, or not there".into());
            }
            (None, Some(b)) => {
                return difference("whether it is there", "unchanged, or not there".into(), there(&b));
            }
            (None, None) => return difference("nothing", String::new(), String::new()),
        };
        if let (Kind::File { size: x, content: p }, Kind::File { size: y, content: q }) = (&a.kind, &b.kind)
            && p != q
        {
            return if (*x).max(*y) > MAX_SHOWN {
                difference("contents", format!("{x} bytes"), format!("{y} bytes"))
            } else {
                self.contents(path)
            };
        }
        match () {
            () if a.kind != b.kind => difference("what it is", kind(&a), kind(&b)),
            () if a.mode != b.mode => {
                difference("its mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode))
            }
            () if (a.user.id, a.group.id) != (b.user.id, b.group.id) => {
                let owner = |e: &Entry| format!("{}:{}", e.user.id, e.group.id);
                difference("its owner", owner(&a), owner(&b))
            }
            () if a.xattrs != b.xattrs => difference("its attributes", attributes(&a), attributes(&b)),
            () => difference("its time", a.mtime.to_string(), b.mtime.to_string()),
        }
    }

    fn contents(&self, path: &EntryPath) -> Result<Difference, ReproduceError> {
        let read =
            |(layer, store): (&Layer, &Store)| layer.read_file(store, path).map(Option::unwrap_or_default);
        let (a, b) = (read(self.first)?, read(self.second)?);
        let at = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
        let text = [&a, &b].iter().all(|bytes| !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok());
        let (how, first, second) = if text {
            let number = a.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
            (format!("contents, from line {number} on"), line(&a, at), line(&b, at))
        } else {
            (format!("contents, from byte {at} on"), hex(&a, at), hex(&b, at))
        };
        let cause = cause::guess(path, &a, &b, at);
        Ok(Difference { cause, ..Difference::bare(String::new(), &how, first, second) })
    }
}

fn kind(entry: &Entry) -> String {
    match &entry.kind {
        Kind::Dir { .. } => "a directory".into(),
        Kind::File { .. } => "a file".into(),
        Kind::Symlink(target) => format!("a link to {}", String::from_utf8_lossy(target)),
        Kind::Hardlink(first) => format!("another name of {first}"),
        Kind::Char { .. } | Kind::Block { .. } => "a device".into(),
        Kind::Fifo => "a pipe".into(),
        Kind::Whiteout => "a removal".into(),
    }
}

fn attributes(entry: &Entry) -> String {
    let names = entry.xattrs.keys().map(|name| String::from_utf8_lossy(name).into_owned());
    names.collect::<Vec<_>>().join(", ")
}

/// The line of `bytes` that holds the byte `at`, or of a long one what is around it.
fn line(bytes: &[u8], at: usize) -> String {
    let (line, column) = cause::line(bytes, at);
    let text = String::from_utf8_lossy(line);
    if text.chars().count() <= EXCERPT {
        return text.escape_debug().to_string();
    }
    let before = String::from_utf8_lossy(line.get(..column).unwrap_or_default()).chars().count();
    let skip = before.saturating_sub(EXCERPT / 3);
    let part: String = text.chars().skip(skip).take(EXCERPT).collect();
    let lead = if skip > 0 { "…" } else { "" };
    format!("{lead}{}…", part.escape_debug())
}

fn hex(bytes: &[u8], at: usize) -> String {
    let shown = bytes.iter().skip(at).take(EXCERPT / 4);
    let shown: Vec<String> = shown.map(|byte| format!("{byte:02x}")).collect();
    if shown.is_empty() { "its end".into() } else { shown.join(" ") }
}
