//! A machine's EFI system partition, as one sees it who pulls the stick out and looks: with the mtools.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where `hoopy disk` begins the first partition.
const START_BYTES: u64 = 1 << 20;

/// The partition on a disk image.
pub struct Esp(PathBuf);

impl Esp {
    pub fn of(disk: &Path) -> Self {
        Self(disk.to_owned())
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        // A disk whose machine lost its power is not clean, and is to be looked at all the same.
        command.env("MTOOLS_SKIP_CHECK", "1").arg("-i").arg(format!("{}@@{START_BYTES}", self.0.display()));
        command.stderr(Stdio::null());
        command
    }

    /// The files of this directory. While the machine runs, they may be the files of a moment ago.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let out = self.tool("mdir").arg("-b").arg(format!("::{dir}")).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let names = text.lines().filter_map(|line| line.rsplit_once('/'));
        names.filter(|(_, name)| !name.is_empty()).map(|(_, name)| name.to_owned()).collect()
    }

    /// The SHA-256 of a file.
    pub fn digest(&self, path: &str) -> String {
        let mut copy =
            self.tool("mcopy").arg(format!("::{path}")).arg("-").stdout(Stdio::piped()).spawn().unwrap();
        let sum = Command::new("sha256sum").stdin(copy.stdout.take().unwrap()).output().unwrap();
        assert!(copy.wait().unwrap().success(), "{path} cannot be read");
        first_word(&sum.stdout)
    }

    /// Every file that firmware, systemd-boot or a rollback may start, with its digest.
    pub fn images(&self) -> BTreeMap<String, String> {
        let mut images = BTreeMap::new();
        for dir in ["EFI/BOOT", "EFI/Linux"] {
            for name in self.names(dir).iter().filter(|name| is_started(name)) {
                let path = format!("{dir}/{name}");
                images.insert(path.clone(), self.digest(&path));
            }
        }
        images
    }

    /// Where each of those files lies, in clusters.
    pub fn places(&self) -> BTreeMap<String, Vec<Range<u64>>> {
        let mut places = BTreeMap::new();
        for dir in ["EFI/BOOT", "EFI/Linux"] {
            for name in self.names(dir).iter().filter(|name| is_started(name)) {
                let path = format!("{dir}/{name}");
                let clusters = self.clusters(&path);
                places.insert(path, clusters);
            }
        }
        places
    }

    /// How long a file is, in bytes.
    pub fn size(&self, path: &str) -> u64 {
        let out = self.tool("mdir").arg(format!("::{path}")).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let total = text.lines().find_map(|line| line.split_once(" file ")?.1.trim().strip_suffix(" bytes"));
        total.unwrap().split_whitespace().collect::<String>().parse().unwrap()
    }

    /// Where the directories above those files lie, and theirs, in clusters.
    pub fn directories(&self) -> Vec<Range<u64>> {
        ["", "EFI", "EFI/BOOT", "EFI/Linux"].iter().flat_map(|dir| self.clusters(dir)).collect()
    }

    fn clusters(&self, path: &str) -> Vec<Range<u64>> {
        let out = self.tool("mshowfat").arg(format!("::/{path}")).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.split('<').skip(1).map(clusters).collect()
    }

    /// Where the first cluster lies on the disk, and how long one is, in bytes (Microsoft's FAT specification, BPB).
    pub fn geometry(&self, disk: &File) -> (u64, u64) {
        let mut sector = [0; 512];
        disk.read_exact_at(&mut sector, START_BYTES).unwrap();
        let number = |at: usize, size: usize| {
            sector[at..at + size].iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let bytes = number(11, 2);
        let before = number(14, 2) + number(16, 1) * number(36, 4);
        (START_BYTES + before * bytes, number(13, 1) * bytes)
    }

    /// Puts a file there that leaves so many bytes free. The machine must be off.
    pub fn fill(&self, name: &str, but: u64) {
        let out = self.tool("mdir").arg("::").output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let free = text.lines().find_map(|line| line.trim().strip_suffix(" bytes free")).unwrap();
        let free: u64 = free.split_whitespace().collect::<String>().parse().unwrap();
        self.put(name, free - but);
    }

    /// Puts a file of so many zeros there. The machine must be off.
    pub fn put(&self, path: &str, size: u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(size).unwrap();
        let copied = self.tool("mcopy").arg(file.path()).arg(format!("::{path}")).status().unwrap();
        assert!(copied.success(), "{path}");
    }

    /// Gives a file a second name in its directory, for the same clusters: what a power cut in the middle of a rename can
    /// leave. The machine must be off.
    pub fn add_name(&self, dir: &str, file: &str, second: &str) {
        self.put(&format!("{dir}/{second}"), 1);
        let disk = File::options().read(true).write(true).open(&self.0).unwrap();
        let (first, size) = self.geometry(&disk);
        let starts = |name: &str| self.clusters(&format!("{dir}/{name}"))[0].start;
        let (of_file, of_second) = (starts(file), starts(second));
        // Bytes 20 and 26 have the halves of the first cluster's number, 28 the size (Microsoft's FAT specification).
        let mut entries = Vec::new();
        for cluster in self.clusters(dir).into_iter().flatten() {
            let at = first + (cluster - 2) * size;
            for at in (at..at + size).step_by(32) {
                let mut entry = [0; 32];
                disk.read_exact_at(&mut entry, at).unwrap();
                let half = |at: usize| u64::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
                let is_file = entry[11] & 0x18 == 0 && !matches!(entry[0], 0 | 0xE5 | b'.');
                entries.extend(is_file.then_some((half(20) << 16 | half(26), at, entry)));
            }
        }
        let entry = |cluster| entries.iter().find(|(number, ..)| *number == cluster).unwrap();
        let (_, _, from) = entry(of_file);
        let (_, at, mut to) = *entry(of_second);
        for field in [20..22, 26..32] {
            to[field.clone()].copy_from_slice(&from[field]);
        }
        disk.write_all_at(&to, at).unwrap();
    }

    /// Removes a file. The machine must be off.
    pub fn remove(&self, path: &str) {
        assert!(self.tool("mdel").arg(format!("::{path}")).status().unwrap().success(), "{path}");
    }

    /// The digest of the whole disk: nothing was written where it stays the same.
    pub fn all(&self) -> String {
        digest_of(&self.0)
    }
}

/// Whether something may start a file of this name: not while it has its temporary one, however short that is cut.
fn is_started(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".efi") || name.ends_with(".old")
}

/// The digests of the files in a directory.
pub fn digests(dir: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.is_file()).map(|file| digest_of(&file)).collect()
}

/// The digest of a file.
pub fn digest_of(file: &Path) -> String {
    let out = Command::new("sha256sum").arg(file).output().unwrap();
    assert!(out.status.success(), "{}", file.display());
    first_word(&out.stdout)
}

/// `5-12847>` or `5>`, as mshowfat says it.
fn clusters(text: &str) -> Range<u64> {
    let text = text.split('>').next().unwrap();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap()..last.parse::<u64>().unwrap() + 1
}

fn first_word(said: &[u8]) -> String {
    String::from_utf8_lossy(said).split_whitespace().next().unwrap_or_default().to_owned()
}
