//! Unified kernel images: one PE file that the firmware starts, with the kernel, the initramfs and the command
//! line as sections of systemd's stub.
//!
//! ```text
//! stub ──pe::Image──┐
//! sections ─────────┴─Plan──▶ extents: bytes, or "the initramfs goes here"
//! ```
//!
//! An image is [described](Plan), then consumed: writing it, hashing it and shipping it all walk the same
//! extents, and the initramfs never has to be in memory.
//!
//! One section of a finished image is [replaced](Replaced) likewise: described, with all other bytes left where they
//! are.
//!
//! Source of the format: systemd `src/boot/efi/stub.c`, `src/fundamental/uki.h`, `src/ukify/ukify.py`, the UAPI
//! group's "Unified Kernel Image" specification; for PE, Microsoft's "PE Format".

mod assemble;
pub mod certificate;
mod checksum;
pub mod kernel;
mod layout;
pub mod manifest;
pub mod pe;
mod replace;
pub mod sbat;
mod section;
mod whole;

pub use assemble::{Extent, Plan, PlanError, SectionData, Whereabouts};
pub use checksum::Checksum;
pub use replace::{ReplaceError, Replaced, read_headers, read_section, rewrite};
pub use section::Section;
pub use whole::is_whole;
