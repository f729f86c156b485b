//! `linux-lts`: a kernel with drivers for TPMs, which Alpine's for virtual machines lacks. It is Debian's for clouds,
//! whose release `uname -r` says; with the modules of a virtual machine's devices and filesystems, signed by Debian, so
//! that they load with Secure Boot on.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use hoopy_apk::Record;
use hoopy_apk::signature::SigningKey;

use super::Target;
use super::debian::Deb;
use super::package::Package;

/// The modules that are taken, below `kernel/`: files, and directories with all in them. The rest is 75 MB of network
/// cards, graphics and protocols that no test has.
const MODULES: [&str; 37] = [
    "arch/arm64/crypto",
    "arch/x86/crypto",
    "crypto",
    "drivers/ata",
    "drivers/block/loop.ko",
    "drivers/block/virtio_blk.ko",
    "drivers/cdrom",
    "drivers/char",
    "drivers/firmware",
    "drivers/gpio",
    "drivers/input",
    "drivers/md",
    "drivers/net/dummy.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/tun.ko",
    "drivers/net/veth.ko",
    "drivers/net/virtio_net.ko",
    "drivers/scsi/scsi_common.ko",
    "drivers/scsi/scsi_mod.ko",
    "drivers/scsi/sd_mod.ko",
    "drivers/scsi/sr_mod.ko",
    "drivers/scsi/virtio_scsi.ko",
    "drivers/virtio",
    "fs/autofs",
    "fs/binfmt_misc.ko",
    "fs/btrfs",
    "fs/efivarfs",
    "fs/ext4",
    "fs/fat",
    "fs/fuse",
    "fs/isofs",
    "fs/jbd2",
    "fs/nls",
    "fs/overlayfs",
    "fs/squashfs",
    "lib",
    "net/core/failover.ko",
];

/// Makes the package in `dir`; gives its index record.
pub fn package(target: &Target, dir: &Path, key: &SigningKey) -> anyhow::Result<Record> {
    let newest = Deb::find(&format!("linux-image-cloud-{}", target.debian), target)?;
    let image = newest.depends.iter().find(|name| name.starts_with("linux-image-"));
    let deb = Deb::find(image.context("linux-image-cloud depends on no kernel")?, target)?;
    let release = deb.name.trim_start_matches("linux-image-").to_owned();
    let tree = deb.tree()?;
    let mut package = Package::new("linux-lts", &format!("{}-r0", deb.version), target)
        .file("boot", "vmlinuz-lts", &tree.join(format!("boot/vmlinuz-{release}")))?
        .file("boot", &format!("config-{release}"), &tree.join(format!("boot/config-{release}")))?;
    let place = format!("lib/modules/{release}");
    // What depmod reads beside the modules; its own files are written by kmod's trigger.
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        package = package.file(&place, list, &tree.join(&place).join(list))?;
    }
    for module in MODULES {
        package = add(package, &format!("{place}/kernel"), &tree.join(&place).join("kernel"), module)?;
    }
    package.write(dir, key)
}

/// Adds a file, or all below a directory. What only the other architecture has is not there.
fn add(mut package: Package, place: &str, modules: &Path, path: &str) -> anyhow::Result<Package> {
    let from = modules.join(path);
    if from.is_dir() {
        for entry in fs::read_dir(&from)? {
            let below = format!("{path}/{}", entry?.file_name().to_string_lossy());
            package = add(package, place, modules, &below)?;
        }
    } else if from.is_file() {
        let (dir, name) = path.rsplit_once('/').context("a module without a directory")?;
        package = package.file(&format!("{place}/{dir}"), name, &from)?;
    }
    Ok(package)
}
