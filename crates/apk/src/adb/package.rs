//! What the database of a v3 package says: itself, its scripts, its triggers, and its files as the entries that v2
//! has in an archive.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::value::{Database, Object};
use super::{AdbError, schema};
use crate::package::{PackageInfo, ScriptKind};
use crate::tar::{Entry, Kind};

/// Fields of `pckg`.
const INFO: usize = 1;
const PATHS: usize = 2;
const SCRIPTS: usize = 3;
const TRIGGERS: usize = 4;
const REPLACES_PRIORITY: usize = 5;

/// Fields of a directory.
const DIR_NAME: usize = 1;
const DIR_ACL: usize = 2;
const DIR_FILES: usize = 3;

/// Fields of a file.
const FILE_NAME: usize = 1;
const FILE_ACL: usize = 2;
const FILE_SIZE: usize = 3;
const FILE_MTIME: usize = 4;
const FILE_HASHES: usize = 5;
const FILE_TARGET: usize = 6;

/// Fields of owner and mode.
const ACL_MODE: usize = 1;
const ACL_USER: usize = 2;
const ACL_GROUP: usize = 3;
const ACL_XATTRS: usize = 4;

/// The scripts, in the order of their fields.
const SCRIPT_KINDS: [ScriptKind; 7] = [
    ScriptKind::Trigger,
    ScriptKind::PreInstall,
    ScriptKind::PostInstall,
    ScriptKind::PreDeinstall,
    ScriptKind::PostDeinstall,
    ScriptKind::PreUpgrade,
    ScriptKind::PostUpgrade,
];

/// The types of files as a target begins with them (`S_IFMT` of every Unix).
const S_IFIFO: u16 = 0o010_000;
const S_IFCHR: u16 = 0o020_000;
const S_IFBLK: u16 = 0o060_000;
const S_IFREG: u16 = 0o100_000;
const S_IFLNK: u16 = 0o120_000;

/// What apk gives to an owner whose name the root does not know.
const NOBODY: u32 = 65534;

/// What an entry costs besides its path.
const ENTRY_COST: usize = 200;

/// All that a package says before its files' contents.
#[derive(Debug)]
pub struct Described {
    pub info: PackageInfo,
    pub scripts: Vec<(ScriptKind, Vec<u8>)>,
    pub files: Vec<Listed>,
}

/// A file of a v3 package.
#[derive(Debug)]
pub struct Listed {
    pub entry: Entry,
    /// Numbers of its directory and of itself, which its block DATA has too.
    pub number: (u32, u32),
    /// SHA-256 of the content of a regular file.
    pub sha256: Option<[u8; 32]>,
}

/// Reads the database of a package that is trusted.
pub fn read(adb: &[u8]) -> Result<Described, AdbError> {
    let database = Database::new(adb);
    let root = database.root()?;
    let mut record = schema::record(root.object(INFO)?)?;
    record.replaces_priority = schema::small(root, REPLACES_PRIORITY, "replaces-priority")?;
    let list = root.object(TRIGGERS)?;
    let triggers = (1..=list.len()).map(|i| Ok(list.text(i, "triggers")?.to_owned()));
    let info = PackageInfo { record, triggers: triggers.collect::<Result<_, AdbError>>()?, datahash: None };
    let scripts = root.object(SCRIPTS)?;
    let script = |(field, kind)| Ok((kind, scripts.blob(field)?.to_vec()));
    let scripts = (1..).zip(SCRIPT_KINDS).map(script).collect::<Result<Vec<_>, AdbError>>()?;
    let scripts = scripts.into_iter().filter(|(_, body)| !body.is_empty()).collect();
    Ok(Described { info, scripts, files: Listing::default().read(root.object(PATHS)?)? })
}

/// The files being listed.
#[derive(Default)]
struct Listing {
    files: Vec<Listed>,
    dirs: HashSet<Vec<u8>>,
}

impl Listing {
    fn read(mut self, paths: Object<'_>) -> Result<Vec<Listed>, AdbError> {
        for (number, i) in (1..).zip(1..=paths.len()) {
            let dir = paths.object(i)?;
            let path = dir.blob(DIR_NAME)?;
            if !path.is_empty() {
                self.above(path, dir)?;
                let entry = access(dir.object(DIR_ACL)?, Entry { kind: Kind::Dir, ..Entry::file(path, 0) })?;
                self.dirs.insert(path.to_vec());
                self.put(entry, (number, 0), None, dir)?;
            }
            let files = dir.object(DIR_FILES)?;
            for (own, j) in (1..).zip(1..=files.len()) {
                let (entry, sha256) = file(path, files.object(j)?)?;
                self.put(entry, (number, own), sha256, files)?;
            }
        }
        Ok(self.files)
    }

    /// Newer builders leave out a directory that is as every other one and holds only directories.
    fn above(&mut self, path: &[u8], dir: Object<'_>) -> Result<(), AdbError> {
        for (cut, _) in path.iter().enumerate().filter(|&(at, &byte)| byte == b'/' && at > 0) {
            let Some(above) = path.get(..cut) else { continue };
            if self.dirs.insert(above.to_vec()) {
                let entry = Entry { kind: Kind::Dir, mode: 0o755, ..Entry::file(above, 0) };
                self.put(entry, (0, 0), None, dir)?;
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        entry: Entry,
        number: (u32, u32),
        sha256: Option<[u8; 32]>,
        of: Object<'_>,
    ) -> Result<(), AdbError> {
        of.database().charge(entry.path.len() + ENTRY_COST)?;
        self.files.push(Listed { entry, number, sha256 });
        Ok(())
    }
}

fn file(dir: &[u8], from: Object<'_>) -> Result<(Entry, Option<[u8; 32]>), AdbError> {
    let name = from.blob(FILE_NAME)?;
    if name.is_empty() || name.contains(&b'/') {
        let shown = String::from_utf8_lossy(name).into_owned();
        return Err(AdbError::field("name", format!("{shown:?} is not the name of a file in a directory")));
    }
    let path = if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
    let target = from.blob(FILE_TARGET)?;
    let kind = match target.split_first_chunk() {
        None if target.is_empty() => Kind::File(from.int(FILE_SIZE)?),
        None => return Err(AdbError::field("target", "a single byte")),
        Some((kind, rest)) => special(u16::from_le_bytes(*kind), rest)?,
    };
    let sha256 = match kind {
        Kind::File(_) | Kind::Hardlink(_) => {
            let hash = from.blob(FILE_HASHES)?;
            let length = || AdbError::field("hash", format!("{} bytes: expected SHA-256, 32", hash.len()));
            Some(hash.try_into().map_err(|_| length())?)
        }
        _ => None,
    };
    let sha1 = match &kind {
        Kind::Symlink(target) => Some(cut(&Sha256::digest(target).into())),
        _ => sha256.as_ref().map(cut),
    };
    let entry = Entry { path, kind, mtime: from.int(FILE_MTIME)?, sha1, ..Entry::file(b"", 0) };
    Ok((access(from.object(FILE_ACL)?, entry)?, sha256))
}

/// What the installed database has room for: the first 20 bytes.
pub fn cut(sha256: &[u8; 32]) -> [u8; 20] {
    let mut short = [0; 20];
    short.iter_mut().zip(sha256).for_each(|(to, from)| *to = *from);
    short
}

fn special(kind: u16, rest: &[u8]) -> Result<Kind, AdbError> {
    let device = || {
        let number = rest.try_into().map(u64::from_le_bytes);
        number.map(numbers).map_err(|_| AdbError::field("target", "a device without its numbers"))
    };
    Ok(match kind {
        S_IFREG => Kind::Hardlink(rest.to_vec()),
        S_IFLNK => Kind::Symlink(rest.to_vec()),
        S_IFCHR => device().map(|(major, minor)| Kind::Char(major, minor))?,
        S_IFBLK => device().map(|(major, minor)| Kind::Block(major, minor))?,
        S_IFIFO => Kind::Fifo,
        other => return Err(AdbError::field("target", format!("{other:o} is not a type of file"))),
    })
}

/// Major and minor of a device: each has its low bits and its high bits apart (musl's `sys/sysmacros.h`).
fn numbers(device: u64) -> (u32, u32) {
    let major = (device >> 32 & 0xffff_f000) | (device >> 8 & 0xfff);
    let minor = (device >> 12 & 0xffff_ff00) | (device & 0xff);
    (major as u32, minor as u32)
}

fn access(acl: Object<'_>, entry: Entry) -> Result<Entry, AdbError> {
    let mode = acl.int(ACL_MODE)?;
    let mode = u32::try_from(mode).ok().filter(|m| *m <= 0o7777);
    let uname = acl.text(ACL_USER, "user")?.to_owned();
    let gname = acl.text(ACL_GROUP, "group")?.to_owned();
    let id = |name: &str| if name == "root" { 0 } else { NOBODY };
    let mut entry = Entry {
        mode: mode.ok_or_else(|| AdbError::field("mode", "more than permission bits"))?,
        uid: id(&uname),
        gid: id(&gname),
        uname,
        gname,
        ..entry
    };
    let xattrs = acl.object(ACL_XATTRS)?;
    for i in 1..=xattrs.len() {
        let attribute = xattrs.blob(i)?;
        let nul = attribute.iter().position(|&b| b == 0).filter(|&at| at > 0);
        let (name, value) = nul
            .and_then(|at| Some((attribute.get(..at)?, attribute.get(at + 1..)?)))
            .ok_or_else(|| AdbError::field("xattrs", "an attribute without a name and a NUL"))?;
        entry.xattrs.insert(name.to_vec(), value.to_vec());
    }
    Ok(entry)
}
