//! The files of a release, below a prefix such as `/usr`: the same in every kind of package.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use flate2::{Compression, GzBuilder};

use crate::chores;

/// A file of a release.
#[derive(Clone)]
pub struct File {
    /// Its path below the prefix.
    pub path: String,
    /// Its mode.
    pub mode: u32,
    /// What it holds.
    pub content: Vec<u8>,
}

/// Where each shell looks for completions.
pub const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/hoopy"),
    ("fish", "share/fish/vendor_completions.d/hoopy.fish"),
    ("zsh", "share/zsh/site-functions/_hoopy"),
];

/// Texts of the repository that come with the program.
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// The directory of these texts.
pub const DOCUMENT_DIR: &str = "share/doc/hoopy";

/// Manual pages and completions, which the program prints itself.
pub fn words(program: &Path) -> anyhow::Result<Vec<File>> {
    let program = &program.canonicalize().with_context(|| format!("find {}", program.display()))?;
    let mut files = Vec::new();
    for (shell, path) in COMPLETIONS {
        files.push(text(path, said(program, &["completions", shell])?));
    }
    let pages = tempfile::tempdir()?;
    said(program, &["man", "--output", &pages.path().to_string_lossy()])?;
    for page in fs::read_dir(pages.path())? {
        let page = page?;
        let name = page.file_name().to_string_lossy().into_owned();
        files.push(text(&format!("share/man/man1/{name}.gz"), packed(&fs::read(page.path())?)?));
    }
    Ok(files)
}

/// All files, sorted by path. Prints a line if there is no agent for this architecture: systems with secrets, state or a
/// page cannot be built then.
pub fn all(program: &Path, agent: &Path, arch: &str, words: &[File]) -> anyhow::Result<Vec<File>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    let mut files = words.to_vec();
    files.push(File { path: "bin/hoopy".to_owned(), mode: 0o755, content: read(program)? });
    if agent.exists() {
        let path = format!("lib/hoopy/hoopyd-{arch}");
        files.push(File { path, mode: 0o755, content: read(agent)? });
    } else {
        println!("dist: MISSING: {}, the agent for machines: cargo xtask hoopyd {arch}", agent.display());
    }
    for name in DOCUMENTS {
        files.push(text(&format!("{DOCUMENT_DIR}/{name}"), read(&chores::root().join(name))?));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The directories above these paths, each once and before what it holds.
pub fn directories<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> =
        paths.flat_map(|path| path.match_indices('/').map(|(at, _)| path[..at].to_owned())).collect();
    all.sort();
    all.dedup();
    all
}

/// Compressed, with no time and no name: equal content gives equal bytes.
pub fn packed(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    out.write_all(bytes)?;
    Ok(out.finish()?)
}

fn text(path: &str, content: Vec<u8>) -> File {
    File { path: path.to_owned(), mode: 0o644, content }
}

fn said(program: &Path, args: &[&str]) -> anyhow::Result<Vec<u8>> {
    let out = Command::new(program).args(args).output();
    let out = out.with_context(|| format!("start {}", program.display()))?;
    if !out.status.success() {
        bail!("{} {}: {}", program.display(), args.join(" "), String::from_utf8_lossy(&out.stderr));
    }
    Ok(out.stdout)
}
