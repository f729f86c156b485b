//! What a file server and a home server need and the image lacks: Debian's programs under the names Alpine uses.
//!
//! `docs/stand-in.md` lists them, which a test compares. They are made for x86_64, and for aarch64 where
//! [`boards`](super::boards) asks for them.

use std::fs;
use std::path::Path;

use hoopy_apk::Record;
use hoopy_apk::package::ScriptKind;
use hoopy_apk::signature::SigningKey;

use super::debian::Deb;
use super::package::Package;
use super::{Target, libraries, nas, samba};

/// A package, and what it is made of.
struct StandIn {
    /// Alpine's name.
    name: &'static str,
    /// Debian's.
    debian: &'static str,
    /// The files and directories that are taken; Debian's own services, documentation and shells' completions are not.
    paths: &'static [&'static str],
    /// Links, and where they lead.
    links: &'static [(&'static str, &'static str)],
    /// Other packages beside the libraries.
    depends: &'static [&'static str],
}

const STAND_INS: [StandIn; 20] = [
    StandIn::new("aardvark-dns", "aardvark-dns", &["usr/lib/podman/aardvark-dns"]),
    StandIn::new("btrfs-progs", "btrfs-progs", &["bin", "sbin"]),
    StandIn::new("catatonit", "catatonit", &["usr/bin", "usr/libexec"]),
    StandIn::new("chrony", "chrony", &["usr/bin", "usr/sbin"]),
    StandIn::new("conmon", "conmon", &["usr/bin"]),
    StandIn {
        depends: &["debian-containers-image"],
        ..StandIn::new(
            "containers-common",
            "golang-github-containers-common",
            &["etc/containers/policy.json", "usr/share/containers"],
        )
    },
    StandIn::new("debian-containers-image", "golang-github-containers-image", &["etc/containers"]),
    StandIn::new("crun", "crun", &["usr/bin"]),
    StandIn::new("cryptsetup", "cryptsetup-bin", &["sbin"]),
    StandIn {
        links: &[
            ("usr/sbin/iptables", "xtables-nft-multi"),
            ("usr/sbin/iptables-save", "xtables-nft-multi"),
            ("usr/sbin/iptables-restore", "xtables-nft-multi"),
            ("usr/sbin/ip6tables", "xtables-nft-multi"),
            ("usr/sbin/ip6tables-save", "xtables-nft-multi"),
            ("usr/sbin/ip6tables-restore", "xtables-nft-multi"),
        ],
        ..StandIn::new(
            "iptables",
            "iptables",
            &["usr/sbin/xtables-nft-multi", "usr/lib/x86_64-linux-gnu/xtables"],
        )
    },
    StandIn::new("netavark", "netavark", &["usr/lib/podman/netavark"]),
    StandIn::new(
        "openssh-client-default",
        "openssh-client",
        &["usr/bin/ssh", "usr/bin/scp", "usr/bin/sftp", "usr/bin/ssh-add", "usr/bin/ssh-agent"],
    ),
    StandIn::new("openssh-keygen", "openssh-client", &["usr/bin/ssh-keygen", "usr/bin/ssh-keyscan"]),
    StandIn {
        depends: &["openssh-keygen"],
        ..StandIn::new("openssh-server", "openssh-server", &["usr/sbin/sshd"])
    },
    StandIn {
        depends: &[
            "aardvark-dns",
            "catatonit",
            "conmon",
            "containers-common",
            "crun",
            "iptables",
            "netavark",
        ],
        ..StandIn::new("podman", "podman", &["usr/bin/podman", "usr/lib/podman"])
    },
    StandIn::new("rsync", "rsync", &["usr/bin/rsync"]),
    StandIn::new(
        "runit",
        "runit",
        &[
            "usr/bin/chpst",
            "usr/bin/runsv",
            "usr/bin/runsvdir",
            "usr/bin/sv",
            "usr/bin/svlogd",
            "usr/sbin/runsvchdir",
        ],
    ),
    StandIn::new("shadow-subids", "uidmap", &["usr/bin/newgidmap", "usr/bin/newuidmap"]),
    StandIn::new("slirp4netns", "slirp4netns", &["usr/bin/slirp4netns"]),
    StandIn::new(
        "smartmontools",
        "smartmontools",
        &["usr/sbin/smartctl", "usr/sbin/smartd", "var/lib/smartmontools"],
    ),
];

impl StandIn {
    const fn new(name: &'static str, debian: &'static str, paths: &'static [&'static str]) -> Self {
        Self { name, debian, paths, links: &[], depends: &[] }
    }

    fn package(&self, target: &Target) -> anyhow::Result<Package> {
        let deb = Deb::find(self.debian, target)?;
        let tree = deb.tree()?;
        let mut package = Package::new(self.name, &format!("{}-r0", deb.version), target);
        libraries::depend(&mut package, &deb);
        self.depends.iter().for_each(|other| package.depends(other));
        for path in self.paths {
            let path = &*path.replace("x86_64-linux-gnu", &format!("{}-linux-gnu", target.arch));
            anyhow::ensure!(tree.join(path).exists(), "Debian's {} has no {path}", self.debian);
            package = add(package, &tree, path)?;
        }
        for (link, to) in self.links {
            let (dir, name) = link.rsplit_once('/').unwrap_or(("", link));
            package.link(dir, name, to);
        }
        match self.name {
            "chrony" => {
                package.text("etc/init.d", "chronyd", 0o755, include_str!("chronyd.initd"));
                package.script(ScriptKind::PreInstall, &account("chrony", "/var/lib/chrony"));
            }
            "openssh-server" => {
                package.text("etc/init.d", "sshd", 0o755, include_str!("sshd.initd"));
                package.script(ScriptKind::PreInstall, &account("sshd", "/dev/null"));
            }
            "smartmontools" => {
                package.text("etc/init.d", "smartd", 0o755, include_str!("smartd.initd"));
                package.text("etc", "smartd.conf", 0o644, "DEVICESCAN\n");
            }
            _ => {}
        }
        Ok(package)
    }
}

/// Makes them in `dir`; gives their index records. `have` are packages that are there already.
pub fn all(target: &Target, dir: &Path, key: &SigningKey, have: &[Record]) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    let debs: Vec<&str> = STAND_INS.iter().map(|one| one.debian).chain(samba::LOADED).collect();
    for library in libraries::of(&debs, target)? {
        if have.iter().all(|record| *record.name != *library.name()) {
            records.push(library.write(dir, key)?);
        }
    }
    for one in &STAND_INS {
        records.push(one.package(target)?.write(dir, key)?);
    }
    records.push(nas::mdev(target).write(dir, key)?);
    records.extend(samba::all(target, dir, key)?);
    records.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(records)
}

fn add(mut package: Package, tree: &Path, path: &str) -> anyhow::Result<Package> {
    let from = tree.join(path);
    if from.is_symlink() || !from.is_dir() {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        return package.file(dir, name, &from);
    }
    for entry in fs::read_dir(from)? {
        package = add(package, tree, &format!("{path}/{}", entry?.file_name().to_string_lossy()))?;
    }
    Ok(package)
}

/// As Alpine's packages make the account of a service.
fn account(name: &str, home: &str) -> String {
    format!(
        "#!/bin/sh\naddgroup -S {name} 2>/dev/null\n\
         adduser -S -D -H -h {home} -s /sbin/nologin -G {name} -g {name} {name} 2>/dev/null\nexit 0\n"
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_what_stands_in_for_what() {
        let page = crate::chores::root().join("docs/stand-in.md");
        let page = fs::read_to_string(page).unwrap();
        let samba = samba::PARTS.iter().map(|part| (part.name, part.debian.join("`, `")));
        let samba = samba.chain([(samba::LIBS, samba::LIBS.to_owned())]);
        for (name, debian) in STAND_INS.iter().map(|one| (one.name, one.debian.to_owned())).chain(samba) {
            let row = format!("| `{name}` | `{debian}` |");
            assert!(page.contains(&row), "no row of docs/stand-in.md begins with {row}");
        }
    }
}
