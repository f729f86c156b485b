//! Secrets in the clear, as the last archive of an initramfs: `[secrets] open = "build"`.
//!
//! They are opened when the image is written, lie in memory that is overwritten afterwards, and go into the image's file
//! and nowhere else. What the image says of them is a digest of the encrypted files: whoever knows what a secret may be
//! cannot try it.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use hoopy_base::digest::{ContentId, Hasher};
use hoopy_boot::secrets::IN_THE_CLEAR;
use hoopy_cpio::codec::Codec;
use hoopy_cpio::{Header, Writer, file_type};
use hoopy_secrets::{Identities, Plaintext};

use super::ImageError;
use super::initramfs::{Content, Piece};
use crate::stack::secrets::Sealed;

/// Gives the owner's identities, or the reason why there are none. Called when they are needed, and not before: some ask
/// for a passphrase.
#[derive(Clone)]
pub struct OwnerKeys(pub Arc<dyn Fn() -> Result<Identities, String> + Send + Sync>);

impl fmt::Debug for OwnerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerKeys")
    }
}

/// The archive with the secrets.
///
/// # Errors
/// [`ImageError`].
pub fn piece(
    sealed: &Sealed,
    owner: Option<&OwnerKeys>,
    codec: Codec,
    epoch: u64,
) -> Result<Piece, ImageError> {
    let none = || Err("expected an identity of the owner, found none".to_owned());
    let identities = owner.map_or_else(none, |keys| (keys.0)()).map_err(ImageError::NoOwner)?;
    let opened = sealed.files.iter().map(|(path, _)| sealed.secrets.open(path, &identities));
    let opened = opened.collect::<Result<Vec<Plaintext>, _>>()?;
    let size: usize = opened.iter().map(|secret| secret.as_bytes().len() + OVERHEAD).sum();
    // Room for all of it at once: a vector that grew would leave copies behind.
    let mut archive = Writer::new(Vec::with_capacity(size + OVERHEAD));
    for ((_, file), secret) in sealed.files.iter().zip(&opened) {
        let header = Header {
            name: file.path.as_bytes(),
            mode: file_type::FILE | file.mode,
            uid: file.user,
            gid: file.group,
            nlink: 1,
            mtime: u32::try_from(epoch).unwrap_or(u32::MAX),
            ..Header::default()
        };
        archive.entry(&header, secret.as_bytes().len() as u64)?;
        archive.write_all(secret.as_bytes()).map_err(hoopy_cpio::WriteError::from)?;
    }
    let archive = Plaintext::new(archive.finish()?);
    let compressed = compress(&archive, codec).map_err(hoopy_cpio::WriteError::from)?;
    let mut hasher = Hasher::new("hoopy secrets in the clear 1");
    hasher.field(sealed.key.as_bytes()).field(codec.to_string().as_bytes()).field(&epoch.to_le_bytes());
    let key = ContentId::from_bytes(hasher.finish());
    Ok(Piece { origins: vec![IN_THE_CLEAR.to_owned()], content: Content::Secrets(Arc::new(compressed), key) })
}

/// More than an entry's header with its name takes, padding and all.
const OVERHEAD: usize = 4608;

fn compress(archive: &Plaintext, codec: Codec) -> std::io::Result<Plaintext> {
    let bytes = archive.as_bytes();
    let room = Vec::with_capacity(bytes.len() + OVERHEAD);
    let mut encoder = codec.encode(room, Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    Ok(Plaintext::new(encoder.finish()?))
}
