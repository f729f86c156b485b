//! The section `.hoopy` of an image that is being made; [`hoopy_uki::manifest`] is its format.

use std::ops::Range;

use hoopy_base::digest::ContentId;
use hoopy_uki::manifest::{OWN, Piece, STUB, write};
use hoopy_uki::{Section, SectionData, Whereabouts};

use super::{Initramfs, Kernel};

/// Who made what.
pub struct Makers<'a> {
    /// The package of the EFI stub.
    pub stub: &'a str,
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The initramfs.
    pub initramfs: &'a Initramfs,
}

/// The section of an image that is laid out so.
pub fn describe(places: &Whereabouts<'_>, makers: &Makers<'_>) -> Vec<u8> {
    let piece = |range: Range<u64>, sha256, section: &str, origins: &[String]| Piece {
        offset: range.start,
        size: range.end - range.start,
        sha256,
        section: section.to_owned(),
        origins: origins.to_vec(),
    };
    let [own, by_stub, by_kernel] =
        [OWN, makers.stub, &makers.kernel.package].map(|origin| [origin.to_owned()]);
    let stub = ContentId::of(places.stub_bytes);
    let mut pieces = vec![piece(places.stub.clone(), stub, STUB, &by_stub)];
    for (section, data, range) in places.sections() {
        match (section, data) {
            (Section::Linux, _) => {
                pieces.push(piece(range, makers.kernel.content, section.name(), &by_kernel));
            }
            (_, SectionData::Bytes(bytes)) => {
                pieces.push(piece(range, ContentId::of(bytes), section.name(), &own));
            }
            (_, SectionData::External { .. } | SectionData::Kernel(_)) => {
                let mut at = range.start;
                for part in &makers.initramfs.pieces {
                    let end = at + part.size();
                    pieces.push(piece(at..end, part.digest(), section.name(), &part.origins));
                    at = end;
                }
            }
        }
    }
    write(&pieces)
}
