//! ADB, the container of apk 3: packages (schema `pckg`) and indexes (schema `indx`).
//!
//! ```text
//! ADB. | ADBd deflate | ADBc ALGORITHM LEVEL ...     the file; what is compressed begins with `ADB.` again
//! ADB. SCHEMA  block ADB  block SIG ...  block DATA ...
//! ```
//!
//! The block ADB is a small database: values of 32 bits, four of them a type and the rest a number or the place of
//! what they stand for. Signatures are over its digest. A block DATA is one file's content, with the place of its
//! description in the database, which has its SHA-256: so what is signed covers every byte that is used.
//!
//! Nothing of the database is looked at before it is known to be trusted: `container` only cuts blocks apart and
//! digests them. Every place is checked against the database's end, and what is taken out of it is counted, since
//! places may be named more than once.
//!
//! Source of the format: apk-tools `src/adb.h`, `src/apk_adb.h`, `doc/apk-v3.5.scd`.

pub(crate) mod container;
pub mod index;
mod inflate;
pub(crate) mod package;
pub(crate) mod schema;
mod stream;
pub(crate) mod value;

use container::{MAX_ADB, MAX_SIGNATURES};

/// What every file of the format begins with; v2 files begin with gzip's magic.
pub(crate) const MAGIC: &[u8; 3] = b"ADB";

/// A file of apk 3 that is damaged, or holds what it must not.
#[derive(Debug, thiserror::Error)]
pub enum AdbError {
    /// The stream failed or ended early.
    #[error("the file ends early or cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It does not begin as such a file does.
    #[error("not a file of apk 3: expected it to begin with `ADB`, found {0:02x?}")]
    Magic([u8; 4]),
    /// A compression that is not read.
    #[error("compressed with algorithm {0}: expected 0 (none), 1 (deflate) or 2 (zstd)")]
    Compression(u8),
    /// It is of another kind.
    #[error("expected a file of schema `{expected}`, found `{found}`")]
    Schema {
        /// What was to come.
        expected: &'static str,
        /// What came, as text.
        found: String,
    },
    /// Its blocks are not in order.
    #[error("its blocks: {0}")]
    Block(&'static str),
    /// Its database is larger than one can be.
    #[error("a database of {0} bytes: at most {MAX_ADB} are read")]
    TooLarge(u64),
    /// It has more signatures, or larger ones, than there are.
    #[error("more than {MAX_SIGNATURES} signatures, or one of more than 2048 bytes")]
    Signatures,
    /// A database of another version.
    #[error("expected a database of version 0, found version {0}")]
    Version(u8),
    /// A value that lies outside the database.
    #[error("a value at byte {0} of the database, beyond its end")]
    Place(usize),
    /// A value of another kind than its field has.
    #[error("a value of type {found:x} where {expected} is expected")]
    Type {
        /// What the field has.
        expected: &'static str,
        /// The four bits of the type.
        found: u32,
    },
    /// The same values are used so often that they would fill the memory.
    #[error(
        "its values refer to each other far more often than those of any real file: refused, since it may be a decompression bomb"
    )]
    Bomb,
    /// A field that does not hold what it should.
    #[error("`{field}`: {reason}")]
    Field {
        /// The field, as apk names it.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl AdbError {
    pub(crate) fn field(field: &'static str, reason: impl ToString) -> Self {
        Self::Field { field, reason: reason.to_string() }
    }
}
