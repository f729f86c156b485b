//! What the image lacks and tests need, under the names Alpine uses, out of Debian's packages: the EFI stub and
//! boot loader, an SSH server, kexec; and packages of our own making: a metapackage, a stand-in for microcode.

use std::path::Path;

use hoopy_apk::Record;
use hoopy_apk::signature::SigningKey;

use super::debian::Deb;
use super::package::Package;
use super::{Target, libraries};

/// Debian's name of it.
const DROPBEAR: &str = "dropbear-bin";

/// What kexec needs of Debian beside the C library: it can talk to Xen, and links all that does.
const KEXEC: [&str; 8] = [
    "libxenmisc4.17",
    "libxencall1",
    "libxendevicemodel1",
    "libxenevtchn1",
    "libxenforeignmemory1",
    "libxengnttab1",
    "libxentoollog1",
    "libxentoolcore1",
];

/// The libraries in those packages that it loads.
const KEXEC_LIBRARIES: [&str; 8] = [
    "libxenctrl.so",
    "libxencall.so",
    "libxendevicemodel.so",
    "libxenevtchn.so",
    "libxenforeignmemory.so",
    "libxengnttab.so",
    "libxentoollog.so",
    "libxentoolcore.so",
];

/// Makes the extra packages in `dir`; gives their index records. `have` are the packages already there.
pub fn all(target: &Target, dir: &Path, key: &SigningKey, have: &[Record]) -> anyhow::Result<Vec<Record>> {
    let efi = Deb::find("systemd-boot-efi", target)?.tree()?.join("usr/lib/systemd/boot/efi");
    let place = "usr/lib/systemd/boot/efi";
    let stub = format!("linux{}.efi.stub", target.efi);
    let boot = format!("systemd-boot{}.efi", target.efi);
    let mut records = vec![
        Package::new("systemd-efistub", "252-r0", target)
            .file(place, &stub, &efi.join(&stub))?
            .write(dir, key)?,
        Package::new("systemd-boot", "252-r0", target)
            .file(place, &boot, &efi.join(&boot))?
            .write(dir, key)?,
        alpine_base(target, have).write(dir, key)?,
        // Says that no firmware is wanted, and has no files in Alpine either.
        Package::new("linux-firmware-none", "20251125-r0", target).write(dir, key)?,
        dropbear(target)?.write(dir, key)?,
    ];
    for package in libraries::of(&[DROPBEAR], target)? {
        records.push(package.write(dir, key)?);
    }
    if target.arch == "x86_64" {
        records.push(microcode(target)?.write(dir, key)?);
        records.push(kexec_tools(target)?.write(dir, key)?);
    }
    Ok(records)
}

fn alpine_base(target: &Target, have: &[Record]) -> Package {
    let wanted = [
        "alpine-baselayout",
        "alpine-keys",
        "alpine-release",
        "apk-tools",
        "busybox",
        "busybox-openrc",
        "musl-utils",
        "openrc",
    ];
    let mut package = Package::new("alpine-base", "3.23.6-r0", target);
    for name in wanted.iter().filter(|w| have.iter().any(|r| *r.name == ***w)) {
        package.depends(name);
    }
    package
}

fn dropbear(target: &Target) -> anyhow::Result<Package> {
    let deb = Deb::find(DROPBEAR, target)?;
    let tree = deb.tree()?;
    let mut package = Package::new("dropbear", "2022.83-r0", target)
        .file("usr/sbin", "dropbear", &tree.join("usr/sbin/dropbear"))?
        .file("usr/bin", "dropbearkey", &tree.join("usr/bin/dropbearkey"))?;
    libraries::depend(&mut package, &deb);
    package.text("etc/init.d", "dropbear", 0o755, include_str!("dropbear.initd"));
    package.text("etc/conf.d", "dropbear", 0o644, "# Options for dropbear(8).\nDROPBEAR_OPTS=\"\"\n");
    Ok(package)
}

/// kexec(8). Debian's of this year does not know the compressed kernels of Alpine for aarch64 (`EFI_ZBOOT`).
fn kexec_tools(target: &Target) -> anyhow::Result<Package> {
    let program = Deb::find("kexec-tools", target)?.tree()?;
    let mut package = Package::new("kexec-tools", "2.0.25-r0", target).file(
        "usr/sbin",
        "kexec",
        &program.join("sbin/kexec"),
    )?;
    package.depends(libraries::GLIBC);
    package.depends("debian-zlib1g");
    for deb in KEXEC {
        let tree = Deb::find(deb, target)?.tree()?;
        package = libraries::add(package, &tree, target, |name| {
            KEXEC_LIBRARIES.iter().any(|library| name.starts_with(library))
        })?;
    }
    Ok(package)
}

/// An early archive with bytes that no processor takes, at the path where the kernel looks for microcode.
fn microcode(target: &Target) -> anyhow::Result<Package> {
    let mut package = Package::new("intel-ucode", "0.20260101-r0", target);
    let mut archive = Vec::new();
    let mut put = |name: &str, mode: u32, data: &[u8]| {
        let fields = [1, mode, 0, 0, 1, 0, data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        archive.extend(b"070701");
        fields.iter().for_each(|f| archive.extend(format!("{f:08X}").bytes()));
        archive.extend(name.bytes());
        archive.push(0);
        while archive.len() % 4 != 0 {
            archive.push(0);
        }
        archive.extend(data);
        while archive.len() % 4 != 0 {
            archive.push(0);
        }
    };
    for dir in ["kernel", "kernel/x86", "kernel/x86/microcode"] {
        put(dir, 0o040_755, b"");
    }
    put("kernel/x86/microcode/GenuineIntel.bin", 0o100_644, b"a stand-in: no microcode\n");
    put("TRAILER!!!", 0, b"");
    package.bytes("boot", "intel-ucode.img", 0o644, archive);
    Ok(package)
}
