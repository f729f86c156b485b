//! Authenticode: signatures that firmware checks before it starts an EFI program.
//!
//! ```text
//! program   headers (checksum, directory 4 left out) | sections | padding to 8 ─SHA-256─▶ digest
//! table     (length | revision | type 2 | SignedData of the digest | padding to 8)*
//! ```
//!
//! Signing appends the table and fills the two fields that the digest leaves out; nothing else of the file changes, so
//! a signature can be added to one that is there. There is no date in it: the same program, key and certificate
//! give the same bytes.
//!
//! Source of the formats: Microsoft, "Windows Authenticode Portable Executable Signature Format" and "PE Format"; UEFI
//! 2.10, section 32.2.4.

mod scan;
mod table;
mod verify;

pub use scan::{Layout, LayoutError, Scan, Scanner};
pub use table::{Attachment, SignError, attach, sign};
pub use verify::{Refusal, Signature, signatures_in, verify};

use crate::der as write;
use crate::der::oid;

/// What is signed of a program: the SHA-256 of its bytes, less what changes when it is signed.
pub type ProgramDigest = [u8; 32];

/// `SpcIndirectDataContent`: "a PE image with this digest".
fn indirect_data(digest: &ProgramDigest) -> Vec<u8> {
    // An obsolete field with the text that Microsoft's tools put there, "<<<Obsolete>>>" in UTF-16.
    let obsolete: Vec<u8> = "<<<Obsolete>>>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let file = write::tagged(2, &[&write::tagged_string(0, &obsolete)]);
    let image_data = write::sequence(&[&write::bits(&[]), &write::tagged(0, &[&file])]);
    let kind = write::sequence(&[&write::identifier(oid::SPC_PE_IMAGE_DATA), &image_data]);
    let digest = write::sequence(&[&write::algorithm(oid::SHA256), &write::octets(digest)]);
    write::sequence(&[&kind, &digest])
}
