//! The v3 index of a repository, `Packages.adb`.

use super::container::{self, Schema};
use super::value::Database;
use super::{AdbError, schema};
use crate::index::{Index, IndexError};
use crate::signature::KeyRing;

/// Fields of `indx`.
const DESCRIPTION: usize = 1;
const PACKAGES: usize = 2;
const NAME_SPEC: usize = 3;

/// The rules for file names that are the usual ones, written out.
const USUAL_NAMES: [&str; 3] = ["", "${name}-${version}.apk", "${arch}/${name}-${version}.apk"];

/// Reads an index and checks that a key of `keys` signed it, before anything in it is parsed.
///
/// # Errors
/// [`IndexError`].
pub(crate) fn read(bytes: &[u8], keys: &KeyRing) -> Result<Index, IndexError> {
    let (adb, seal, mut blocks) = container::open(bytes, Schema::Index)?;
    let adb = keys.verify_seal(&seal, adb)?.into_inner();
    if !blocks.at_end()? {
        return Err(AdbError::Block("an index goes on after its signatures").into());
    }
    Ok(parse(&adb)?)
}

/// Reads the database of an index, whose signature has been checked.
///
/// # Errors
/// [`AdbError`].
pub fn parse(adb: &[u8]) -> Result<Index, AdbError> {
    let database = Database::new(adb);
    let root = database.root()?;
    let names = root.text(NAME_SPEC, "pkgname-spec")?;
    if !USUAL_NAMES.contains(&names) {
        let reason =
            format!("files are called {names:?}, which is not supported: only {:?} is", USUAL_NAMES[1]);
        return Err(AdbError::field("pkgname-spec", reason));
    }
    let packages = root.object(PACKAGES)?;
    let mut records = Vec::new();
    for i in 1..=packages.len() {
        let info = packages.object(i)?;
        // apk writes no version where it was not a valid one. No file can be asked for by the name of such a package.
        if schema::has_version(info)? {
            records.push(schema::record(info)?);
        }
    }
    Ok(Index { description: root.text(DESCRIPTION, "description")?.trim().to_owned(), records })
}
