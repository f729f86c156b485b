//! A far side without a machine: a directory with the real BusyBox, entered by a program called `ssh` that comes first
//! in PATH. Its EFI system partition is a directory, or a FAT filesystem where one is to be mounted.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hoopy_base::digest::ContentId;
use hoopy_testkit::{Home, mirror};
use hoopy_uki::manifest::{self, Piece};
use hoopy_uki::{Extent, Plan, Section, SectionData};

pub const EFI: &str = "EFI/BOOT/BOOTX64.EFI";
pub const OLD: &str = "EFI/BOOT/BOOTX64.OLD";

/// The stub of Debian's systemd: also a fine kernel, as far as anybody looks here.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// What is on a far side beside BusyBox: where a test counts and kills.
const COUNTED: [&str; 12] =
    ["dd", "mv", "cp", "rm", "cmp", "sha256sum", "stat", "head", "df", "mkdir", "flock", "awk"];

/// Runs the command behind `--` in the far root. `$FAR_PID` is the group to kill.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
[ ! -e "$HOME/ssh-says" ] || { cat "$HOME/ssh-says" >&2; exit 255; }
export FAR="$HOME/far" FAR_COMMAND="$3"
exec setsid sh -c 'export FAR_PID=$$; exec unshare $(cat "$HOME/unshare") sh -c "
mount --bind \"$FAR\" \"$FAR\" && mount --rbind /proc \"$FAR/proc\" && mount -o remount,bind,ro \"$FAR/proc\" || exit 9
[ ! -d \"$HOME/esp\" ] || mount --bind \"$HOME/esp\" \"$FAR/esp\" || exit 9
exec chroot \"$FAR\" /bin/sh -c \"\$FAR_COMMAND\""'
"#;

/// In place of a program: counts, and kills the far side when it is its turn. A power cut.
const COUNTING: &str = r#"#!/bin/busybox sh
# Those of a pipe start at the same time.
until busybox mkdir /counting 2>/dev/null; do :; done
n=$(($(busybox cat /count 2>/dev/null) + 1))
echo $n >/count
busybox rmdir /counting
[ "$n" != "$(busybox cat /kill 2>/dev/null)" ] || { echo >/killed; kill -9 -"$FAR_PID"; }
exec busybox "${0##*/}" "$@"
"#;

/// A home with a far side in it, and a system to deploy.
pub struct Remote {
    pub home: Home,
    mounted: bool,
}

impl Remote {
    pub fn new(layout: &str) -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        let far = Self { home, mounted: false };
        let dir = far.home.small("s");
        fs::write(
            dir.join("hoopy.toml"),
            format!("name = \"s\"\nlayout = \"{layout}\"\n[deploy]\nhost = \"far\"\nesp = \"/esp\"\n"),
        )
        .unwrap();
        far.program("bin/ssh", SSH);
        fs::write(far.home.path("unshare"), "-rm").unwrap();
        for name in ["bin", "lib", "proc", "dev", "tmp", "run", "etc", "esp", "sys"] {
            fs::create_dir_all(far.root(name)).unwrap();
        }
        let apk = mirror().apk_root;
        let loader = format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH);
        fs::copy(apk.join(&loader), far.root(&loader)).unwrap();
        fs::copy(apk.join("bin/busybox"), far.root("bin/busybox")).unwrap();
        // Not the copies: a test beside this one may start a program while they are open for writing, which keeps them busy.
        let list =
            Command::new(apk.join(&loader)).arg(apk.join("bin/busybox")).arg("--list").output().unwrap();
        for applet in String::from_utf8(list.stdout).unwrap().lines().filter(|a| *a != "busybox") {
            symlink("busybox", far.root("bin").join(applet)).unwrap();
        }
        // The scripts sync; no test here needs the disk of this machine to.
        fs::remove_file(far.root("bin/sync")).unwrap();
        symlink("true", far.root("bin/sync")).unwrap();
        fs::write(far.root("dev/null"), "").unwrap();
        far
    }

    /// Counts the programs that the far side starts.
    pub fn counting(self) -> Self {
        for name in COUNTED {
            fs::remove_file(self.root("bin").join(name)).unwrap();
            self.program(&format!("far/bin/{name}"), COUNTING);
        }
        self
    }

    /// Mounts a FAT filesystem of so many MiB as the partition; none where this user may not.
    pub fn fat(mut self, mib: u64, options: &str) -> Option<Self> {
        let image = self.home.path("esp.img");
        fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
        assert!(run("mkfs.vfat", &[image.to_str().unwrap()]).status.success());
        fs::create_dir(self.home.path("esp")).unwrap();
        fs::write(self.home.path("unshare"), "-m").unwrap();
        let at = self.home.path("esp");
        let mounted = run("mount", &["-o", options, image.to_str().unwrap(), at.to_str().unwrap()]);
        let known = fs::read_to_string("/proc/filesystems").unwrap().contains("vfat");
        if !mounted.status.success() && !known {
            // No setup can give a kernel what it lacks; the deploys to virtual machines have FAT of their own.
            eprintln!("SKIPPED: this kernel has no vfat");
            return None;
        }
        if !mounted.status.success() {
            hoopy_testkit::skip(format_args!(
                "no FAT can be mounted: {}",
                String::from_utf8_lossy(&mounted.stderr)
            ));
            return None;
        }
        self.mounted = true;
        Some(self)
    }

    /// The options that the partition is mounted with.
    pub fn options(&self) -> String {
        let at = self.home.path("esp").to_string_lossy().into_owned();
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let line = mounts.lines().find(|l| l.contains(&at)).unwrap();
        line.split(' ').nth(3).unwrap().to_owned()
    }

    /// Writes a program.
    pub fn program(&self, name: &str, text: &str) {
        let path = self.home.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A path on the far side.
    pub fn root(&self, name: &str) -> PathBuf {
        self.home.path("far").join(name)
    }

    /// A path on its partition.
    pub fn esp(&self, name: &str) -> PathBuf {
        if self.mounted { self.home.path("esp").join(name) } else { self.root("esp").join(name) }
    }

    /// Puts files on the partition, and nothing else; the far side runs `runs`.
    pub fn lay(&self, runs: &str, files: &[(&str, &[u8])]) {
        let _ = fs::remove_dir_all(self.esp("EFI"));
        for (name, bytes) in files {
            let path = self.esp(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        self.runs(runs);
    }

    pub fn runs(&self, image: &str) {
        fs::write(self.root("etc/hoopy-release"), format!("IMAGE={image}\nCOMMIT=0123abc\nDIRTY=yes\n"))
            .unwrap();
    }

    /// Kills the far side when it starts this program, counted from 1.
    pub fn kill_at(&self, n: u32) {
        let _ = fs::remove_file(self.root("killed"));
        // Left by one that was killed as it counted.
        let _ = fs::remove_dir(self.root("counting"));
        fs::write(self.root("count"), "0").unwrap();
        fs::write(self.root("kill"), n.to_string()).unwrap();
    }

    /// Whether it was killed.
    pub fn was_killed(&self) -> bool {
        self.root("killed").exists()
    }

    /// The command, with our `ssh` first in PATH.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display());
        command.env("PATH", path);
        command
    }

    /// Runs it.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it; what it prints.
    pub fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Runs it; why it fails.
    pub fn fails(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
        said
    }

    /// Writes an image; gives its path and its bytes.
    pub fn image(&self, version: &str, segments: &[(&str, Vec<u8>)]) -> (String, Vec<u8>) {
        let bytes = image("s", version, segments);
        let path = self.home.path(&format!("s-{version}.efi"));
        fs::write(&path, &bytes).unwrap();
        (path.to_str().unwrap().to_owned(), bytes)
    }

    /// The files of the partition.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        for dir in ["EFI/BOOT", "EFI/Linux"] {
            let entries = fs::read_dir(self.esp(dir)).into_iter().flatten().flatten();
            files.extend(entries.map(|e| format!("{dir}/{}", e.file_name().to_string_lossy())));
        }
        files.sort();
        files
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.esp(file)).unwrap_or_default()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.mounted {
            let _ = run("umount", &[self.home.path("esp").to_str().unwrap()]);
        }
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let paths = "/usr/sbin:/usr/bin:/sbin:/bin";
    Command::new(program).args(args).env("PATH", paths).output().unwrap()
}

/// Bytes that nothing else has, and no compression makes small.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// The segments of an image: `changed` is what is in the second of three.
pub fn segments(changed: u64) -> Vec<(&'static str, Vec<u8>)> {
    vec![("musl-1", noise(1, 300_001)), ("root/", noise(changed, 777)), ("busybox-1", noise(2, 200_003))]
}

/// A boot loader: a program for firmware without a kernel.
pub fn loader() -> Vec<u8> {
    fs::read(STUB).unwrap()
}

/// An image of a system.
pub fn image(system: &str, version: &str, segments: &[(&str, Vec<u8>)]) -> Vec<u8> {
    image_with(system, version, segments, Vec::new())
}

/// The same with more sections.
pub fn image_with(
    system: &str,
    version: &str,
    segments: &[(&str, Vec<u8>)],
    more: Vec<(Section, SectionData)>,
) -> Vec<u8> {
    image_of(release(system, version), segments, more)
}

/// An image that shuts those of earlier epochs out.
pub fn image_of_epoch(system: &str, version: &str, epoch: u32) -> Vec<u8> {
    image_of(release(system, version) + &format!("HOOPY_EPOCH={epoch}\n"), &segments(10), Vec::new())
}

fn release(system: &str, version: &str) -> String {
    format!(
        "ID=alpine\nPRETTY_NAME=\"{system}-{version} (Alpine Linux)\"\nIMAGE_ID=hoopy\nIMAGE_VERSION={version}\n\
         HOOPY_MACHINE={system}\n"
    )
}

fn image_of(release: String, segments: &[(&str, Vec<u8>)], more: Vec<(Section, SectionData)>) -> Vec<u8> {
    assert!(Path::new(STUB).exists(), "no {STUB}: run `cargo xtask setup`");
    let stub = fs::read(STUB).unwrap();
    let initrd: Vec<u8> = segments.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let mut sections = vec![
        (Section::Osrel, SectionData::Bytes(release.into_bytes())),
        (Section::Cmdline, SectionData::Bytes(b"rdinit=/sbin/init".to_vec())),
        (Section::Initrd, SectionData::Bytes(initrd)),
        (Section::Linux, SectionData::Bytes(stub.clone())),
    ];
    sections.extend(more);
    let plan = Plan::described(&stub, sections, |places| {
        let piece = |range: std::ops::Range<u64>, bytes: &[u8], origin: &str| Piece {
            offset: range.start,
            size: range.end - range.start,
            sha256: ContentId::of(bytes),
            section: String::new(),
            origins: vec![origin.to_owned()],
        };
        let mut pieces = vec![piece(places.stub.clone(), places.stub_bytes, "stub")];
        for (section, data, range) in places.sections() {
            let SectionData::Bytes(bytes) = data else { continue };
            if section != Section::Initrd {
                pieces.push(piece(range, bytes, section.name()));
                continue;
            }
            let mut at = range.start;
            for (origin, bytes) in segments {
                let end = at + bytes.len() as u64;
                pieces.push(piece(at..end, bytes, origin));
                at = end;
            }
        }
        manifest::write(&pieces)
    });
    let mut bytes = Vec::new();
    for extent in plan.unwrap().extents() {
        if let Extent::Literal(literal) = extent {
            bytes.extend(literal);
        }
    }
    bytes
}

/// Of the programs that the far side starts, how far apart those are at which it is killed: `HOOPY_KILL_EVERY`, or `usual`.
pub fn kill_every(usual: usize) -> usize {
    std::env::var("HOOPY_KILL_EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(usual)
}
