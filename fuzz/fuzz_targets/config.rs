//! `hoopy.toml`, and after a NUL `packages`: a system directory is read, or refused with an error.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use hoopy_build::config::{Overrides, System};
use tempfile::TempDir;

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (toml, packages) = text.split_once('\0').unwrap_or((text, ""));
    let dir = DIR.path();
    fs::write(dir.join("hoopy.toml"), toml).expect("write hoopy.toml");
    fs::write(dir.join("packages"), packages).expect("write packages");
    let _ = System::load(dir, &Overrides::default());
});
