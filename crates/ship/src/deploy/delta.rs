//! What to send: the new image, without the pieces that images on the machine already contain.
//!
//! Pieces are found by digest. Neighbours that are neighbours in the old image too are copied as one, so that a
//! change of one file makes a handful of lines however many pieces there are.

use std::collections::HashMap;
use std::ops::Range;

use hoopy_base::digest::ContentId;

use super::images::{NewImage, RemoteImage};

/// A stretch of the new file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stretch {
    /// Bytes of a file on the machine.
    Copy {
        /// Its path there.
        from: String,
        /// Where in it.
        offset: u64,
        /// In bytes.
        size: u64,
    },
    /// Bytes of the new file, which are sent.
    Send(Range<u64>),
}

/// Pieces below this are sent: saying where they lie would cost as much.
const MIN_COPIED: u64 = 64;

/// The new image as stretches. `there` are the images to copy from.
pub fn between(new: &NewImage, there: &[&RemoteImage]) -> Vec<Stretch> {
    let mut known: HashMap<ContentId, (&RemoteImage, u64)> = HashMap::new();
    for image in there {
        for piece in &image.pieces {
            known.entry(piece.sha256).or_insert((image, piece.offset));
        }
    }
    let mut stretches = Vec::new();
    let mut at = 0;
    for piece in new.pieces.iter().filter(|piece| piece.size >= MIN_COPIED) {
        let Some((image, offset)) = known.get(&piece.sha256) else { continue };
        // A manifest that lies about sizes is found out by the digest of the whole, a file that is too short at once.
        if offset.saturating_add(piece.size) > image.size {
            continue;
        }
        send(&mut stretches, at..piece.offset);
        copy(&mut stretches, &image.path, *offset, piece.size);
        at = piece.offset + piece.size;
    }
    send(&mut stretches, at..new.size);
    stretches
}

/// All of it is sent.
pub fn whole(new: &NewImage) -> Vec<Stretch> {
    vec![Stretch::Send(0..new.size)]
}

/// How many bytes are sent.
pub fn sent(stretches: &[Stretch]) -> u64 {
    let size = |s: &Stretch| if let Stretch::Send(range) = s { range.end - range.start } else { 0 };
    stretches.iter().map(size).sum()
}

fn send(stretches: &mut Vec<Stretch>, range: Range<u64>) {
    if !range.is_empty() {
        stretches.push(Stretch::Send(range));
    }
}

fn copy(stretches: &mut Vec<Stretch>, path: &str, at: u64, more: u64) {
    if let Some(Stretch::Copy { from, offset, size }) = stretches.last_mut()
        && from == path
        && *offset + *size == at
    {
        *size += more;
        return;
    }
    stretches.push(Stretch::Copy { from: path.to_owned(), offset: at, size: more });
}

/// The lines that the machine reads.
pub fn lines(stretches: &[Stretch]) -> String {
    let line = |stretch: &Stretch| match stretch {
        Stretch::Copy { from, offset, size } => format!("copy\t{from}\t{offset}\t{size}"),
        Stretch::Send(range) => format!("send\t{}", range.end - range.start),
    };
    stretches.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use hoopy_base::arch::Arch;
    use hoopy_uki::manifest::Piece;
    use proptest::prelude::*;

    use super::*;

    /// A file of pieces, each of which is one letter over and over, with a header of 32 bytes before them.
    fn file(letters: &[u8]) -> (Vec<u8>, Vec<Piece>) {
        let mut bytes = vec![b'h'; 32];
        let mut pieces = Vec::new();
        for letter in letters {
            let content = vec![*letter; usize::from(*letter)];
            pieces.push(Piece {
                offset: bytes.len() as u64,
                size: content.len() as u64,
                sha256: ContentId::of(&content),
                section: String::new(),
                origins: Vec::new(),
            });
            bytes.extend(content);
        }
        (bytes, pieces)
    }

    fn new(bytes: &[u8], pieces: Vec<Piece>) -> NewImage {
        NewImage {
            path: "new".into(),
            size: bytes.len() as u64,
            sha256: ContentId::of(bytes),
            name: "nas-1".to_owned(),
            system: "nas".to_owned(),
            version: "1".to_owned(),
            os_release: hoopy_boot::os_release::OsRelease::default(),
            arch: Arch::X86_64,
            pieces,
        }
    }

    fn old(path: &str, bytes: &[u8], pieces: Vec<Piece>) -> RemoteImage {
        RemoteImage { path: path.to_owned(), size: bytes.len() as u64, pieces, ..RemoteImage::default() }
    }

    #[test]
    fn a_changed_piece_is_sent_and_its_neighbours_are_copied_as_one_each() {
        let (old_bytes, old_pieces) = file(b"abcXdef");
        let (bytes, pieces) = file(b"abcYdef");
        let stretches = between(&new(&bytes, pieces), &[&old("o", &old_bytes, old_pieces)]);
        let sizes = |letters: &[u8]| letters.iter().map(|l| u64::from(*l)).sum::<u64>();
        let copy = |offset, size| Stretch::Copy { from: "o".to_owned(), offset, size };
        let (abc, x, y, def) = (sizes(b"abc"), sizes(b"X"), sizes(b"Y"), sizes(b"def"));
        let sent = 32 + abc..32 + abc + y;
        assert_eq!(
            stretches,
            [Stretch::Send(0..32), copy(32, abc), Stretch::Send(sent), copy(32 + abc + x, def)]
        );
        assert_eq!(super::sent(&stretches), 32 + y);
    }

    #[test]
    fn a_manifest_that_points_behind_its_file_is_not_followed() {
        let (bytes, pieces) = file(b"abc");
        let liar = old("o", &bytes[..40], pieces.clone());
        assert_eq!(between(&new(&bytes, pieces), &[&liar]), [Stretch::Send(0..bytes.len() as u64)]);
    }

    proptest! {
        #[test]
        fn the_stretches_make_the_file(
            first in "[a-zA-Z]{0,12}", second in "[a-zA-Z]{0,12}", wanted in "[a-zA-Z]{0,20}"
        ) {
            let files = [first, second].map(|letters| file(letters.as_bytes()));
            let (bytes, pieces) = file(wanted.as_bytes());
            let there = [0, 1].map(|n| old(&n.to_string(), &files[n].0, files[n].1.clone()));
            let stretches = between(&new(&bytes, pieces), &[&there[0], &there[1]]);
            let mut made: Vec<u8> = Vec::new();
            for stretch in stretches {
                match stretch {
                    Stretch::Copy { from, offset, size } => {
                        let from = &files[usize::from(from == "1")].0;
                        made.extend(&from[offset as usize..(offset + size) as usize]);
                    }
                    Stretch::Send(range) => made.extend(&bytes[range.start as usize..range.end as usize]),
                }
            }
            prop_assert_eq!(made, bytes);
        }
    }
}
