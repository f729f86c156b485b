//! A boot medium: the overlays on it, and what it says of the machine that the overlay does not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::input::read_up_to;

use super::pi;
use crate::overlay::Hints;

/// What lbu calls overlays; encrypted ones have their cipher behind it.
const SUFFIX: &str = ".apkovl.tar.gz";

/// The names of a medium's top directory that are looked at.
const MAX_NAMES: usize = 10_000;

/// Files with kernel arguments are read so far.
const MAX_TEXT: u64 = 64 << 10;

/// The kernel of a Raspberry Pi.
const OF_PI: &str = "rpi";

/// Where the kernel arguments of a boot medium are: of syslinux, GRUB, and a Raspberry Pi.
const BOOT_CONFIGS: [&str; 6] = [
    "boot/syslinux/syslinux.cfg",
    "boot/syslinux.cfg",
    "syslinux.cfg",
    "boot/grub/grub.cfg",
    "boot/extlinux.conf",
    "cmdline.txt",
];

/// The overlays in `dir`, sorted.
///
/// # Errors
/// What reading the directory fails with.
pub fn overlays(dir: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(names(dir)?.into_iter().filter(|name| is_overlay(name)).map(|name| dir.join(name)).collect())
}

fn is_overlay(name: &str) -> bool {
    let ends = |end: &str| end.is_empty() || end.starts_with('.');
    name.rsplit_once(SUFFIX).is_some_and(|(host, end)| !host.is_empty() && ends(end))
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(dir)?.take(MAX_NAMES).collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<String> =
        entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// The cipher that the name of an overlay tells of.
pub fn cipher(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (_, cipher) = name.rsplit_once(SUFFIX)?;
    cipher.strip_prefix('.').filter(|cipher| !cipher.is_empty()).map(str::to_owned)
}

/// The machine that an overlay's name tells of: `nas` of `nas.apkovl.tar.gz`.
pub fn host(path: &Path) -> Option<String> {
    let (host, _) = path.file_name()?.to_str()?.rsplit_once(SUFFIX)?;
    Some(host.to_owned()).filter(|host| !host.is_empty())
}

/// What the medium at `dir` says; nothing where it is none.
pub fn hints(dir: &Path, overlay: &Path) -> Hints {
    let release = read_up_to(&dir.join(".alpine-release"), MAX_TEXT).ok();
    let text = release.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let of_pi = text.contains("-rpi-");
    let release = Some(text).and_then(|text| release_of(&text));
    let host = host(overlay);
    let backup = |name: &String| host.as_ref().is_some_and(|host| is_backup(name, host));
    // An overlay may lie anywhere, also beside the kernels of this computer.
    let is_medium = dir.join(".alpine-release").exists() || dir.join("apks").is_dir();
    let kernels = if is_medium { names(&dir.join("boot")).unwrap_or_default() } else { Vec::new() };
    let kernels: Vec<&str> = kernels.iter().filter_map(|name| name.strip_prefix("vmlinuz-")).collect();
    Hints {
        // Of two kernels the medium starts one, and does not say which in one way; those of a Raspberry Pi's boards are one
        // by now.
        kernel: match kernels.as_slice() {
            _ if of_pi => Some(OF_PI.to_owned()),
            [kernel] => Some((*kernel).to_owned()),
            [_, ..] if kernels.iter().all(|kernel| kernel.starts_with(OF_PI)) => Some(OF_PI.to_owned()),
            _ => None,
        },
        pi: is_medium.then(|| pi::read(dir, Path::new(""))).flatten(),
        release,
        cmdline: BOOT_CONFIGS.iter().filter(|_| is_medium).find_map(|path| cmdline(&dir.join(path))),
        backups: names(dir).unwrap_or_default().into_iter().filter(backup).collect(),
        host,
        unauthenticated: false,
    }
}

/// `alpine-lts-3.23.1 260101` has the release `3.23.1`.
fn release_of(text: &str) -> Option<String> {
    let is_release = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    text.split(|c: char| c.is_whitespace() || c == '-').find(is_release).map(str::to_owned)
}

/// lbu's name of an older overlay: `nas.20260101120000.tar.gz`.
fn is_backup(name: &str, host: &str) -> bool {
    let time = name.strip_prefix(host).and_then(|rest| rest.strip_prefix('.')?.split('.').next());
    time.is_some_and(|time| time.len() == 14 && time.bytes().all(|b| b.is_ascii_digit()))
}

fn cmdline(path: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&read_up_to(path, MAX_TEXT).ok()?).into_owned();
    if path.ends_with("cmdline.txt") {
        return text.lines().next().map(own_arguments).filter(|args| !args.is_empty());
    }
    let args = text.lines().find_map(|line| {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace)?;
        match word.to_ascii_lowercase().as_str() {
            "append" => Some(rest),
            // The kernel's path comes first.
            "linux" => Some(rest.trim().split_once(char::is_whitespace)?.1),
            _ => None,
        }
    })?;
    Some(own_arguments(args)).filter(|args| !args.is_empty())
}

/// The arguments that concern a machine, without those of the diskless boot.
pub fn own_arguments(args: &str) -> String {
    const OF_DISKLESS: [&str; 18] = [
        "modules",
        "alpine_dev",
        "alpine_repo",
        "modloop",
        "apkovl",
        "pkgs",
        "initrd",
        "root",
        "rootfstype",
        "usbdelay",
        "ovl_dev",
        "ssh_key",
        "BOOT_IMAGE",
        "quiet",
        "ip",
        "splash",
        "rootflags",
        "ro",
    ];
    let own = |word: &&str| !OF_DISKLESS.contains(&word.split('=').next().unwrap_or_default());
    args.split_whitespace().filter(own).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_medium_tells_the_kernel_the_release_and_what_the_machine_is_started_with() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), text).unwrap();
        };
        write(".alpine-release", "alpine-rpi-3.23.1 260101\n");
        write("boot/vmlinuz-rpi", "");
        write("cmdline.txt", "modules=loop,squashfs,sd-mod quiet console=tty1 cgroup_enable=memory\n");
        write("nas.apkovl.tar.gz.aes-256-cbc", "");
        write("nas.20260102030405.tar.gz", "");
        write("other.20260102030405.tar.gz", "");
        let overlays = overlays(dir.path()).unwrap();
        let [overlay] = overlays.as_slice() else { panic!("{overlays:?}") };
        assert_eq!(cipher(overlay).unwrap(), "aes-256-cbc");
        let hints = hints(dir.path(), overlay);
        let expected = Hints {
            kernel: Some("rpi".into()),
            pi: None,
            release: Some("3.23.1".into()),
            cmdline: Some("console=tty1 cgroup_enable=memory".into()),
            backups: vec!["nas.20260102030405.tar.gz".into()],
            host: Some("nas".into()),
            unauthenticated: false,
        };
        assert_eq!(hints, expected);
    }
}
