//! What firmware knows of Secure Boot: four variables with lists of certificates and digests.
//!
//! ```text
//! PK   one certificate: may change KEK (and PK)
//! KEK  certificates: may change db and dbx
//! db   certificates and digests: what may be started
//! dbx  certificates and digests: what may not, whoever signed it
//! ```
//!
//! Source of the formats: UEFI 2.10, sections 8.2 (variables, `EFI_VARIABLE_AUTHENTICATION_2`) and 32.4 (signature
//! lists).

mod list;
pub mod microsoft;
mod secure_boot;
mod update;

pub use list::{Entry, EntryKind, ListError, MAX_LISTS, OWNER, SignatureLists};
pub use secure_boot::{Accepted, Mode, NotAccepted, SecureBoot};
pub use update::{Update, UpdateError};

use uuid::Uuid;

/// `EFI_GLOBAL_VARIABLE`
const GLOBAL: Uuid = Uuid::from_u128(0x8be4df61_93ca_11d2_aa0d_00e098032b8c);

/// `EFI_IMAGE_SECURITY_DATABASE_GUID`
const SECURITY_DATABASE: Uuid = Uuid::from_u128(0xd719b2cb_3d3a_4596_a3bc_dad00e67656f);

/// A variable with a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// The platform key.
    Pk,
    /// Key exchange keys.
    Kek,
    /// What may be started.
    Db,
    /// What may not.
    Dbx,
}

impl Variable {
    /// All of them, from the one that rules the next.
    pub const ALL: [Self; 4] = [Self::Pk, Self::Kek, Self::Db, Self::Dbx];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Kek => "KEK",
            Self::Db => "db",
            Self::Dbx => "dbx",
        }
    }

    /// Its namespace.
    pub const fn vendor(self) -> Uuid {
        match self {
            Self::Pk | Self::Kek => GLOBAL,
            Self::Db | Self::Dbx => SECURITY_DATABASE,
        }
    }

    /// Its file in Linux's efivarfs, where the content stands behind 4 bytes of attributes.
    pub fn file_name(self) -> String {
        format!("{}-{}", self.name(), self.vendor())
    }
}
