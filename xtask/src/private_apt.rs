//! A configuration of apt of its own: packages of other suites and components are downloaded with it, and nothing of
//! them is installed. apt's own sources stay as they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// What Debian signs its lists with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Writes it below `dir`; gives the file for `APT_CONFIG`. A source is a suite and its components, as
/// `debian trixie main`; architectures are Debian's names, the native one first.
pub fn configure(dir: &Path, sources: &[&str], architectures: &[&str]) -> anyhow::Result<PathBuf> {
    for part in ["state/lists/partial", "cache/archives/partial"] {
        let part = dir.join(part);
        fs::create_dir_all(&part).with_context(|| format!("make {}", part.display()))?;
    }
    let line = |source: &&str| format!("deb [signed-by={KEYRING}] http://deb.debian.org/{source}\n");
    write(&dir.join("sources.list"), &sources.iter().map(line).collect::<String>())?;
    let at = dir.display();
    let configuration = format!(
        "Dir::State \"{at}/state\";\nDir::Cache \"{at}/cache\";\nDir::Etc::sourcelist \"{at}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\nDir::State::status \"/dev/null\";\nAPT::Sandbox::User \"root\";\n\
         APT::Architectures {{ \"{}\"; }};\n",
        architectures.join("\"; \"")
    );
    let path = dir.join("apt.conf");
    write(&path, &configuration)?;
    Ok(path)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
