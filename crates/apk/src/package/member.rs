//! A gzip member with a tar archive inside: what v2 packages, their signatures and indexes are made of.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::tar;

/// A member whose archive lacks its end, so that the next member's entries would follow on.
pub(crate) fn control_member(entries: &[(tar::Entry, &[u8])]) -> io::Result<Vec<u8>> {
    member(entries, false)
}

/// One gzip member with these files; with or without the archive's end.
///
/// # Errors
/// When a content is not as long as its entry says.
pub fn member<T: AsRef<[u8]>>(entries: &[(tar::Entry, T)], end: bool) -> io::Result<Vec<u8>> {
    let mut archive = tar::Writer::new(gzip(Vec::new()));
    for (entry, content) in entries {
        archive.entry(entry)?;
        archive.write_all(content.as_ref())?;
    }
    archive.finish(end)?.finish()
}

/// No time and no name in the header: equal content gives equal bytes.
pub(super) fn gzip<W: Write>(out: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).write(out, Compression::best())
}
