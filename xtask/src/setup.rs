//! Installs with apt what building, testing and booting need and this computer lacks.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::{chores, newer_systemd};

/// systemd's stub, which Debian packages for the architecture of this machine.
const STUB: &str = if cfg!(target_arch = "aarch64") {
    "/usr/lib/systemd/boot/efi/linuxaa64.efi.stub"
} else {
    "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
};

/// A program or file that must be there, and the Debian package that brings it.
const NEEDED: &[(&str, &str)] = &[
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/bin/qemu-system-aarch64", "qemu-system-arm"),
    ("/usr/bin/qemu-img", "qemu-utils"),
    ("/usr/bin/qemu-aarch64-static", "qemu-user-static"),
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
    ("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "qemu-efi-aarch64"),
    ("/usr/share/doc/ipxe-qemu", "ipxe-qemu"),
    (STUB, "systemd-boot-efi"),
    ("/usr/bin/systemd-analyze", "systemd"),
    ("/usr/bin/sbsign", "sbsigntool"),
    ("/usr/bin/sign-efi-sig-list", "efitools"),
    ("/usr/bin/swtpm", "swtpm"),
    ("/usr/bin/tpm2", "tpm2-tools"),
    ("/usr/bin/mtype", "mtools"),
    ("/usr/bin/syslinux", "syslinux"),
    ("/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu"),
    ("/usr/sbin/fsck.vfat", "dosfstools"),
    ("/usr/sbin/mkfs.ext4", "e2fsprogs"),
    ("/usr/sbin/mkfs.btrfs", "btrfs-progs"),
    ("/usr/sbin/mkfs.xfs", "xfsprogs"),
    ("/usr/sbin/sgdisk", "gdisk"),
    ("/usr/sbin/sfdisk", "fdisk"),
    ("/usr/bin/cpio", "cpio"),
    ("/usr/bin/bsdcpio", "libarchive-tools"),
    ("/usr/bin/objdump", "binutils"),
    ("/usr/bin/x86_64-linux-gnu-as", "binutils-x86-64-linux-gnu"),
    ("/usr/bin/aarch64-linux-gnu-as", "binutils-aarch64-linux-gnu"),
    ("/usr/bin/newuidmap", "uidmap"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/bin/age", "age"),
    ("/usr/bin/smbclient", "smbclient"),
    ("/usr/bin/strace", "strace"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/jq", "jq"),
    ("/usr/bin/xz", "xz-utils"),
    ("/usr/bin/zstd", "zstd"),
    ("/usr/bin/lz4", "lz4"),
    ("/usr/bin/chromium", "chromium"),
    ("/usr/bin/certutil", "libnss3-tools"),
    ("/usr/bin/npm", "npm"),
    ("/usr/sbin/ip", "iproute2"),
];

/// What `cargo xtask prove` needs beside that: a Debian of its own, and containers.
const FOR_PROOF: &[(&str, &str)] = &[
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/usr/bin/podman", "podman"),
    ("/usr/bin/crun", "crun"),
    ("/usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi", "grub-efi-amd64-bin"),
    ("/usr/bin/mksquashfs", "squashfs-tools"),
];

const PIP: &str = "python3-pip";

/// Installs what is missing, and lets this machine run programs of the other architecture.
pub fn run() -> anyhow::Result<()> {
    packages()?;
    newer_systemd::install()?;
    if let Err(e) = emulation() {
        println!("setup: no scripts of other architectures on this machine: {e:#}");
    }
    Ok(())
}

/// What booting an image of this computer's architecture needs.
const DEMO: &[&str] = if cfg!(target_arch = "aarch64") {
    &["qemu-system-arm", "qemu-efi-aarch64", "ipxe-qemu", "uidmap"]
} else {
    &["qemu-system-x86", "ovmf", "ipxe-qemu", "uidmap"]
};

/// What making the stand-in mirror needs beside that.
const STAND_IN: &[&str] = &["qemu-utils", PIP];

/// Installs what the demo needs, and nothing for tests. Elsewhere than on Debian, `hoopy doctor` says what to install.
pub fn for_demo() -> anyhow::Result<()> {
    if is_debian() { install(DEMO) } else { Ok(()) }
}

/// Installs what making the stand-in mirror needs.
pub fn for_stand_in() -> anyhow::Result<()> {
    install(STAND_IN)
}

/// What a program for the other architecture is linked with.
const FOR_OTHER_ARCHITECTURE: &[(&str, &str)] = &[
    ("/usr/bin/aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("/usr/aarch64-linux-gnu/lib/libc.a", "libc6-dev-arm64-cross"),
];

/// Installs what linking a program for the other architecture needs.
pub fn for_other_architecture() -> anyhow::Result<()> {
    let absent = || FOR_OTHER_ARCHITECTURE.iter().filter(|(file, _)| !Path::new(file).exists());
    install_missing(|| absent().map(|(_, package)| *package).collect())
}

/// Installs what the proof needs beside what tests do.
pub fn for_proof() -> anyhow::Result<()> {
    let absent = || FOR_PROOF.iter().filter(|(file, _)| !Path::new(file).exists());
    install_missing(|| absent().map(|(_, package)| *package).collect())
}

/// What compiling modules for Debian's kernel needs: its compiler, and what kbuild's own programs load.
const FOR_ZFS: &[(&str, &str)] = &[
    ("/usr/bin/gcc-12", "gcc-12"),
    ("/usr/bin/make", "make"),
    ("/usr/bin/strip", "binutils"),
    ("/usr/lib/x86_64-linux-gnu/libelf.so.1", "libelf1"),
];

/// Installs what compiling ZFS needs.
pub fn for_zfs() -> anyhow::Result<()> {
    let absent = || FOR_ZFS.iter().filter(|(file, _)| !Path::new(file).exists());
    install_missing(|| absent().map(|(_, package)| *package).collect())
}

/// Whether packages come from apt.
pub fn is_debian() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

/// Installs those of these packages that are not there.
fn install(packages: &[&str]) -> anyhow::Result<()> {
    install_missing(|| missing().into_iter().filter(|package| packages.contains(package)).collect())
}

/// Where the kernel is told how to run foreign programs (Documentation/admin-guide/binfmt-misc.rst).
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// ELF, 64-bit, little endian, AArch64; `F`: the emulator is opened now, so that it works in any root.
const AARCH64: &str = concat!(
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ":/usr/bin/qemu-aarch64-static:F"
);

/// The same of ARM with 32 bits; `P`: programs keep the name that they were called by, as BusyBox needs that starts itself
/// anew for each of its own.
const ARM: &str = concat!(
    r":qemu-arm:M::\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00",
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ":/usr/libexec/qemu-binfmt/arm-binfmt-P:PF"
);

fn emulation() -> anyhow::Result<()> {
    if std::env::consts::ARCH != "aarch64" {
        register("qemu-aarch64", AARCH64)?;
    }
    register("qemu-arm", ARM)
}

fn register(name: &str, line: &str) -> anyhow::Result<()> {
    if Path::new(BINFMT).join(name).exists() {
        return Ok(());
    }
    if !Path::new(BINFMT).join("register").exists() {
        chores::run("mount", &["-t", "binfmt_misc", "none", BINFMT])?;
    }
    std::fs::write(Path::new(BINFMT).join("register"), line)?;
    Ok(())
}

fn packages() -> anyhow::Result<()> {
    install_missing(missing)
}

fn install_missing(look: impl Fn() -> Vec<&'static str>) -> anyhow::Result<()> {
    let missing = look();
    if missing.is_empty() {
        return Ok(());
    }
    println!("setup: installing {}", missing.join(", "));
    if !is_debian() {
        bail!("this is not Debian: install by hand what provides {}", missing.join(", "));
    }
    apt(&["update", "-q"])?;
    let mut wanted: Vec<String> = missing.iter().map(|package| (*package).to_owned()).collect();
    if missing.iter().any(|package| package.starts_with("qemu-system")) {
        // The release's emulators and a newer qemu-utils keep each other out
        wanted.retain(|package| package != "qemu-utils");
        wanted.push(format!("qemu-utils={}", candidate("qemu-system-common")?));
    }
    let install = ["install", "-q", "-y", "--no-install-recommends", "--allow-downgrades"];
    apt(&install.into_iter().chain(wanted.iter().map(String::as_str)).collect::<Vec<_>>())?;
    match look() {
        still if still.is_empty() => Ok(()),
        still => bail!("apt installed the packages, but these are still missing: {}", still.join(", ")),
    }
}

/// The packages that bring what is not there.
fn missing() -> Vec<&'static str> {
    let absent = |(file, _): &&(&str, &str)| !Path::new(file).exists();
    let mut missing: Vec<_> = NEEDED.iter().filter(absent).map(|(_, package)| *package).collect();
    let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !pip.is_ok_and(|out| out.status.success()) {
        missing.push(PIP);
    }
    // Without it there is a module `venv`, and it fails.
    let venv = Command::new("python3").args(["-c", "import ensurepip"]).output();
    if !venv.is_ok_and(|out| out.status.success()) {
        missing.push("python3-venv");
    }
    missing
}

fn apt(args: &[&str]) -> anyhow::Result<()> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
    if !root {
        command.arg("apt-get");
    }
    chores::command(command.args(args).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn candidate(package: &str) -> anyhow::Result<String> {
    let out = Command::new("apt-cache").args(["policy", package]).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find_map(|l| l.trim().strip_prefix("Candidate: "));
    Ok(line.map(str::to_owned).unwrap_or_default())
}
