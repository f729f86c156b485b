//! The packages of ZFS, under the names that Alpine uses.

use std::path::Path;

use hoopy_apk::Record;
use hoopy_apk::signature::SigningKey;

use super::modules::MODULES;
use super::{Debian, Linux};
use crate::mirror::debian::Deb;
use crate::mirror::libraries;
use crate::mirror::package::Package;

/// Debian's package with the programs, and those with ZFS's own libraries.
const PROGRAMS: &str = "zfsutils-linux";
const LIBRARIES: [&str; 4] = ["libnvpair3linux", "libuutil3linux", "libzfs4linux", "libzpool5linux"];

/// The programs that are taken.
const TAKEN: [&str; 4] = ["mount.zfs", "zdb", "zfs", "zpool"];

/// The services of `zfs-openrc`.
pub const SERVICES: [(&str, &str); 3] = [
    ("zfs-import", include_str!("zfs-import.initd")),
    ("zfs-load-key", include_str!("zfs-load-key.initd")),
    ("zfs-mount", include_str!("zfs-mount.initd")),
];

/// Makes them in `dir`, with the libraries that none of `have` is; gives their index records.
pub(super) fn all(
    debian: &Debian,
    linux: &Linux,
    modules: &Path,
    dir: &Path,
    key: &SigningKey,
    have: &[Record],
) -> anyhow::Result<Vec<Record>> {
    let programs = debian.find(&[PROGRAMS])?.remove(0);
    let own = debian.find(&LIBRARIES)?;
    let version = format!("{}-r0", programs.version);
    let mut records = Vec::new();
    // Those of contrib are left out, which this machine's apt does not know: they are in zfs-libs.
    for library in libraries::of_debs(&[std::slice::from_ref(&programs), &own].concat(), debian.target)? {
        if have.iter().all(|record| *record.name != *library.name()) {
            records.push(library.write(dir, key)?);
        }
    }
    let mut zfs = Package::new("zfs", &version, debian.target);
    zfs.depends("zfs-libs");
    let tree = programs.tree()?;
    for program in TAKEN {
        zfs = zfs.file("sbin", program, &tree.join("sbin").join(program))?;
    }
    records.push(zfs.write(dir, key)?);
    records.push(zfs_libs(&programs, &own, &version, debian)?.write(dir, key)?);
    let mut openrc = Package::new("zfs-openrc", &version, debian.target);
    openrc.depends("zfs");
    for (name, text) in SERVICES {
        openrc.text("etc/init.d", name, 0o755, text);
    }
    records.push(openrc.write(dir, key)?);
    let kernel = linux.package.split_once('=').map_or("", |(_, version)| version);
    let mut lts = Package::new("zfs-lts", kernel, debian.target);
    lts.depends(&linux.package);
    let place = format!("lib/modules/{}/extra", linux.release);
    for module in MODULES {
        let file = format!("{module}.ko");
        lts = lts.file(&place, &file, &modules.join(&file))?;
    }
    records.push(lts.write(dir, key)?);
    Ok(records)
}

/// ZFS's own libraries, and what they and the programs load beside.
fn zfs_libs(programs: &Deb, own: &[Deb], version: &str, debian: &Debian) -> anyhow::Result<Package> {
    let mut package = Package::new("zfs-libs", version, debian.target);
    let mut needed: Vec<String> = own
        .iter()
        .chain([programs])
        .flat_map(libraries::needed)
        .filter(|name| !LIBRARIES.contains(&name.as_str()))
        .cloned()
        .collect();
    needed.sort();
    needed.dedup();
    needed.iter().for_each(|name| package.depends(&libraries::name(name)));
    for deb in own {
        package = libraries::add(package, &deb.tree()?, debian.target, |_| true)?;
    }
    Ok(package)
}
