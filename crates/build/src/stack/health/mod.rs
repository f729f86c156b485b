//! What a machine with trials (every layout but `single`) needs of its own: two services that decide whether a boot was
//! good. Nothing is added to a machine with the layout `single`.
//!
//! The scripts are beside this file, as they come out; `docs/boot.md` tells what they do.

use hoopy_boot::layout::Layout;
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};

use super::{Stack, StackError};

mod tryboot;

/// What layouts with two directories have besides. The services read these where they are there.
const PAIR_FILES: [(&str, &str); 2] = [
    ("usr/libexec/hoopy/pair.sh", hoopy_boot::pair::SHELL),
    ("usr/libexec/hoopy/pair-health.sh", include_str!("pair-health.sh")),
];

/// The program that reboots a Raspberry Pi into an image on trial.
const TRYBOOT: &str = "usr/libexec/hoopy/tryboot";

/// Each file, its mode and its text.
const FILES: [(&str, u32, &str); 7] = [
    ("etc/init.d/hoopy-health", 0o755, include_str!("hoopy-health.initd")),
    ("etc/init.d/hoopy-watchdog", 0o755, include_str!("hoopy-watchdog.initd")),
    ("usr/libexec/hoopy/boot.sh", 0o644, hoopy_boot::shell::MACHINE),
    ("usr/libexec/hoopy/common.sh", 0o644, include_str!("common.sh")),
    ("usr/libexec/hoopy/health", 0o755, include_str!("health.sh")),
    ("usr/libexec/hoopy/panic.sh", 0o644, include_str!("panic.sh")),
    ("usr/libexec/hoopy/watchdog", 0o755, include_str!("watchdog.sh")),
];

/// The runlevels of the services: the watchdog where the first services start, the check where the last ones do.
const RUNLEVELS: [(&str, &str); 2] = [("sysinit", "hoopy-watchdog"), ("default", "hoopy-health")];

/// Where a system puts checks of its own.
pub const CHECKS: &str = "etc/hoopy/health.d";

/// The layer with the services.
///
/// # Errors
/// [`StackError::NoOpenrc`] where nothing could run them.
pub fn layer(stack: &Stack, layout: Layout, epoch: u64, store: &Store) -> Result<Layer, StackError> {
    if !stack.has_openrc() {
        return Err(StackError::NoOpenrc);
    }
    let mut builder = Builder::new(store, epoch);
    for (path, mode, text) in FILES {
        builder.add_bytes(&EntryPath::new(path)?, mode, text.as_bytes())?;
    }
    if layout.has_pair() {
        for (path, text) in PAIR_FILES {
            builder.add_bytes(&EntryPath::new(path)?, 0o644, text.as_bytes())?;
        }
    }
    if layout == Layout::Pi {
        builder.add_bytes(&EntryPath::new(TRYBOOT)?, 0o755, &tryboot::program())?;
    }
    for (level, service) in RUNLEVELS {
        let link = EntryPath::new(format!("etc/runlevels/{level}/{service}"))?;
        builder.add(&link, Kind::Symlink(format!("/etc/init.d/{service}").into_bytes()), 0o777);
    }
    builder.add(&EntryPath::new(CHECKS)?, Kind::Dir { opaque: false }, 0o755);
    Ok(builder.finish(store)?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::stack::Origin;

    #[test]
    fn the_services_go_where_openrc_is_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut stack = Stack::default();
        assert!(matches!(layer(&stack, Layout::Ab, 0, &store), Err(StackError::NoOpenrc)));
        let mut below = Builder::new(&store, 0);
        below.add_bytes(&EntryPath::new("sbin/openrc-run").unwrap(), 0o755, b"x").unwrap();
        stack.push(below.finish(&store).unwrap(), Origin::Files);
        let layer = layer(&stack, Layout::Ab, 0, &store).unwrap();
        let paths: Vec<String> = layer.entries.iter().map(|e| e.path.to_string()).collect();
        for path in ["etc/runlevels/default/hoopy-health", "usr/libexec/hoopy/health", CHECKS] {
            assert!(paths.iter().any(|p| p == path), "{path}: {paths:?}");
        }
    }

    /// Runs `commands` with what the services share, on a partition that is the directory `esp` of `dir` and a pstore that is
    /// its directory `pstore`.
    fn shared(dir: &Path, commands: &str) -> String {
        let text = |name: &str| {
            FILES.iter().find(|(path, ..)| path.ends_with(name)).map(|(.., text)| *text).unwrap()
        };
        let common = text("common.sh").replace(". /usr/libexec/hoopy/boot.sh", text("boot.sh"));
        let common = common.replace("RUN=/run/hoopy", "RUN=$PWD/run");
        let script = format!(
            "{common}\n{}\nPSTORE=$PWD/pstore DEVICE=sda1 IMAGE=nas-2026112101\nopen_pstore() {{ :; }}\n\
             open_esp() {{ AT=$PWD/esp; }}\nclose_esp() {{ :; }}\nsay() {{ echo \"$1\"; }}\n{commands}\n",
            text("panic.sh")
        );
        let ran = Command::new("sh").args(["-c", &script]).current_dir(dir).output().unwrap();
        assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// A machine whose newest image has panicked three times, and which runs the one before.
    fn panicked(mark: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("esp/EFI/Linux/nas-2026112101.efi", "");
        write("esp/EFI/Linux/nas-2026112201+0-3.efi", "");
        let end =
            "Panic#1 Part1\n<0>[   12.5] Kernel panic - not syncing: \x1b[31msysrq\n<0>[   12.6] ---[ end\n";
        write(
            "pstore/dmesg-efi_pstore-176438120002001",
            &format!("Panic#1 Part2\n{mark}<6>[   12.1] before\n"),
        );
        write("pstore/dmesg-efi_pstore-176438120001001", end);
        write("pstore/dmesg-efi_pstore-176430000001001", "Panic#1 Part1\n<0>[ 99.1] older\n");
        write("pstore/dmesg-efi_pstore-176430000003001", "Oops#1 Part1\n<0>[ 98.1] no panic\n");
        dir
    }

    #[test]
    fn what_the_kernel_left_of_a_panic_is_kept_once_with_the_image_that_it_was() {
        for mark in ["<6>[    3.1] hoopy: this is nas-2026112201\n", ""] {
            let dir = panicked(mark);
            let said = shared(dir.path(), "take_panic; take_panic");
            assert_eq!(
                said,
                "nas-2026112201 panicked: see loader/hoopy-failed.txt on the EFI system partition\n"
            );
            let report = fs::read_to_string(dir.path().join("esp/loader/hoopy-failed.txt")).unwrap();
            let expected = format!(
                "IMAGE=nas-2026112201\nSLOT=nas-2026112201+0-3.efi\nSECONDS=12\n\
                 REASON=Kernel panic - not syncing: [31msysrq\n\n--- the kernel's last words\n{mark}\
                 <6>[   12.1] before\n<0>[   12.5] Kernel panic - not syncing: [31msysrq\n<0>[   12.6] ---[ end\n"
            );
            assert_eq!(report, expected);
            let left = fs::read_dir(dir.path().join("pstore")).unwrap().count();
            assert_eq!(left, 1, "what was no panic stays");
        }
    }

    #[test]
    fn a_panic_that_could_be_of_any_image_is_of_none() {
        let dir = panicked("");
        fs::write(dir.path().join("esp/EFI/Linux/nas-2026112202+1-2.efi"), "").unwrap();
        shared(dir.path(), "take_panic");
        let report = fs::read_to_string(dir.path().join("esp/loader/hoopy-failed.txt")).unwrap();
        assert!(report.starts_with("IMAGE=\nSLOT=\n"), "{report}");
    }

    #[test]
    fn an_image_that_becomes_good_keeps_word_of_its_panic_and_none_of_other_failures() {
        for (reason, stays) in [("Kernel panic - not syncing: x", true), ("service x crashed", false)] {
            let dir = panicked("");
            let esp = dir.path().join("esp");
            fs::rename(
                esp.join("EFI/Linux/nas-2026112101.efi"),
                esp.join("EFI/Linux/nas-2026112101+2-1.efi"),
            )
            .unwrap();
            fs::create_dir_all(esp.join("loader")).unwrap();
            let report = esp.join("loader/hoopy-failed.txt");
            fs::write(&report, format!("IMAGE=nas-2026112101\nREASON={reason}\n")).unwrap();
            shared(dir.path(), "SLOT=nas-2026112101+2-1.efi; bless");
            assert!(esp.join("EFI/Linux/nas-2026112101.efi").exists());
            assert_eq!(report.exists(), stays, "{reason}");
        }
    }

    #[test]
    fn every_script_is_one() {
        let pair = PAIR_FILES.map(|(path, text)| (path, 0, text));
        for (path, _, text) in FILES.into_iter().chain(pair) {
            let checked = Command::new("sh").args(["-n", "-c", text]).output().unwrap();
            assert!(checked.status.success(), "{path}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}
