//! Samba as a file server and its client, out of Debian's packages under the names that Alpine uses.
//!
//! Debian's `samba-libs` serves domain controllers, Python and tools as well. What is taken of it is what the programs here
//! load: their lists of needed libraries are followed, since a system in memory has no room for the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use hoopy_apk::Record;
use hoopy_apk::signature::SigningKey;

use super::Target;
use super::debian::Deb;
use super::libraries;
use super::package::Package;

/// A package, and what it is made of.
pub struct Part {
    /// Alpine's name.
    pub name: &'static str,
    /// Debian's packages.
    pub debian: &'static [&'static str],
    programs: &'static [&'static str],
    depends: &'static [&'static str],
}

/// The packages with programs.
pub const PARTS: [Part; 3] = [
    Part {
        name: "samba-server",
        debian: &["samba", "samba-common-bin", "samba-vfs-modules"],
        programs: &[
            "usr/sbin/smbd",
            // They tell which shares there are
            "usr/libexec/samba/rpcd_classic",
            "usr/libexec/samba/rpcd_epmapper",
            "usr/libexec/samba/rpcd_winreg",
            "usr/libexec/samba/samba-dcerpcd",
            // Previous versions, and what clients of macOS expect
            "usr/lib/x86_64-linux-gnu/samba/vfs/catia.so",
            "usr/lib/x86_64-linux-gnu/samba/vfs/fruit.so",
            "usr/lib/x86_64-linux-gnu/samba/vfs/shadow_copy2.so",
            "usr/lib/x86_64-linux-gnu/samba/vfs/streams_xattr.so",
        ],
        depends: &["samba-common-tools"],
    },
    Part {
        name: "samba-common-tools",
        debian: &["samba-common-bin", "samba"],
        programs: &["usr/bin/pdbedit", "usr/bin/smbpasswd", "usr/bin/testparm"],
        depends: &[],
    },
    Part { name: "samba-client", debian: &["smbclient"], programs: &["usr/bin/smbclient"], depends: &[] },
];

/// The package with what they all load of Samba's own.
pub const LIBS: &str = "samba-libs";

/// Debian's packages whose libraries the programs load.
pub const LOADED: [&str; 3] = ["samba", "samba-libs", "smbclient"];

/// Makes them in `dir`; gives their index records. The libraries of others are [`libraries`]' affair.
pub fn all(target: &Target, dir: &Path, key: &SigningKey) -> anyhow::Result<Vec<Record>> {
    let own = Deb::find(LIBS, target)?;
    let mut libs = Package::new(LIBS, &format!("{}-r0", own.version), target);
    libraries::depend(&mut libs, &own);
    let mut records = Vec::new();
    let mut files = Vec::new();
    for part in &PARTS {
        let trees = trees(part.debian, target)?;
        let mut package = Package::new(part.name, &format!("{}-r0", own.version), target);
        package.depends(LIBS);
        part.depends.iter().for_each(|other| package.depends(other));
        let loads = part.debian.iter().filter(|name| LOADED.contains(name));
        for name in loads {
            libraries::depend(&mut package, &Deb::find(name, target)?);
        }
        for program in part.programs {
            let file = trees.iter().map(|tree| tree.join(program)).find(|file| file.is_file());
            let file = file.with_context(|| format!("{:?} have no {program}", part.debian))?;
            let (dir, name) = program.rsplit_once('/').context("a program without a directory")?;
            package = package.file(dir, name, &file)?;
            files.push(file);
        }
        if part.name == "samba-server" {
            package.text("etc/init.d", "samba", 0o755, include_str!("samba.initd"));
            package.text("etc/conf.d", "samba", 0o644, include_str!("samba.confd"));
            package.text("etc/samba", "smb.conf", 0o644, "[global]\n\tserver role = standalone server\n");
        }
        records.push(package.write(dir, key)?);
    }
    records.push(with_loaded(libs, &own, files, target)?.write(dir, key)?);
    Ok(records)
}

fn trees(debs: &[&str], target: &Target) -> anyhow::Result<Vec<PathBuf>> {
    debs.iter().map(|name| Deb::find(name, target)?.tree()).collect()
}

/// Adds those libraries of Samba's that the programs load, and that those load.
fn with_loaded(
    mut package: Package,
    deb: &Deb,
    programs: Vec<PathBuf>,
    target: &Target,
) -> anyhow::Result<Package> {
    let tree = deb.tree()?;
    let place = format!("usr/lib/{}-linux-gnu", target.arch);
    let mut places = BTreeMap::new();
    for dir in [place.clone(), format!("{place}/samba")] {
        for entry in fs::read_dir(tree.join(&dir))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            places.insert(name, dir.clone());
        }
    }
    let mut taken = BTreeSet::new();
    let mut next = programs;
    while let Some(file) = next.pop() {
        for name in needed(&file, target)? {
            let Some(dir) = places.get(&name) else { continue };
            if !taken.insert(name.clone()) {
                continue;
            }
            let file = tree.join(dir).join(&name);
            // Its name leads to the file, which has the whole version
            if let Ok(to) = fs::read_link(&file) {
                let to = to.to_string_lossy().into_owned();
                package = package.file(dir, &to, &tree.join(dir).join(&to))?;
            }
            package = package.file(dir, &name, &file)?;
            next.push(file);
        }
    }
    Ok(package)
}

/// The libraries that a program or library names as needed.
fn needed(file: &Path, target: &Target) -> anyhow::Result<Vec<String>> {
    let program = format!("{}-linux-gnu-objdump", target.arch);
    let run = Command::new(&program).arg("-p").arg(file).output();
    let out = run.with_context(|| format!("run {program}, which Debian's binutils-x86-64-linux-gnu has"))?;
    ensure!(out.status.success(), "{program} {}: {}", file.display(), String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let names = said.lines().filter_map(|line| line.trim().strip_prefix("NEEDED"));
    Ok(names.map(|name| name.trim().to_owned()).collect())
}
