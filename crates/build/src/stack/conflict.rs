//! Two packages with the same file: who wins, as apk decides (apk-tools `src/package.c`,
//! `apk_pkg_replaces_file`).

use hoopy_apk::Record;
use hoopy_store::layer::EntryPath;

/// Two packages have the same file, and neither says that it replaces the other's.
#[derive(Debug, thiserror::Error)]
#[error(
    "/{path} is in both {first} and {second}, and neither replaces the other: leave one of them out of `packages`"
)]
pub struct FileConflict {
    /// The file.
    pub path: EntryPath,
    /// The package that is installed first.
    pub first: String,
    /// The one installed later.
    pub second: String,
}

/// Whose file stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winner {
    /// That of the package installed first.
    First,
    /// That of the one installed later.
    Second,
    /// Nobody says.
    Neither,
}

/// Who wins a file that `first` has and `second`, installed later, has too.
pub fn winner(first: &Record, second: &Record) -> Winner {
    if first.name == second.name {
        return Winner::Second;
    }
    let priority = |a: &Record, b: &Record| {
        let replaces = a.replaces.iter().any(|d| d.name == b.name && d.satisfied_by(Some(&b.version)));
        replaces.then_some(a.replaces_priority)
    };
    match (priority(first, second), priority(second, first)) {
        (Some(a), b) if b.is_none_or(|b| a > b) => Winner::First,
        (_, Some(_)) => Winner::Second,
        _ => Winner::Neither,
    }
}
