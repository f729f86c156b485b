//! Images of many makers, and of none: what is written is read back, the tools of others are the judges, and what
//! lies is refused or told of.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod hostile;
mod makers;
mod properties;

use std::collections::BTreeMap;
use std::io::Write as _;

use hoopy_cpio::codec::Codec;
use hoopy_cpio::{Header, Writer, file_type};
use hoopy_inspect::image::root::Kind;
use hoopy_inspect::image::split::Limits;
use hoopy_inspect::image::{Image, InspectError};
use proptest::prelude::*;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Is {
    Dir,
    File(Vec<u8>),
    Link(String),
}

fn archive(files: &[(String, Is)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (ino, (path, is)) in (1..).zip(files) {
        let (mode, data) = match is {
            Is::Dir => (file_type::DIR | 0o755, &b""[..]),
            Is::File(data) => (file_type::FILE | 0o644, data.as_slice()),
            Is::Link(target) => (file_type::SYMLINK | 0o777, target.as_bytes()),
        };
        let header = Header { name: path.as_bytes(), mode, ino, nlink: 1, mtime: 9, ..Header::default() };
        writer.entry(&header, data.len() as u64).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.finish().unwrap()
}

fn packed(codec: Codec, archive: &[u8]) -> Vec<u8> {
    let mut encoder = codec.encode(Vec::new(), None).unwrap();
    encoder.write_all(archive).unwrap();
    encoder.finish().unwrap()
}

fn opened(bytes: &[u8]) -> Result<Image, InspectError> {
    opened_within(bytes, Limits::default())
}

fn opened_within(bytes: &[u8], limits: Limits) -> Result<Image, InspectError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    // The image keeps the file open.
    Image::open(file.path(), limits)
}

fn tree(image: &Image) -> BTreeMap<String, Is> {
    let mut all = BTreeMap::new();
    image.root.walk(image.root.top(), &mut |path, _, node| {
        let path = String::from_utf8(path.to_vec()).unwrap();
        let is = match &node.kind {
            Kind::Dir(_) => Is::Dir,
            Kind::Symlink(target) => Is::Link(String::from_utf8(target.to_vec()).unwrap()),
            _ => Is::File(Vec::new()),
        };
        all.insert(path, is);
    });
    for (path, is) in &mut all {
        if matches!(is, Is::File(_)) {
            *is = Is::File(image.read(path.as_bytes()).unwrap());
        }
    }
    all
}

/// A file in up to two directories.
fn file() -> impl Strategy<Value = (String, Is)> {
    let is = prop_oneof![
        1 => Just(Is::Dir),
        3 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Is::File),
        1 => "[a-c]".prop_map(Is::Link),
    ];
    ("[d-f]/[d-f]/[a-c]|[d-f]/[a-c]|[a-c]", is)
}

/// Files with their directories before them.
fn files() -> impl Strategy<Value = Vec<(String, Is)>> {
    prop::collection::vec(file(), 0..12).prop_map(|files| {
        let mut all: Vec<(String, Is)> = Vec::new();
        for (path, is) in files {
            for (cut, _) in path.match_indices('/') {
                all.push((path[..cut].to_owned(), Is::Dir));
            }
            all.push((path, is));
        }
        all
    })
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

fn of(path: &str, data: &str) -> (String, Is) {
    (path.to_owned(), Is::File(data.as_bytes().to_vec()))
}

fn stopped(bytes: &[u8]) -> String {
    opened(bytes).unwrap().stopped.map(|s| s.to_string()).unwrap_or_default()
}
