//! `debian-libicu72` without the 31 MB of data that Debian links into it: Alpine's ICU has its data in packages of their own,
//! and what loads ICU here does without. A library with an empty table of contents stands in for it (ICU's `stubdata`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::Target;
use crate::chores;

/// What Debian's package is called, up to its version.
const START: &str = "libicu";

/// The libraries that are taken.
const TAKEN: [&str; 2] = ["libicui18n.so", "libicuuc.so"];

/// ICU's version, where this is its package.
pub fn version(deb: &str) -> Option<&str> {
    deb.strip_prefix(START).filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a library of the package is taken as it is.
pub fn is_taken(name: &str) -> bool {
    TAKEN.iter().any(|start| name.starts_with(start))
}

/// Makes the library without data in `dir`; gives its file.
pub fn without_data(version: &str, target: &Target, dir: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("libicudata.so.{version}");
    let (source, object, library) = (dir.join("data.s"), dir.join("data.o"), dir.join(&name));
    std::fs::write(&source, data(version)).with_context(|| format!("write {}", source.display()))?;
    let program = |name: &str| Command::new(format!("{}-linux-gnu-{name}", target.arch));
    chores::command(program("as").arg("-o").arg(&object).arg(&source))?;
    let mut link = program("ld");
    link.args(["-shared", "-s", "-z", "noseparate-code", "-soname", &name]);
    chores::command(link.arg("-o").arg(&library).arg(&object))?;
    Ok(library)
}

/// The header of ICU's data (`udata.h`: size, magic, `UDataInfo`), and a table of contents of no entries.
fn data(version: &str) -> String {
    format!(
        "\t.globl icudt{version}_dat\n\t.type icudt{version}_dat, @object\n\t.size icudt{version}_dat, 48\n\
         \t.section .rodata\n\t.balign 16\nicudt{version}_dat:\n\
         \t.short 32\n\t.byte 0xda, 0x27\n\
         \t.short 20, 0\n\t.byte 0, 0, 2, 0\n\t.ascii \"ToCP\"\n\t.byte 1, 0, 0, 0, 0, 0, 0, 0\n\t.zero 8\n\
         \t.long 0, 0\n\t.zero 8\n\t.section .note.GNU-stack,\"\",@progbits\n"
    )
}
