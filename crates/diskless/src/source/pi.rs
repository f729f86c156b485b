//! What the boot medium of a Raspberry Pi holds for its firmware: `config.txt`, which Alpine brings and which includes
//! `usercfg.txt`, the owner's; and overlays of device trees.
//!
//! Source: Raspberry Pi's documentation, "config.txt". What chooses kernel and initramfs is hoopy's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hoopy_base::input::read_up_to;

/// A file of settings is read so far.
const MAX_TEXT: u64 = 64 << 10;

/// The largest overlay of a device tree; real ones have a few kilobytes.
const MAX_OVERLAY: u64 = 1 << 20;

/// More overlays than the firmware's package has.
const MAX_OVERLAYS: usize = 2_000;

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
    /// Lines that are not taken.
    pub left: Vec<String>,
}

/// Reads the medium at `dir`; nothing where it has no `config.txt`.
pub fn read(dir: &Path) -> Option<PiFiles> {
    let text = |name: &str| {
        let bytes = read_up_to(&dir.join(name), MAX_TEXT).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut files = settings(&text)?;
    let names = std::fs::read_dir(dir.join("overlays")).into_iter().flatten().take(MAX_OVERLAYS).flatten();
    for entry in names {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file
            && name.ends_with(".dtbo")
            && let Ok(bytes) = read_up_to(&entry.path(), MAX_OVERLAY)
        {
            files.overlays.insert(name, bytes.into());
        }
    }
    Some(files)
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
        if let Some(included) = line.strip_prefix("include ").map(str::trim) {
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
            ("usercfg.txt", "# the clock\ndtoverlay=i2c-rtc,ds3231\ninclude config.txt\n"),
        ])
        .unwrap();
        assert_eq!(found.config, "[pi4]\nenable_gic=1\n[all]\n# the clock\ndtoverlay=i2c-rtc,ds3231\n");
        assert_eq!(found.from, ["config.txt", "usercfg.txt"]);
        let left = [
            "kernel=boot/vmlinuz-rpi4",
            "initramfs boot/initramfs-rpi4",
            "arm_64bit=1",
            "include config.txt",
            "include gone.txt",
        ];
        assert_eq!(found.left, left);
    }

    #[test]
    fn filters_alone_are_no_settings() {
        assert_eq!(files(&[("config.txt", "[pi3]\nkernel=x\n[all]\n")]).unwrap().config, "");
        assert_eq!(files(&[]), None);
    }
}
