//! The packages of the stand-in mirror that are made of Debian's programs: docs/stand-in.md.

use std::fs;

use hoopy_testkit::Home;

/// Each program, and how it is asked whether it runs. Those of runit, and sshd, only say how they are called.
const SETUP: &str = r#"#!/bin/sh
set -eu
podman --version
conmon --version
crun --version
/usr/lib/podman/netavark --version
/usr/lib/podman/aardvark-dns --version
catatonit --version
iptables --version
btrfs --version
mkfs.btrfs --version
/sbin/cryptsetup --version
ssh -V
chronyd --version
smartctl --version
rsync --version
ssh-keygen -q -t ed25519 -N '' -f /tmp/key && rm /tmp/key /tmp/key.pub
for program in runsv sv runsvdir svlogd chpst; do
	{ timeout 10 "$program" 2>&1 || true; } | grep -q usage
done
{ timeout 10 sshd -? 2>&1 || true; } | grep -q usage
test -f /etc/containers/policy.json
test -f /etc/containers/registries.conf
id sshd && id chrony
ls /etc/init.d/sshd /etc/init.d/chronyd /etc/init.d/smartd
"#;

#[test]
fn debians_programs_under_alpines_names_run_in_an_image() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.path("servers");
    fs::create_dir(&dir).unwrap();
    let packages = "alpine-base\nbtrfs-progs\nchrony\ncryptsetup\nopenssh-client-default\nopenssh-server\npodman\nrsync\n\
                    runit\nsmartmontools\n";
    fs::write(dir.join("packages"), packages).unwrap();
    fs::write(dir.join("hoopy.toml"), "arch = \"x86_64\"\n").unwrap();
    fs::write(dir.join("setup.sh"), SETUP).unwrap();
    home.ok(&["build", "servers", "--output", "tar", "--image-version", "1"]);
}
