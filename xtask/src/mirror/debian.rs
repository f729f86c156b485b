//! Debian's packages: what apt knows of them, downloaded and unpacked once.
//!
//! `target/mirror-source/debian/SHA256/` is the tree of the package with that digest, which apt's signed lists name. What
//! is there is never fetched or unpacked again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::Target;
use crate::chores;

/// A package, as apt's lists have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deb {
    /// Its name.
    pub name: String,
    /// Its version, without the epoch and what Debian adds: `4.3.1`.
    pub version: String,
    /// The names of what it depends on; of alternatives the first.
    pub depends: Vec<String>,
    /// How apt is asked for this very one: `podman:amd64=4.3.1+ds1-8`.
    request: String,
    sha256: String,
    /// The configuration of the apt that knows it (`APT_CONFIG`), where that is not this machine's own.
    configuration: Option<PathBuf>,
}

/// Lets apt fetch packages of these architectures.
pub fn prepare(targets: &[&Target]) -> anyhow::Result<()> {
    for target in targets {
        chores::run("dpkg", &["--add-architecture", target.debian])?;
    }
    chores::run("apt-get", &["update", "-q"])
}

impl Deb {
    /// The package that apt would install.
    pub fn find(name: &str, target: &Target) -> anyhow::Result<Self> {
        let found = Self::find_all(&[name.to_owned()], target)?;
        let found = match found.into_iter().next() {
            Some(deb) => Some(deb),
            None => Self::find_for_all(name, target)?,
        };
        found.with_context(|| format!("apt knows no package {name} of {}", target.debian))
    }

    /// A package for every architecture, which apt knows as one of this computer's own.
    fn find_for_all(name: &str, target: &Target) -> anyhow::Result<Option<Self>> {
        let out = apt("apt-cache", None).args(["show", "--no-all-versions", name]).output()?;
        let found = String::from_utf8_lossy(&out.stdout).into_owned();
        let is_for_all = |text: &&str| text.lines().any(|line| line == "Architecture: all");
        Ok(found.split("\n\n").filter(is_for_all).find_map(|text| parse(text, target)))
    }

    /// The same of several; those that apt does not know are left out.
    pub fn find_all(names: &[String], target: &Target) -> anyhow::Result<Vec<Self>> {
        Self::find_all_with(None, names, target)
    }

    /// The same of an apt with another configuration.
    pub fn find_all_with(
        configuration: Option<&Path>,
        names: &[String],
        target: &Target,
    ) -> anyhow::Result<Vec<Self>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let asked = names.iter().map(|name| format!("{name}:{}", target.debian));
        let mut apt = apt("apt-cache", configuration);
        let out = apt.args(["show", "--no-all-versions"]).args(asked).output()?;
        let found = String::from_utf8_lossy(&out.stdout).into_owned();
        let found = found.split("\n\n").filter_map(|text| parse(text, target));
        Ok(found.map(|deb| Self { configuration: configuration.map(Path::to_owned), ..deb }).collect())
    }

    /// The directory with its files.
    pub fn tree(&self) -> anyhow::Result<PathBuf> {
        let all = chores::target().join("mirror-source/debian");
        let tree = all.join(&self.sha256);
        if !tree.exists() {
            fs::create_dir_all(&all)?;
            let work = tempfile::Builder::new().prefix("new-").tempdir_in(&all)?;
            let file = self.download(&work.path().join("deb")).with_context(|| self.request.clone())?;
            let unpacked = work.path().join("tree");
            chores::command(Command::new("dpkg").arg("-x").arg(file).arg(&unpacked))?;
            fs::rename(unpacked, &tree)?;
        }
        Ok(tree)
    }

    /// A directory with those of its files that are `wanted`, by their paths. Of a large package the rest is never on the
    /// disk.
    pub fn pruned_tree(&self, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<PathBuf> {
        let all = chores::target().join("mirror-source/debian");
        fs::create_dir_all(&all)?;
        let work = tempfile::Builder::new().prefix("new-").tempdir_in(&all)?;
        let archive = self.archive(&all)?;
        let out = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&archive).output()?;
        ensure!(out.status.success(), "{}: {}", self.request, String::from_utf8_lossy(&out.stderr));
        let data = work.path().join("data.tar");
        fs::write(&data, &out.stdout)?;
        let listed = Command::new("tar").arg("-tf").arg(&data).output()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let chosen: String = listed
            .lines()
            .filter(|path| !path.ends_with('/') && wanted(path.trim_start_matches("./")))
            .map(|path| format!("{path}\n"))
            .collect();
        // What is wanted may change while the package does not
        let mut digest = Sha256::new();
        digest.update(self.sha256.as_bytes());
        digest.update(chosen.as_bytes());
        let tree = all.join(format!("pruned-{}", HEXLOWER.encode(&digest.finalize())));
        if !tree.exists() {
            let (names, unpacked) = (work.path().join("names"), work.path().join("tree"));
            fs::write(&names, chosen)?;
            fs::create_dir(&unpacked)?;
            let mut tar = Command::new("tar");
            tar.arg("-xf").arg(&data).arg("-C").arg(&unpacked).arg("-T").arg(&names);
            chores::command(&mut tar)?;
            fs::rename(unpacked, &tree)?;
        }
        Ok(tree)
    }

    /// The package's file, fetched once.
    fn archive(&self, all: &Path) -> anyhow::Result<PathBuf> {
        let kept = all.join(format!("{}.deb", self.sha256));
        if !kept.exists() {
            let work = tempfile::Builder::new().prefix("new-").tempdir_in(all)?;
            fs::rename(self.download(work.path()).with_context(|| self.request.clone())?, &kept)?;
        }
        Ok(kept)
    }

    fn download(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(dir)?;
        // The directory is this user's alone, and apt's own user for downloads could not write to it.
        let user = ["-o", "APT::Sandbox::User=root"];
        let mut apt = apt("apt-get", self.configuration.as_deref());
        chores::command(apt.args(["download", "-qq"]).args(user).arg(&self.request).current_dir(dir))?;
        let file = fs::read_dir(dir)?.next().context("apt downloaded nothing")??.path();
        let out = Command::new("sha256sum").arg(&file).output()?;
        let found = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(found.starts_with(&self.sha256), "expected SHA-256 {}, found {found}", self.sha256);
        Ok(file)
    }
}

/// A program of apt, with a configuration.
fn apt(program: &str, configuration: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    command.envs(configuration.map(|path| ("APT_CONFIG", path)));
    command
}

/// A paragraph of apt's lists (deb822(5)).
fn parse(text: &str, target: &Target) -> Option<Deb> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let (name, version) = (field("Package")?, field("Version")?);
    let depends = ["Pre-Depends", "Depends"].into_iter().filter_map(field).flat_map(|all| all.split(','));
    let first = |one: &str| one.split(['|', '(', ':']).next().map(|name| name.trim().to_owned());
    let architecture = if field("Architecture")? == "all" { "all" } else { target.debian };
    Some(Deb {
        name: name.to_owned(),
        version: upstream(version),
        depends: depends.filter_map(first).collect(),
        request: format!("{name}:{architecture}={version}"),
        sha256: field("SHA256")?.to_owned(),
        configuration: None,
    })
}

/// The numbers that a version begins with: `2.6.1` of `2:2.6.1-4~deb12u2`.
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version.get(..end).unwrap_or_default().trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::TARGETS;
    use super::*;

    #[test]
    fn a_paragraph_of_apts_lists_tells_version_and_dependencies() {
        let text = "Package: crun\nVersion: 2:1.8.1+ds-1\nArchitecture: amd64\nPre-Depends: libc6 (>= 2.36)\n\
                    Depends: libcap2 (>= 1:2.10), runc:any | crun2, libyajl2\nSHA256: abc\n";
        let deb = parse(text, &TARGETS[0]).unwrap();
        assert_eq!((deb.name.as_str(), deb.version.as_str()), ("crun", "1.8.1"));
        assert_eq!(deb.depends, ["libc6", "libcap2", "runc", "libyajl2"]);
        assert_eq!(deb.request, "crun:amd64=2:1.8.1+ds-1");
    }

    #[test]
    fn a_package_of_every_architecture_is_asked_for_as_such() {
        let text = "Package: common\nVersion: 1-1\nArchitecture: all\nSHA256: abc\n";
        assert_eq!(parse(text, &TARGETS[1]).unwrap().request, "common:all=1-1");
    }
}
