//! Layers: content-addressed lists of file entries. A package is one, what a script changed is one, `root/` is
//! one. An image is an ordered list of them.

pub mod builder;
mod contents;
pub mod entry;
pub mod files;
pub mod frame;
pub mod modules;
pub mod package;
pub mod path;
pub mod stored;
pub mod stream;
mod tar;

pub use entry::{Entry, Kind, Owner, Xattrs};
pub use path::{BadPath, EntryPath, is_within, overlap};
pub use stored::Layer;
