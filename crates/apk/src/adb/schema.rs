//! What a database says about a package (schema `pkginfo` of apk-tools), as the same types that v2 gives.

use super::AdbError;
use super::value::Object;
use crate::dependency::Dependency;
use crate::record::{Checksum, Record};
use crate::version::Version;

/// Fields of `pkginfo`, in their order.
mod field {
    pub const NAME: usize = 1;
    pub const VERSION: usize = 2;
    pub const HASHES: usize = 3;
    pub const DESCRIPTION: usize = 4;
    pub const ARCH: usize = 5;
    pub const LICENSE: usize = 6;
    pub const ORIGIN: usize = 7;
    pub const MAINTAINER: usize = 8;
    pub const URL: usize = 9;
    pub const COMMIT: usize = 10;
    pub const BUILD_TIME: usize = 11;
    pub const INSTALLED_SIZE: usize = 12;
    pub const FILE_SIZE: usize = 13;
    pub const PROVIDER_PRIORITY: usize = 14;
    pub const DEPENDS: usize = 15;
    pub const PROVIDES: usize = 16;
    pub const REPLACES: usize = 17;
    pub const INSTALL_IF: usize = 18;
}

/// Fields of a dependency.
const DEPENDENCY_NAME: usize = 1;
const DEPENDENCY_VERSION: usize = 2;
const DEPENDENCY_MATCH: usize = 3;

/// How a version is compared, as a set (apk-tools `src/apk_version.h`), in the order in which they are written.
const CONFLICT: u64 = 16;
const OPERATORS: [(u64, char); 4] = [(4, '>'), (2, '<'), (8, '~'), (1, '=')];

/// Reads a `pkginfo`.
pub fn record(info: Object<'_>) -> Result<Record, AdbError> {
    Ok(Record {
        checksum: checksum(info.blob(field::HASHES)?)?,
        name: file_part(info, field::NAME, "name")?.into(),
        version: Version::new(file_part(info, field::VERSION, "version")?),
        arch: info.text(field::ARCH, "arch")?.into(),
        size: info.int(field::FILE_SIZE)?,
        installed_size: info.int(field::INSTALLED_SIZE)?,
        description: description(info.blob(field::DESCRIPTION)?).into(),
        url: info.text(field::URL, "url")?.into(),
        license: info.text(field::LICENSE, "license")?.into(),
        origin: info.text(field::ORIGIN, "origin")?.into(),
        maintainer: info.text(field::MAINTAINER, "maintainer")?.into(),
        build_time: info.int(field::BUILD_TIME)?,
        commit: data_encoding::HEXLOWER.encode(info.blob(field::COMMIT)?).into(),
        provider_priority: small(info, field::PROVIDER_PRIORITY, "provider-priority")?,
        replaces_priority: 0,
        depends: dependencies(info, field::DEPENDS, "depends")?,
        provides: dependencies(info, field::PROVIDES, "provides")?,
        replaces: dependencies(info, field::REPLACES, "replaces")?,
        install_if: dependencies(info, field::INSTALL_IF, "install-if")?,
        unknown_field: None,
    })
}

/// Whether a `pkginfo` has a version at all.
pub fn has_version(info: Object<'_>) -> Result<bool, AdbError> {
    Ok(!info.blob(field::VERSION)?.is_empty())
}

/// A number of at most 32 bits.
pub fn small(object: Object<'_>, field: usize, name: &'static str) -> Result<u32, AdbError> {
    let number = object.int(field)?;
    u32::try_from(number).map_err(|_| AdbError::field(name, format!("{number} does not fit")))
}

/// A file name is made of it.
fn file_part<'a>(info: Object<'a>, field: usize, name: &'static str) -> Result<&'a str, AdbError> {
    let text = info.text(field, name)?;
    if !crate::stanza::is_file_part(text) {
        let shown: String = text.chars().take(80).collect();
        return Err(AdbError::field(name, format!("{shown:?} is missing or cannot be part of a file name")));
    }
    Ok(text)
}

/// Some builders write descriptions of several lines; a v2 index and the installed database have room for one.
fn description(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, " ")
}

/// 20 bytes are a SHA-1 of a v2 package, or the beginning of a SHA-256; apk itself tells the two by what they are of.
fn checksum(bytes: &[u8]) -> Result<Checksum, AdbError> {
    match (<[u8; 20]>::try_from(bytes), <[u8; 32]>::try_from(bytes)) {
        (Ok(short), _) => Ok(Checksum::Sha1(short)),
        (_, Ok(whole)) => Ok(Checksum::Sha256(whole)),
        _ => Err(AdbError::field("hashes", format!("{} bytes: expected 20 or 32", bytes.len()))),
    }
}

fn dependencies(info: Object<'_>, field: usize, name: &'static str) -> Result<Vec<Dependency>, AdbError> {
    let list = info.object(field)?;
    (1..=list.len()).map(|i| dependency(list.object(i)?, name)).collect()
}

/// It is put together as text and read as text, so that v3 admits nothing that v2 does not.
fn dependency(from: Object<'_>, field: &'static str) -> Result<Dependency, AdbError> {
    let name = from.text(DEPENDENCY_NAME, field)?;
    let version = from.text(DEPENDENCY_VERSION, field)?;
    let bits = from.int(DEPENDENCY_MATCH)?;
    let mut text = String::new();
    if bits & CONFLICT != 0 {
        text.push('!');
    }
    text += name;
    if !version.is_empty() {
        let set = if bits & !CONFLICT == 0 { 1 } else { bits };
        text.extend(OPERATORS.iter().filter(|(bit, _)| set & bit != 0).map(|(_, sign)| *sign));
        text += version;
    }
    let parsed: Dependency = text.parse().map_err(|e| AdbError::field(field, e))?;
    if &*parsed.name != name || parsed.tag.is_some() || name.starts_with('!') {
        return Err(AdbError::field(field, format!("{text:?} is not a dependency")));
    }
    Ok(parsed)
}
