//! What the boot medium of a Raspberry Pi holds for its firmware: `config.txt`, which Alpine brings and which includes
//! `usercfg.txt`, the owner's; and overlays of device trees.
//!
//! Source: Raspberry Pi's documentation, "config.txt". What chooses kernel and initramfs is hoopy's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Dir;

use super::beneath;

/// A file of settings is read so far.
const MAX_TEXT: u64 = 64 << 10;

/// The largest overlay of a device tree; real ones have a few kilobytes.
const MAX_OVERLAY: u64 = 1 << 20;

/// The most that all of them may hold: the kernel's own have a megabyte.
const MAX_OVERLAYS: u64 = 32 << 20;

/// Where they are.
const OVERLAYS: &str = "overlays";

/// More names than that directory has.
const MAX_NAMES: usize = 10_000;

/// How deep files may include others, as the firmware does.
const INCLUDES: usize = 8;

/// The longest text that comes of it.
const MAX_LINES: usize = 4_000;

/// Settings that hoopy writes itself, behind the owner's.
const OF_HOOPY: [&str; 12] = [
    "arm_64bit",
    "auto_initramfs",
    "cmdline",
    "initramfs",
    "initramfs_address",
    "kernel",
    "kernel_address",
    "os_prefix",
    "overlay_prefix",
    "ramfsaddr",
    "ramfsfile",
    "kernel_old",
];

/// What a medium holds for the firmware.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PiFiles {
    /// The owner's lines, with what `config.txt` includes in its place.
    pub config: String,
    /// The files that they are of.
    pub from: Vec<String>,
    /// Overlays of device trees, the kernel's among them.
    pub overlays: BTreeMap<String, Arc<[u8]>>,
    /// Overlays that are too large or cannot be read.
    pub unread: Vec<String>,
    /// Lines that are not taken.
    pub left: Vec<String>,
}

/// Reads the directory `boot` below `top`, which may be the source itself; nothing where it has no `config.txt`. No link is
/// followed below `top`.
pub fn read(top: &Path, boot: &Path) -> Option<PiFiles> {
    let top = OwnedFd::from(File::open(top).ok()?);
    let file = |path: &Path, limit: u64| {
        // One byte more, to see that it is too long.
        let bytes = beneath::read(&top, &boot.join(path), limit + 1).ok()?;
        (bytes.len() as u64 <= limit).then_some(bytes)
    };
    let text = |name: &str| {
        let bytes = file(Path::new(name), MAX_TEXT)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut files = settings(&text)?;
    let mut left = MAX_OVERLAYS;
    for name in overlays(&top, &boot.join(OVERLAYS)) {
        let path = Path::new(OVERLAYS).join(&name);
        match file(&path, MAX_OVERLAY.min(left)) {
            Some(bytes) => {
                left -= bytes.len() as u64;
                files.overlays.insert(name, bytes.into());
            }
            None => files.unread.push(format!("{OVERLAYS}/{name}")),
        }
    }
    Some(files)
}

/// The names of the overlays in the directory `path`.
fn overlays(top: &OwnedFd, path: &Path) -> BTreeSet<String> {
    let dir = beneath::directory(top, path).ok().and_then(|dir| Dir::read_from(dir).ok());
    let names = dir.into_iter().flatten().take(MAX_NAMES).flatten();
    let names = names.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    names.filter(|name| name.ends_with(".dtbo")).collect()
}

fn settings(text: &dyn Fn(&str) -> Option<String>) -> Option<PiFiles> {
    let mut files = PiFiles::default();
    let mut lines = Vec::new();
    take("config.txt", &text("config.txt")?, text, &mut lines, &mut files, 0);
    // Filters and comments alone say nothing.
    let says = |line: &String| !line.is_empty() && !line.starts_with(['#', '[']);
    if lines.iter().any(says) {
        files.config = lines.join("\n") + "\n";
    }
    Some(files)
}

fn take(
    name: &str,
    content: &str,
    text: &dyn Fn(&str) -> Option<String>,
    lines: &mut Vec<String>,
    files: &mut PiFiles,
    depth: usize,
) {
    files.from.push(name.to_owned());
    for line in content.lines().map(str::trim) {
        if lines.len() >= MAX_LINES {
            files.left.push(format!("what follows line {MAX_LINES}"));
            return;
        }
        let key = line.split(['=', ' ', '\t']).next().unwrap_or_default();
        let included = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']));
        if let Some(included) = included.map(str::trim) {
            let is_name =
                !included.contains('/') && depth < INCLUDES && !files.from.iter().any(|f| f == included);
            match is_name.then(|| text(included)).flatten() {
                Some(content) => take(included, &content, text, lines, files, depth + 1),
                None => files.left.push(line.to_owned()),
            }
        } else if OF_HOOPY.contains(&key) || key == "device_tree" {
            files.left.push(line.to_owned());
        } else if !(name == "config.txt" && line.starts_with('#')) {
            // Comments of Alpine's own file say not to change it.
            lines.push(line.to_owned());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Option<PiFiles> {
        let text = |name: &str| files.iter().find(|(n, _)| *n == name).map(|(_, text)| (*text).to_owned());
        settings(&text)
    }

    #[test]
    fn the_owners_lines_are_taken_in_their_place_and_what_starts_the_kernel_is_not() {
        let found = files(&[
            (
                "config.txt",
                "# do not modify\n[pi4]\nenable_gic=1\nkernel=boot/vmlinuz-rpi4\ninitramfs boot/initramfs-rpi4\n[all]\narm_64bit=1\n\
                 include usercfg.txt\ninclude gone.txt\n",
            ),
            ("usercfg.txt", "# the clock\ndtoverlay=i2c-rtc,ds3231\ninclude\tconfig.txt\n"),
        ])
        .unwrap();
        assert_eq!(found.config, "[pi4]\nenable_gic=1\n[all]\n# the clock\ndtoverlay=i2c-rtc,ds3231\n");
        assert_eq!(found.from, ["config.txt", "usercfg.txt"]);
        let left = [
            "kernel=boot/vmlinuz-rpi4",
            "initramfs boot/initramfs-rpi4",
            "arm_64bit=1",
            "include\tconfig.txt",
            "include gone.txt",
        ];
        assert_eq!(found.left, left);
    }

    #[test]
    fn no_link_leads_out_of_the_source() {
        let [source, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let write = |path: &str, text: &str| {
            let path = source.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        std::fs::write(other.path().join("config.txt"), "dtoverlay=theirs\n").unwrap();
        std::fs::write(other.path().join("theirs.dtbo"), "x").unwrap();
        std::os::unix::fs::symlink(other.path(), source.path().join("boot")).unwrap();
        assert_eq!(read(source.path(), Path::new("boot")), None);
        std::fs::remove_file(source.path().join("boot")).unwrap();
        write("boot/config.txt", "include usercfg.txt\nenable_uart=1\n");
        write("boot/overlays/own.dtbo", "x");
        std::os::unix::fs::symlink(other.path().join("config.txt"), source.path().join("boot/usercfg.txt"))
            .unwrap();
        std::os::unix::fs::symlink(
            other.path().join("theirs.dtbo"),
            source.path().join("boot/overlays/a.dtbo"),
        )
        .unwrap();
        let found = read(source.path(), Path::new("boot")).unwrap();
        assert_eq!(
            (found.config.as_str(), found.left.as_slice()),
            ("enable_uart=1\n", &["include usercfg.txt".to_owned()][..])
        );
        assert_eq!(found.overlays.keys().collect::<Vec<_>>(), ["own.dtbo"]);
        assert_eq!(found.unread, ["overlays/a.dtbo"]);
        std::fs::remove_dir_all(source.path().join("boot/overlays")).unwrap();
        std::os::unix::fs::symlink(other.path(), source.path().join("boot/overlays")).unwrap();
        assert!(read(source.path(), Path::new("boot")).unwrap().overlays.is_empty());
    }

    #[test]
    fn filters_alone_are_no_settings() {
        assert_eq!(files(&[("config.txt", "[pi3]\nkernel=x\n[all]\n")]).unwrap().config, "");
        assert_eq!(files(&[]), None);
    }
}
