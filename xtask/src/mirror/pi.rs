//! What a Raspberry Pi starts from, out of Debian's packages under the names Alpine uses: the boards' firmware, and a
//! kernel with their device trees. For aarch64 alone.
//!
//! Alpine's `linux-rpi` is Raspberry Pi's own kernel; Debian's is the mainline one, whose device trees are called
//! `bcm2837-...` where Raspberry Pi's are `bcm2710-...`. Of its 3,700 modules those are taken that a card, the network and
//! a virtual machine need: 8 MB of 270.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use hoopy_apk::Record;
use hoopy_apk::signature::SigningKey;

use super::Target;
use super::debian::Deb;
use super::package::Package;
use crate::chores;

/// Debian has the firmware apart from what is free.
const SOURCE: &str = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                      http://deb.debian.org/debian bookworm non-free-firmware\n";

/// Debian's version of the firmware, and the digest of its package.
const FIRMWARE: (&str, &str) =
    ("1.20220830+ds-1", "0094ced47a7fbb6a220ff83e7b43aa637a5d8f6802461e2e4e474597fb796f62");

/// Directories of modules that are taken whole, below `kernel/`.
const MODULE_DIRS: [&str; 10] = [
    "fs/efivarfs/",
    "fs/fat/",
    "fs/nls/",
    "drivers/mmc/core/",
    "drivers/net/ethernet/broadcom/genet/",
    "drivers/net/mdio/",
    "drivers/usb/common/",
    "drivers/usb/core/",
    "drivers/usb/dwc2/",
    "drivers/usb/roles/",
];

/// Modules that are taken besides.
const MODULES: [&str; 22] = [
    "bcm-phy-lib",
    "bcm2835",
    "bcm2835-rng",
    "bcm2835_wdt",
    "broadcom",
    "failover",
    "fixed_phy",
    "lan78xx",
    "libphy",
    "microchip",
    "net_failover",
    "of_mdio",
    "sdhci",
    "sdhci-iproc",
    "sdhci-pltfm",
    "selftests",
    "smsc",
    "smsc95xx",
    "udc-core",
    "usbnet",
    "virtio_blk",
    "virtio_net",
];

/// What the firmware looks for before it takes overlays of a directory that `os_prefix` names.
const README: &str = "The firmware takes overlays from here because this file is here.\n";

/// Makes the packages in `dir`; gives their index records.
pub fn all(target: &Target, dir: &Path, key: &SigningKey) -> anyhow::Result<Vec<Record>> {
    let firmware = firmware()?;
    let place = firmware.join("usr/lib/raspi-firmware");
    let common = Package::new("raspberrypi-bootloader-common", "1.20220830-r0", target).file(
        "boot",
        "bootcode.bin",
        &place.join("bootcode.bin"),
    )?;
    let mut bootloader = Package::new("raspberrypi-bootloader", "1.20220830-r0", target);
    for name in ["start.elf", "start4.elf", "fixup.dat", "fixup4.dat"] {
        bootloader = bootloader.file("boot", name, &place.join(name))?;
    }
    bootloader.depends("raspberrypi-bootloader-common");
    Ok(vec![common.write(dir, key)?, bootloader.write(dir, key)?, kernel(target)?.write(dir, key)?])
}

fn kernel(target: &Target) -> anyhow::Result<Package> {
    let newest = Deb::find("linux-image-arm64", target)?;
    let name = newest.depends.first().context("Debian's linux-image-arm64 names no kernel")?;
    let release = name.strip_prefix("linux-image-").context("a kernel without a release")?;
    let deb = Deb::find(name, target)?;
    let tree = deb.pruned_tree(&|path| is_wanted(path, release))?;
    let mut package = Package::new("linux-rpi", &format!("{}-r0", deb.version), target);
    package = package.file("boot", "vmlinuz-rpi", &tree.join(format!("boot/vmlinuz-{release}")))?;
    package = package.file("boot", "config-rpi", &tree.join(format!("boot/config-{release}")))?;
    for board in sorted(&tree.join(format!("usr/lib/linux-image-{release}/broadcom")))? {
        let file = board.file_name().unwrap_or_default().to_string_lossy().into_owned();
        package = package.file("boot", &file, &board)?;
    }
    package.text("boot/overlays", "README", 0o644, README);
    add_modules(package, &tree, &format!("lib/modules/{release}"))
}

/// Whether a file of the kernel's package is taken. Its modules lie below `lib/modules/RELEASE/kernel`.
fn is_wanted(path: &str, release: &str) -> bool {
    let modules = format!("lib/modules/{release}/");
    let Some(module) = path.strip_prefix(&modules) else {
        let dtb = path.starts_with(&format!("usr/lib/linux-image-{release}/broadcom/bcm2"));
        return dtb || path == format!("boot/vmlinuz-{release}") || path == format!("boot/config-{release}");
    };
    let Some(module) = module.strip_prefix("kernel/") else { return module.starts_with("modules.") };
    let name = module.rsplit_once('/').map_or(module, |(_, name)| name);
    MODULE_DIRS.iter().any(|dir| module.starts_with(dir))
        || name.strip_suffix(".ko").is_some_and(|name| MODULES.contains(&name))
}

fn add_modules(mut package: Package, tree: &Path, path: &str) -> anyhow::Result<Package> {
    for entry in sorted(&tree.join(path))? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        package = match entry.is_dir() {
            true => add_modules(package, tree, &format!("{path}/{name}"))?,
            false => package.file(path, &name, &entry)?,
        };
    }
    Ok(package)
}

fn sorted(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The tree of Debian's package with the firmware, which is fetched where it is missing. apt is asked with sources and
/// lists of its own, so that this computer's stay as they are.
fn firmware() -> anyhow::Result<PathBuf> {
    let (version, sha256) = FIRMWARE;
    let all = chores::target().join("mirror-source/debian");
    let tree = all.join(sha256);
    if tree.exists() {
        return Ok(tree);
    }
    fs::create_dir_all(&all)?;
    let work = tempfile::Builder::new().prefix("new-").tempdir_in(&all)?;
    let path = |name: &str| work.path().join(name);
    fs::create_dir_all(path("lists/partial"))?;
    fs::create_dir_all(path("cache/archives/partial"))?;
    fs::write(path("sources.list"), SOURCE)?;
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        for (key, value) in [
            ("Dir::Etc::sourcelist", path("sources.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State::lists", path("lists")),
            ("Dir::Cache", path("cache")),
        ] {
            apt.arg("-o").arg(format!("{key}={}", value.display()));
        }
        chores::command(apt.args(arguments).current_dir(work.path()))
    };
    apt(&["update", "-q"])?;
    apt(&["download", "-qq", &format!("raspi-firmware={version}")])?;
    let is_deb = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "deb");
    let file = sorted(work.path())?.into_iter().find(is_deb).context("apt downloaded nothing")?;
    let out = Command::new("sha256sum").arg(&file).output()?;
    let found = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(found.starts_with(sha256), "raspi-firmware: expected SHA-256 {sha256}, found {found}");
    chores::command(Command::new("dpkg").arg("-x").arg(&file).arg(path("tree")))?;
    fs::rename(path("tree"), &tree)?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_kernel_only_what_a_card_and_the_network_need_is_taken() {
        let wanted = |path: &str| is_wanted(path, "6.1");
        for path in [
            "boot/vmlinuz-6.1",
            "usr/lib/linux-image-6.1/broadcom/bcm2837-rpi-3-b.dtb",
            "lib/modules/6.1/modules.order",
            "lib/modules/6.1/kernel/fs/fat/vfat.ko",
            "lib/modules/6.1/kernel/drivers/mmc/host/bcm2835.ko",
        ] {
            assert!(wanted(path), "{path}");
        }
        for path in [
            "boot/System.map-6.1",
            "usr/lib/linux-image-6.1/amlogic/meson.dtb",
            "lib/modules/6.1/kernel/fs/btrfs/btrfs.ko",
            "usr/share/doc/linux-image-6.1/copyright",
        ] {
            assert!(!wanted(path), "{path}");
        }
    }
}
