//! The store, the lock and this machine's files.

use std::io;

use hoopy_lock::LockError;
use hoopy_store::StoreError;
use hoopy_store::gc::GcError;
use hoopy_store::layer::BadPath;
use hoopy_store::layer::files::FilesError;
use hoopy_store::layer::package::ImportError;
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_store::tree::settle::LostPath;

use super::ErrorKind::{Failed, Fetch, System};
use super::{Class, Classify};

pub(super) const FULL: &str = "free some space with `hoopy gc`, or name a store on another disk with --store";
const FULL_OUTPUT: &str = "free some space on the disk of that file: older images can go";
const NO_ACCESS: &str = "name a store that you can write to with --store";

impl Classify for io::Error {
    fn class(&self) -> Class {
        Failed.into()
    }
}

impl Classify for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Io { source, .. } | Self::ReadOnly { source, .. } => of_store(source),
            Self::WrongDigest { .. } => Fetch.into(),
        }
    }
}

/// Of a file that is written where the user said, which is no part of the store.
pub(super) fn of_output(source: &io::Error) -> Class {
    if is_full(source) { Failed.hint(FULL_OUTPUT) } else { Failed.into() }
}

fn is_full(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// By the two reasons that the user can do something about.
pub(super) fn of_store(source: &io::Error) -> Class {
    match source.kind() {
        _ if is_full(source) => Failed.hint(FULL),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Failed.hint(NO_ACCESS),
        _ => Failed.into(),
    }
}

impl Classify for GcError {
    fn class(&self) -> Class {
        match self {
            Self::NoStore(_) => Failed.hint("name the store with --store, or HOOPY_STORE"),
            Self::Store(error) => error.class(),
            Self::Unpacked(_) => Failed.into(),
        }
    }
}

impl Classify for ReadLayerError {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Damaged { .. } => {
                Failed.hint("run the command again; `hoopy store verify` checks all of the store")
            }
            Self::Sink(_) => Failed.into(),
        }
    }
}

impl Classify for FilesError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Failed.into(),
            Self::Path { .. } | Self::Special(_) | Self::TooDeep(_) | Self::NoDirectory(_) => System.into(),
            Self::LeadsOut { .. } => System.hint("copy the files that the image needs into root/"),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classify for ImportError {
    fn class(&self) -> Class {
        match self {
            Self::Package { .. } => Fetch.into(),
            Self::Path { .. } => Failed.into(),
            Self::Damaged { .. } => Fetch.hint("run the command again: the package is fetched anew"),
            Self::Modules { .. } => {
                Failed.hint("leave out --best and `compression = \"best\"`, which unpack kernel modules")
            }
            Self::Store(error) => error.class(),
        }
    }
}

impl Classify for LockError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => System.into(),
            Self::Parse { .. } => {
                System.hint("restore the lock from git, or write a new one with `hoopy lock`")
            }
            Self::Format { .. } => {
                System.hint("write the lock anew with `hoopy lock`, or use the hoopy that wrote it")
            }
        }
    }
}

impl Classify for LostPath {
    fn class(&self) -> Class {
        Failed.into()
    }
}

impl Classify for BadPath {
    fn class(&self) -> Class {
        Failed.into()
    }
}
