//! Overlays that come over, a directory a case: `cases/NAME/`.
//!
//! - `overlay/` holds the files of the overlay, as root's, 0644 or 0755.
//! - `tree` says what git cannot: `MODE UID:GID PATH`, a directory where the path ends with `/`, a link where
//!   `-> TARGET` follows, a hard link where `=> TARGET` follows, a device where ` c 1 3` follows.
//! - `packages`, where it is there, are packages beside those of the stand-in mirror.
//! - `encrypted`, where it is there, is a cipher and a passphrase: Debian's `openssl` encrypts the overlay.
//! - `options`, where it is there, holds `kernel FLAVOR` or `plain-secrets`.
//! - `expected.txt` is what comes of it: the directory, the report, and what `hoopy check` finds in the built root.
//!
//! `UPDATE_EXPECTED=1` writes the last anew. Whatever is expected, each case's directory is built, and the root that comes
//! of it is compared with the overlay: it has all of it but what the report names.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod case;
mod proof;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("__sandbox") => return hoopy_sandbox::helper_main(),
        Some("--list") => return ExitCode::SUCCESS,
        _ => {}
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).cloned().unwrap_or_default();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases");
    let mut dirs: Vec<_> = std::fs::read_dir(cases).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.retain(|dir| dir.is_dir() && dir.to_string_lossy().contains(&filter));
    dirs.sort();
    assert!(!dirs.is_empty(), "no case is called like {filter:?}");
    let mut failed = 0;
    for dir in dirs {
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let passed = catch_unwind(AssertUnwindSafe(|| case::run(&dir))).is_ok();
        println!("{name}: {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
