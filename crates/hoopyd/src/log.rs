//! What the owner should find in the log: lines on standard error, which the service sends there.

use std::io::{self, Write as _};

/// Writes a line. Where standard error is closed, nothing can be said about it.
pub fn line(text: &str) {
    let _ = writeln!(io::stderr(), "hoopyd: {text}");
}
