//! From the installed database and the files to the packages they came from.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use flate2::read::GzDecoder;
use hoopy_apk::installed::{self, Access, Installed};
use hoopy_apk::package::write::{DataWriter, NewPackage, write};
use hoopy_apk::package::{PackageInfo, ScriptKind};
use hoopy_apk::signature::SigningKey;
use hoopy_apk::tar::{self, Kind};
use hoopy_apk::{Checksum, Record};
use sha1::{Digest as _, Sha1};

use super::image::Image;

/// Repacks every installed package into `dir`; gives their index records.
pub fn all(image: &Image, dir: &Path, key: &SigningKey) -> anyhow::Result<Vec<Record>> {
    let scripts = scripts(image)?;
    let triggers = triggers(image)?;
    let mut records = Vec::new();
    for package in installed::parse(&image.text("/lib/apk/db/installed")?)? {
        let id = package.record.checksum.to_string();
        let draft = NewPackage {
            mtime: package.record.build_time,
            info: PackageInfo {
                record: package.record.clone(),
                triggers: triggers.get(&id).cloned().unwrap_or_default(),
                datahash: None,
            },
            scripts: scripts.get(&package.record.checksum.file_part()).cloned().unwrap_or_default(),
        };
        let data = data(image, &package).with_context(|| package.record.name.to_string())?;
        records.push(finish(&draft, data, key, dir)?);
    }
    Ok(records)
}

/// Writes one package file into `dir`.
pub fn finish(draft: &NewPackage, data: DataWriter, key: &SigningKey, dir: &Path) -> anyhow::Result<Record> {
    let record = &draft.info.record;
    let mut file = File::create(dir.join(format!("{}-{}.apk", record.name, record.version)))?;
    Ok(write(draft, data, Some(key), &mut file)?)
}

fn data(image: &Image, package: &Installed) -> anyhow::Result<DataWriter> {
    let mut data = DataWriter::new()?;
    for dir in &package.dirs {
        let absolute = [b"/", dir.path.as_slice()].concat();
        if !dir.path.is_empty() {
            let entry = header(image, &dir.path, Kind::Dir, dir.access, image.mtime(&absolute).unwrap_or(0));
            data.add(entry, &[])?;
        }
        for file in &dir.files {
            let path = if dir.path.is_empty() {
                file.name.clone()
            } else {
                [&dir.path[..], b"/", &file.name].concat()
            };
            let absolute = [b"/", path.as_slice()].concat();
            let mtime = image.mtime(&absolute)?;
            match image.link(&absolute)? {
                Some(target) => {
                    data.add(header(image, &path, Kind::Symlink(target), file.access, mtime), &[])?
                }
                None => {
                    let content = pristine(image.bytes(&absolute)?, file.checksum.as_ref());
                    let content = if path == b"etc/rc.conf" { not_a_container(content) } else { content };
                    data.add(header(image, &path, Kind::File(0), file.access, mtime), &content)?;
                }
            }
        }
    }
    Ok(data)
}

fn header(image: &Image, path: &[u8], kind: Kind, access: Access, mtime: u64) -> tar::Entry {
    let name = |names: &HashMap<u32, String>, id: u32| names.get(&id).cloned().unwrap_or_default();
    tar::Entry {
        path: path.to_vec(),
        kind,
        mode: access.mode,
        uid: access.uid,
        gid: access.gid,
        uname: name(&image.users, access.uid),
        gname: name(&image.groups, access.gid),
        mtime,
        ..tar::Entry::file(path, 0)
    }
}

/// Accounts were appended to `passwd` and its like after installation: lines come off the end until the content
/// is what the database has. Content that was changed otherwise is taken as it is.
fn pristine(content: Vec<u8>, expected: Option<&Checksum>) -> Vec<u8> {
    let Some(Checksum::Sha1(expected)) = expected else { return content };
    let fits = |bytes: &[u8]| <[u8; 20]>::from(Sha1::digest(bytes)) == *expected;
    let ends = content.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1);
    if content.len() > 64 << 10 || fits(&content) {
        return content;
    }
    match ends.collect::<Vec<_>>().into_iter().rev().find(|&end| fits(&content[..end])) {
        Some(end) => content[..end].to_vec(),
        None => content,
    }
}

/// The image was set up for a container, and OpenRC told so: services that a machine needs would not start.
fn not_a_container(content: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&content).into_owned();
    text.replace("\nrc_sys=\"lxc\"\n", "\n#rc_sys=\"\"\n")
        .replace("\nrc_parallel=\"YES\"\n", "\n#rc_parallel=\"NO\"\n")
        .into_bytes()
}

type Scripts = HashMap<String, Vec<(ScriptKind, Vec<u8>)>>;

/// Scripts by the package's checksum as their file names have it: `NAME-VERSION.X1….KIND`.
fn scripts(image: &Image) -> anyhow::Result<Scripts> {
    let mut archive =
        tar::Reader::new(GzDecoder::new(std::io::Cursor::new(image.bytes(b"/lib/apk/db/scripts.tar.gz")?)));
    let mut scripts = Scripts::new();
    while let Some(entry) = archive.next()? {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        let mut parts = name.rsplit('.');
        let (Some(kind), Some(id)) = (parts.next().and_then(ScriptKind::from_name), parts.next()) else {
            continue;
        };
        let mut body = Vec::new();
        archive.read_to_end(&mut body)?;
        scripts.entry(id.to_owned()).or_default().push((kind, body));
    }
    Ok(scripts)
}

fn triggers(image: &Image) -> anyhow::Result<HashMap<String, Vec<String>>> {
    let text = image.text("/lib/apk/db/triggers")?;
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.collect()))
    };
    Ok(text.lines().filter_map(line).collect())
}
