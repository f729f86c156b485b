//! Packs the systems that `hoopy init --template` writes: `templates/NAME` leads to `examples/NAME`, the one source. A new
//! link there is a new template.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{Error, Result};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What builds leave in a system directory, and what `init` writes itself.
const LEFT_OUT: [&str; 2] = ["images", ".gitignore"];

fn main() -> Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| Error::other(name));
    let top = variable("CARGO_MANIFEST_DIR")?.join("templates");
    println!("cargo::rerun-if-changed={}", top.display());
    let mut code = String::from("&[\n");
    for (name, dir) in entries(&top)? {
        let mut files = Vec::new();
        walk(&dir, "", &mut files)?;
        writeln!(code, "Template {{ name: {name:?}, files: &[").map_err(Error::other)?;
        for (path, file) in files {
            let mode = if fs::metadata(&file)?.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            writeln!(code, "({path:?}, {mode}, include_str!({file:?})),").map_err(Error::other)?;
        }
        code += "] },\n";
    }
    code += "]\n";
    fs::write(variable("OUT_DIR")?.join("templates.rs"), code)
}

/// The files below `dir`, in order, each with its path from there.
fn walk(dir: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    // The directory that a link leads to: cargo looks at the link alone.
    println!("cargo::rerun-if-changed={}", fs::canonicalize(dir)?.display());
    for (name, path) in entries(dir)? {
        let is_lock = name.starts_with("hoopy") && name.ends_with(".lock");
        if is_lock || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), files)?;
        } else {
            files.push((format!("{prefix}{name}"), fs::canonicalize(path)?));
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entry = |entry: Result<fs::DirEntry>| {
        entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
    };
    let mut all: Vec<_> = fs::read_dir(dir)?.map(entry).collect::<Result<_>>()?;
    all.sort();
    Ok(all)
}
