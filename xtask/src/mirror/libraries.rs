//! Libraries that Debian's programs load, where there is no glibc: one package each, called `debian-` and Debian's name
//! (`debian-libseccomp2`), and the C library once, as `debian-glibc`.
//!
//! They lie where Debian has them. The programs name their loader as Debian's do, and that looks there by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::debian::Deb;
use super::package::Package;
use super::{Target, icu};

/// The package with the C library.
pub const GLIBC: &str = "debian-glibc";

/// Debian's name of it.
const LIBC6: &str = "libc6";

/// What is taken of it: programs in other languages, debuggers and profilers need the rest.
const GLIBC_FILES: [&str; 11] = [
    "ld-linux",
    "libc.so",
    "libdl.so",
    "libm.so",
    "libnss_dns.so",
    "libnss_files.so",
    "libpthread.so",
    "libresolv.so",
    "librt.so",
    "libutil.so",
    "libanl.so",
];

/// The packages of all libraries that these packages of Debian need, and that those need.
pub fn of(debs: &[&str], target: &Target) -> anyhow::Result<Vec<Package>> {
    let programs: Vec<String> = debs.iter().map(|name| (*name).to_owned()).collect();
    of_debs(&Deb::find_all(&programs, target)?, target)
}

/// The same of packages that were found already. Libraries that this machine's apt does not know are left out.
pub fn of_debs(debs: &[Deb], target: &Target) -> anyhow::Result<Vec<Package>> {
    let mut found: BTreeMap<String, Deb> = BTreeMap::new();
    let mut next: Vec<String> =
        debs.iter().flat_map(|deb| needed(deb).cloned().collect::<Vec<_>>()).collect();
    while !next.is_empty() {
        next.sort();
        next.dedup();
        let debs = Deb::find_all(&next, target)?;
        let beyond: Vec<String> =
            debs.iter().flat_map(|deb| needed(deb).cloned().collect::<Vec<_>>()).collect();
        found.extend(debs.into_iter().map(|deb| (deb.name.clone(), deb)));
        next = beyond.into_iter().filter(|name| !found.contains_key(name)).collect();
    }
    found.values().map(|deb| package(deb, target)).collect()
}

/// Lets a package depend on the libraries that Debian's depends on.
pub fn depend(package: &mut Package, deb: &Deb) {
    for library in needed(deb) {
        package.depends(&name(library));
    }
}

/// Adds the libraries below `tree` whose names are `wanted`.
pub fn add(
    mut package: Package,
    tree: &Path,
    target: &Target,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<Package> {
    let triplet = format!("{}-linux-gnu", target.arch);
    for dir in [format!("lib/{triplet}"), format!("usr/lib/{triplet}")] {
        for entry in fs::read_dir(tree.join(&dir)).into_iter().flatten() {
            let path = entry?.path();
            let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let is_library = file.contains(".so.") || file.ends_with(".so");
            if is_library && !path.is_dir() && wanted(&file) {
                package = package.file(&dir, &file, &path)?;
            }
        }
    }
    Ok(package)
}

fn package(deb: &Deb, target: &Target) -> anyhow::Result<Package> {
    let mut package = Package::new(&name(&deb.name), &format!("{}-r0", deb.version), target);
    let tree = deb.tree()?;
    if deb.name != LIBC6 {
        depend(&mut package, deb);
        let Some(version) = icu::version(&deb.name) else { return add(package, &tree, target, |_| true) };
        let work = tempfile::tempdir()?;
        let data = icu::without_data(version, target, work.path())?;
        let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        package = package.file(&format!("usr/lib/{}-linux-gnu", target.arch), &name, &data)?;
        return add(package, &tree, target, icu::is_taken);
    }
    let mut package =
        add(package, &tree, target, |file| GLIBC_FILES.iter().any(|start| file.starts_with(start)))?;
    let triplet = format!("{}-linux-gnu", target.arch);
    // Where programs say that their loader is
    if target.arch == "x86_64" {
        package.link("lib64", "ld-linux-x86-64.so.2", &format!("../lib/{triplet}/ld-linux-x86-64.so.2"));
    } else {
        package.link("lib", "ld-linux-aarch64.so.1", &format!("{triplet}/ld-linux-aarch64.so.1"));
    }
    Ok(package)
}

/// The libraries among what a package of Debian depends on. glibc's own dependencies are for what is not taken of it.
pub fn needed(deb: &Deb) -> impl Iterator<Item = &String> {
    let is_library = |name: &str| {
        let other = ["-bin", "-common", "-data", "-modules", "-modules-db", "-runtime"];
        let other = other.iter().any(|end| name.ends_with(end));
        name == "zlib1g" || (name.starts_with("lib") && !other)
    };
    deb.depends.iter().filter(move |name| deb.name != LIBC6 && is_library(name))
}

/// What the package of a library of Debian's is called.
pub fn name(deb: &str) -> String {
    if deb == LIBC6 { GLIBC.to_owned() } else { format!("debian-{deb}") }
}
