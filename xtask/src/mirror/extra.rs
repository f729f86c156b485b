//! What the image lacks and tests need, under the names Alpine uses, out of Debian's packages: the EFI stub and
//! boot loader, an SSH server, kexec; and packages of our own making: a metapackage, a stand-in for microcode.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_apk::package::PackageInfo;
use hoopy_apk::package::write::{DataWriter, NewPackage};
use hoopy_apk::signature::SigningKey;
use hoopy_apk::tar::{self, Kind};
use hoopy_apk::{Record, Version};

use super::Target;
use super::repack::finish;
use crate::chores;

/// What dropbear needs of Debian to run where there is no glibc.
const DROPBEAR: [&str; 7] =
    ["dropbear-bin", "libc6", "libcrypt1", "libtomcrypt1", "libtommath1", "libgmp10", "zlib1g"];

/// What kexec needs of Debian beside the C library: it can talk to Xen, and links all that does.
const KEXEC: [&str; 9] = [
    "kexec-tools",
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

/// Lets apt fetch packages of these architectures.
pub fn prepare(targets: &[&Target]) -> anyhow::Result<()> {
    for target in targets {
        chores::run("dpkg", &["--add-architecture", target.debian])?;
    }
    chores::run("apt-get", &["update", "-q"])
}

/// Makes the extra packages in `dir`; gives their index records. `have` are the packages already there.
pub fn all(target: &Target, dir: &Path, key: &SigningKey, have: &[Record]) -> anyhow::Result<Vec<Record>> {
    let efi = debian(&["systemd-boot-efi"], target)?.join("usr/lib/systemd/boot/efi");
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
        dropbear(target)?.write(dir, key)?,
    ];
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
    let tree = debian(&DROPBEAR, target)?;
    let mut package = Package::new("dropbear", "2022.83-r0", target);
    for file in ["usr/sbin/dropbear", "usr/bin/dropbearkey"] {
        package = package.file(
            file.rsplit_once('/').map_or("", |p| p.0),
            file.rsplit('/').next().unwrap_or(file),
            &tree.join(file),
        )?;
    }
    let triplet = format!("{}-linux-gnu", target.arch);
    for dir in [format!("lib/{triplet}"), format!("usr/lib/{triplet}")] {
        for entry in fs::read_dir(tree.join(&dir)).into_iter().flatten() {
            let path = entry?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let wanted = [
                "libc.so",
                "libcrypt.so",
                "libtomcrypt.so",
                "libtommath.so",
                "libgmp.so",
                "libz.so",
                "ld-linux",
                "libm.so",
                "libutil.so",
            ];
            if wanted.iter().any(|w| name.starts_with(w)) {
                package = package.file(&dir, &name, &path)?;
            }
        }
    }
    let loader = if target.arch == "x86_64" {
        ("lib64", "ld-linux-x86-64.so.2", format!("../lib/{triplet}/ld-linux-x86-64.so.2"))
    } else {
        ("lib", "ld-linux-aarch64.so.1", format!("{triplet}/ld-linux-aarch64.so.1"))
    };
    package.link(loader.0, loader.1, &loader.2);
    package.text("etc/init.d", "dropbear", 0o755, include_str!("dropbear.initd"));
    package.text("etc/conf.d", "dropbear", 0o644, "# Options for dropbear(8).\nDROPBEAR_OPTS=\"\"\n");
    Ok(package)
}

/// kexec(8). Debian's of this year does not know the compressed kernels of Alpine for aarch64 (`EFI_ZBOOT`).
fn kexec_tools(target: &Target) -> anyhow::Result<Package> {
    let tree = debian(&KEXEC, target)?;
    let mut package = Package::new("kexec-tools", "2.0.25-r0", target).file(
        "usr/sbin",
        "kexec",
        &tree.join("sbin/kexec"),
    )?;
    // The C library that is in it.
    package.depends("dropbear");
    let dir = format!("usr/lib/{}-linux-gnu", target.arch);
    for entry in fs::read_dir(tree.join(&dir))? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let is_wanted = KEXEC_LIBRARIES.iter().any(|library| name.starts_with(library));
        if is_wanted {
            package = package.file(&dir, &name, &path)?;
        }
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

/// Debian packages downloaded and unpacked side by side; gives the directory.
fn debian(packages: &[&str], target: &Target) -> anyhow::Result<PathBuf> {
    let dir = chores::target().join("mirror-source").join(format!("{}-{}", packages[0], target.arch));
    let _ = fs::remove_dir_all(&dir);
    let downloads = dir.join("deb");
    fs::create_dir_all(&downloads)?;
    let names: Vec<String> = packages.iter().map(|p| format!("{p}:{}", target.debian)).collect();
    chores::command(Command::new("apt-get").args(["download", "-q"]).args(&names).current_dir(&downloads))?;
    for entry in fs::read_dir(&downloads)? {
        chores::command(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(dir.join("tree")))?;
    }
    Ok(dir.join("tree"))
}

/// A package being put together.
struct Package {
    record: Record,
    files: Vec<(tar::Entry, Vec<u8>)>,
}

impl Package {
    fn new(name: &str, version: &str, target: &Target) -> Self {
        let mut record = Record::empty();
        record.name = name.into();
        record.version = Version::new(version);
        record.arch = target.arch.into();
        record.origin = name.into();
        record.license = "custom".into();
        record.description =
            format!("{name}: a stand-in made by hoopy for tests, not Alpine's package").into();
        record.build_time = 1_760_000_000;
        Self { record, files: Vec::new() }
    }

    fn depends(&mut self, name: &str) {
        self.record.depends.extend(name.parse().ok());
    }

    fn file(mut self, dir: &str, name: &str, from: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        if let Ok(target) = fs::read_link(from) {
            self.link(dir, name, &target.to_string_lossy());
            return Ok(self);
        }
        let mode = fs::metadata(from)?.permissions().mode() & 0o7777;
        self.bytes(dir, name, mode, fs::read(from)?);
        Ok(self)
    }

    fn text(&mut self, dir: &str, name: &str, mode: u32, text: &str) {
        self.bytes(dir, name, mode, text.as_bytes().to_vec());
    }

    fn link(&mut self, dir: &str, name: &str, target: &str) {
        let path = format!("{dir}/{name}");
        let entry = tar::Entry {
            kind: Kind::Symlink(target.as_bytes().to_vec()),
            mode: 0o777,
            ..tar::Entry::file(path.as_bytes(), 0)
        };
        self.files.push((entry, Vec::new()));
    }

    fn bytes(&mut self, dir: &str, name: &str, mode: u32, bytes: Vec<u8>) {
        let path = format!("{dir}/{name}");
        self.files
            .push((tar::Entry { mode, ..tar::Entry::file(path.as_bytes(), bytes.len() as u64) }, bytes));
    }

    fn write(mut self, dir: &Path, key: &SigningKey) -> anyhow::Result<Record> {
        self.files.sort_by(|a, b| a.0.path.cmp(&b.0.path));
        let mut data = DataWriter::new()?;
        let mut dirs = std::collections::BTreeSet::new();
        for (entry, content) in &self.files {
            let cuts = entry.path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i);
            for parent in cuts.map(|cut| entry.path[..cut].to_vec()) {
                if dirs.insert(parent.clone()) {
                    data.add(
                        tar::Entry { kind: Kind::Dir, mode: 0o755, ..tar::Entry::file(&parent, 0) },
                        &[],
                    )?;
                }
            }
            data.add(tar::Entry { mtime: self.record.build_time, ..entry.clone() }, content)?;
        }
        let mtime = self.record.build_time;
        let info = PackageInfo { record: self.record, triggers: Vec::new(), datahash: None };
        finish(&NewPackage { info, scripts: Vec::new(), mtime }, data, key, dir)
    }
}
