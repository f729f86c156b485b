//! The ids of everything the store holds: one newtype per kind, all SHA-256, written as 64 lower-case
//! hexadecimal digits.

use std::fmt;
use std::io::{self, Read, Write};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("not a SHA-256 digest (64 hexadecimal digits): {0:?}")]
pub struct NotADigest(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The id with these 32 bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotADigest;

            fn from_str(text: &str) -> Result<Self, NotADigest> {
                let bytes = HEXLOWER.decode(text.as_bytes()).ok();
                let bytes = bytes.and_then(|b| <[u8; 32]>::try_from(b).ok());
                bytes.map(Self).ok_or_else(|| NotADigest(text.to_owned()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// The bytes of one file: a download, or a regular file's content.
    ContentId
}
id! {
    /// A layer: its entries and nothing else. Equal entries are one layer, whoever made them.
    LayerId
}
id! {
    /// How a layer or an artifact is made: the key under which the store remembers what came of it.
    RecipeId
}
id! {
    /// A segment: its layers, what is masked of them, and how it is compressed.
    SegmentKey
}

/// Builds a digest out of fields. Every field is written with its length, so that no two lists of fields
/// give the same bytes.
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher for one kind of thing. `domain` keeps kinds apart and carries the version of what is hashed.
    pub fn new(domain: &str) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.field(domain.as_bytes());
        hasher
    }

    /// Adds one field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The 32 bytes of the digest.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl RecipeId {
    /// The id of these fields, in a domain as [`Hasher::new`] has it.
    pub fn of_fields(domain: &str, fields: &[&[u8]]) -> Self {
        let mut hasher = Hasher::new(domain);
        for field in fields {
            hasher.field(field);
        }
        Self(hasher.finish())
    }
}

/// Passes bytes through to `W` and digests them on the way.
pub struct HashingWriter<W> {
    inner: W,
    hash: Sha256,
    written: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Digests what is written to `inner` from here on.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), written: 0 }
    }

    /// The writer, the digest of what passed and how many bytes passed.
    pub fn finish(self) -> (W, ContentId, u64) {
        (self.inner, ContentId(self.hash.finalize().into()), self.written)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Digests all that `reader` gives.
///
/// # Errors
/// What `reader` fails with.
pub fn of_reader(reader: &mut dyn Read) -> io::Result<(ContentId, u64)> {
    let mut writer = HashingWriter::new(io::sink());
    io::copy(reader, &mut writer)?;
    let (_, id, size) = writer.finish();
    Ok((id, size))
}
