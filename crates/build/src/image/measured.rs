//! The SHA-256 of an initramfs as a whole: what the stub will measure of it, and what a PCR policy is signed for.
//!
//! The store remembers the hash's state behind each piece, by the digests of all pieces up to there. So a build that follows
//! another one reads what stands from the first changed piece on; and where an initramfs is written while its segments are
//! made, they are hashed meanwhile. No state is kept behind secrets.

use std::fs::File;
use std::io::{self, Read as _};

use hoopy_base::digest::RecipeId;
use hoopy_store::Store;
use sha2::digest::common::hazmat::SerializableState as _;
use sha2::{Digest as _, Sha256};

use super::ImageError;
use super::initramfs::{Content, Piece};
use crate::segment::Segment;

/// Changes when what is remembered does.
const VERSION: &str = "hoopy SHA-256 of the beginning of an initramfs 1";

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// The hash of an initramfs up to a piece.
#[derive(Debug)]
pub struct Beginning {
    hasher: Sha256,
    /// By what the store knows it.
    id: RecipeId,
    /// Whether the store may know it.
    is_public: bool,
}

impl Beginning {
    /// Before the first piece.
    pub fn new() -> Self {
        Self { hasher: Sha256::new(), id: RecipeId::of_fields(VERSION, &[]), is_public: true }
    }

    /// Takes in the next piece, and has the store remember the state behind it.
    ///
    /// # Errors
    /// What reading a segment fails with.
    pub fn push(&mut self, content: &Content, store: &Store) -> Result<(), ImageError> {
        each_part(content, store, |part| self.hasher.update(part))?;
        self.id = behind(self.id, content);
        self.is_public &= !content.is_secret();
        if self.is_public {
            // Without it the next build reads the piece again.
            let _ = store.remember(self.id, &self.hasher.serialize().to_vec());
        }
        Ok(())
    }

    /// What the store knows of this beginning.
    fn recall(id: RecipeId, store: &Store) -> Option<Self> {
        let state: Vec<u8> = store.recall(id)?;
        let hasher = Sha256::deserialize(state.as_slice().try_into().ok()?).ok()?;
        Some(Self { hasher, id, is_public: true })
    }
}

/// Gives `take` the bytes of a part of an initramfs, part by part.
///
/// # Errors
/// What reading a segment fails with.
pub fn each_part(content: &Content, store: &Store, mut take: impl FnMut(&[u8])) -> Result<(), ImageError> {
    let bytes = match content {
        Content::Bytes(bytes, _) => bytes,
        Content::Secrets(archive, _) => archive.as_bytes(),
        Content::Segment(segment) => return each_part_of(segment, store, take),
    };
    take(bytes);
    Ok(())
}

fn each_part_of(segment: &Segment, store: &Store, mut take: impl FnMut(&[u8])) -> Result<(), ImageError> {
    let path = store.segment_path(segment.key);
    let mut read = || -> io::Result<()> {
        let mut file = File::open(&path)?.take(segment.size);
        let (mut chunk, mut left) = (vec![0; CHUNK], segment.size);
        while left > 0 {
            let count = file.read(&mut chunk)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            take(chunk.get(..count).unwrap_or_default());
            left -= count as u64;
        }
        Ok(())
    };
    read().map_err(|source| ImageError::Io { path, source })
}

/// By what the store knows the beginning `id` with this piece behind it.
fn behind(id: RecipeId, content: &Content) -> RecipeId {
    RecipeId::of_fields(VERSION, &[id.as_bytes(), content.digest().as_bytes()])
}

/// The digest of these pieces end to end: what the store does not know of their beginning is read.
///
/// # Errors
/// What reading a segment fails with.
pub fn initramfs_digest(pieces: &[Piece], store: &Store) -> Result<[u8; 32], ImageError> {
    let public = pieces.iter().take_while(|piece| !piece.content.is_secret());
    let ids: Vec<RecipeId> = public
        .scan(Beginning::new().id, |id, piece| {
            *id = behind(*id, &piece.content);
            Some(*id)
        })
        .collect();
    let known = (1..=ids.len())
        .rev()
        .find_map(|count| Some((count, Beginning::recall(*ids.get(count - 1)?, store)?)));
    let (count, mut beginning) = known.unwrap_or_else(|| (0, Beginning::new()));
    for piece in pieces.iter().skip(count) {
        beginning.push(&piece.content, store)?;
    }
    Ok(beginning.hasher.finalize().into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use hoopy_base::digest::ContentId;
    use hoopy_secrets::Plaintext;

    use super::*;

    fn piece(bytes: &[u8]) -> Piece {
        Piece { origins: Vec::new(), content: Content::Bytes(bytes.into(), ContentId::of(bytes)) }
    }

    #[test]
    fn it_is_the_digest_of_all_bytes_whatever_the_store_knows() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        // Around the block of 64 bytes, of which a part may be waiting.
        let parts: Vec<Vec<u8>> = [0, 1, 63, 64, 65, 200].map(|len| vec![len as u8; len]).into();
        for last in [&b"one"[..], b"two", b"one"] {
            for count in 0..=parts.len() {
                let all: Vec<&[u8]> = parts.iter().take(count).map(Vec::as_slice).chain([last]).collect();
                let pieces: Vec<Piece> = all.iter().map(|part| piece(part)).collect();
                let expected: [u8; 32] = Sha256::digest(all.concat()).into();
                assert_eq!(initramfs_digest(&pieces, &store).unwrap(), expected, "{count}");
                assert_eq!(initramfs_digest(&pieces, &store).unwrap(), expected, "{count}, again");
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_secrets_and_what_is_behind_them() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let secret = Content::Secrets(Arc::new(Plaintext::new(b"geheim".to_vec())), ContentId::of(b"x"));
        let pieces = [piece(b"a"), Piece { origins: Vec::new(), content: secret }, piece(b"b")];
        let expected: [u8; 32] = Sha256::digest(b"ageheimb").into();
        assert_eq!(initramfs_digest(&pieces, &store).unwrap(), expected);
        let first = behind(Beginning::new().id, &pieces[0].content);
        let second = behind(first, &pieces[1].content);
        assert!(Beginning::recall(first, &store).is_some());
        assert!(Beginning::recall(second, &store).is_none());
        assert!(Beginning::recall(behind(second, &pieces[2].content), &store).is_none());
        assert_eq!(initramfs_digest(&pieces, &store).unwrap(), expected);
    }

    #[test]
    fn a_state_that_is_damaged_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let pieces = [piece(b"a"), piece(b"b")];
        let id = behind(Beginning::new().id, &pieces[0].content);
        for state in [Vec::new(), vec![0; 10], vec![255; 105]] {
            store.remember(id, &state).unwrap();
            assert_eq!(initramfs_digest(&pieces, &store).unwrap(), <[u8; 32]>::from(Sha256::digest(b"ab")));
        }
    }
}
