//! What `depmod` writes of a kernel's modules, byte for byte, without running it.
//!
//! ```text
//! modules (.ko, .ko.gz) ──▶ Module::read ──┐
//! modules.order, modules.builtin(.modinfo) ┴─▶ files ──▶ modules.dep, modules.alias, modules.symbols, ...
//! ```
//!
//! It answers where the answer depends on the modules and the lists alone, and refuses everything else: what would
//! depend on the order of a directory, on configuration, or on how depmod takes a broken module is an [`Error`], and
//! then depmod itself must be run. A module is read by itself, so that many may be read at once and none has to stay
//! unpacked.
//!
//! The files are those of kmod 34.2: later versions may write others, and callers say which they mean.

mod builtin;
mod elf;
mod error;
mod index;
mod module;
mod order;
mod text;
mod write;

pub use error::Error;
pub use module::{Module, is_module};
pub use write::{NAMES, files};

/// What the kernel's build lists, beside the modules.
#[derive(Debug, Clone, Copy)]
pub struct Lists<'a> {
    /// `modules.order`.
    pub order: &'a [u8],
    /// `modules.builtin`.
    pub builtin: &'a [u8],
    /// `modules.builtin.modinfo`.
    pub builtin_modinfo: &'a [u8],
}

/// A file in `lib/modules/VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub content: Vec<u8>,
}
