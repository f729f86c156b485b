//! The real tools are the oracle: what `sgdisk`, `fsck.vfat`, `e2fsck`, `blkid` and mtools say of a disk.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

use hoopy_disk::fstab::parse;

use super::*;

const UUID: &str = "1b0c2f0e-1111-4222-8333-444455556666";

fn tool(name: &str, args: &[&str]) -> Option<Output> {
    let Some(program) = Programs::default().find(name) else {
        hoopy_testkit::skip(format_args!("{name} is not installed"));
        return None;
    };
    Some(Command::new(program).args(args).output().unwrap())
}

fn config(dir: &Path, layout: Layout, fstab: &str) -> DiskConfig {
    let image = dir.join("nas-2026112101.efi");
    fs::write(&image, vec![7; 3_000_001]).unwrap();
    DiskConfig {
        arch: Arch::X86_64,
        name: "nas".to_owned(),
        layout,
        menu: 0,
        image,
        loader: (layout == Layout::Ab).then(|| b"systemd-boot".to_vec()),
        firmware: Vec::new(),
        keys: Vec::new(),
        enroll: false,
        lasting: choose(&parse(fstab.as_bytes()), None, None).unwrap(),
        size: None,
        identity: None,
        restore: None,
        programs: Programs::default(),
    }
}

#[test]
fn the_boot_loader_shows_its_menu_for_as_long_as_is_said() {
    for menu in [0, 5] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("disk");
        let disk = write(&out, &DiskConfig { menu, ..config(dir.path(), Layout::Ab, "") }).unwrap();
        let part = dir.path().join("part");
        cut(&out, &disk.partitions[0], &part);
        let read = ["-i", part.to_str().unwrap(), "::/loader/loader.conf", "-"];
        let Some(said) = tool("mcopy", &read) else { return };
        let conf = String::from_utf8(said.stdout).unwrap();
        let settings: Vec<&str> = conf.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(settings, ["reboot-on-error yes", &format!("timeout {menu}")]);
    }
}

/// A partition on its own, for tools that know no tables.
fn cut(disk: &Path, part: &Part, to: &Path) {
    let from = File::open(disk).unwrap();
    let out = File::options().write(true).create(true).truncate(true).open(to).unwrap();
    out.set_len(part.size).unwrap();
    let mut chunk = vec![0; CHUNK];
    for range in sparse::data(&from).unwrap() {
        let range = range.start.max(part.start)..range.end.min(part.start + part.size);
        let mut at = range.start;
        while at < range.end {
            let n = CHUNK.min((range.end - at) as usize);
            from.read_exact_at(&mut chunk[..n], at).unwrap();
            out.write_all_at(&chunk[..n], at - part.start).unwrap();
            at += n as u64;
        }
    }
}

#[test]
fn every_tool_reads_it_and_finds_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Layout::Ab, &format!("UUID={UUID} /data ext4 noatime\n"));
    let out = dir.path().join("nas.img");
    let disk = match write(&out, &config) {
        Err(DiskError::Mkfs(e @ mkfs::MkfsError::NoTool { .. })) => return hoopy_testkit::skip(e),
        other => other.unwrap(),
    };
    let meta = fs::metadata(&out).unwrap();
    assert_eq!((disk.size, meta.mode() & 0o777), (meta.len(), 0o644));
    assert!(meta.blocks() * 512 < 80 << 20, "{} bytes on disk", meta.blocks() * 512);
    let path = out.to_str().unwrap();
    if let Some(said) = tool("sgdisk", &["-v", path]) {
        let said = String::from_utf8_lossy(&said.stdout);
        assert!(said.contains("No problems found"), "{said}");
    }
    let part = dir.path().join("part");
    let part_path = part.to_str().unwrap();
    cut(&out, &disk.partitions[0], &part);
    for check in [("fsck.vfat", vec!["-n", part_path]), ("mdir", vec!["-b", "-/", "-i", part_path, "::"])] {
        let Some(said) = tool(check.0, &check.1) else { continue };
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success(), "{}: {text}", check.0);
        if check.0 == "mdir" {
            for name in ["EFI/BOOT/BOOTX64.EFI", "EFI/Linux/nas-2026112101.efi", "loader/loader.conf"] {
                assert!(text.lines().any(|l| l == format!("::/{name}")), "{name}: {text}");
            }
        }
    }
    cut(&out, &disk.partitions[1], &part);
    if let Some(said) = tool("e2fsck", &["-f", "-n", part_path]) {
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }
    if let Some(said) = tool("blkid", &["-p", "-o", "export", part_path]) {
        let said = String::from_utf8_lossy(&said.stdout);
        assert!(said.contains(&format!("UUID={UUID}\n")) && said.contains("TYPE=ext4"), "{said}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), Layout::Single, "LABEL=data /data ext4\n");
    config.size = Some(150 << 20);
    let made = |name: &str| {
        let out = dir.path().join(name);
        match write(&out, &config) {
            Err(DiskError::Mkfs(e @ mkfs::MkfsError::NoTool { .. })) => {
                hoopy_testkit::skip(e);
                None
            }
            other => other.map(|disk| (disk, fs::read(out).unwrap())).map(Some).unwrap(),
        }
    };
    let Some((disk, first)) = made("one.img") else { return };
    assert_eq!((disk.started.as_str(), first.len()), ("EFI/BOOT/BOOTX64.EFI", 150 << 20));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert!(made("two.img").unwrap().1 == first);
}

#[test]
fn the_size_asked_for_is_kept_and_what_is_too_small_says_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), Layout::Single, "");
    config.size = Some(30 << 20);
    let out = dir.path().join("nas.img");
    let disk = write(&out, &config).unwrap();
    assert_eq!((disk.size, disk.partitions.len(), disk.partitions[0].size), (30 << 20, 1, 28 << 20));
    config.size = Some(20 << 20);
    let error = write(&dir.path().join("b.img"), &config).unwrap_err().to_string();
    let said = "a disk of 20.0 MiB is too small: at least 22 MiB are needed, 20.0 MiB of them for 3 images";
    assert_eq!(error, said);
    config.size = Some(0);
    assert!(matches!(write(&out, &config), Err(DiskError::TooSmall { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn partitions_share_what_the_first_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), Layout::Single, "");
    config.lasting.mounts = parse(b"LABEL=a /a ext4\nLABEL=b none swap\n");
    config.size = Some(4 << 30);
    let table = plan(&config, 3 << 20).unwrap();
    let sizes: Vec<u64> = table.partitions.iter().map(|p| p.size >> 20).collect();
    assert_eq!(sizes, [512, 1791, 1791]);
    assert_eq!(table.partitions[2].kind, gpt::LINUX_SWAP);
}

#[test]
fn a_boot_loader_is_not_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), Layout::Ab, "");
    config.loader = None;
    assert!(matches!(write(&dir.path().join("a.img"), &config), Err(DiskError::NoLoader)));
    config.loader = Some(vec![1]);
    config.image = dir.path().join("image");
    fs::write(&config.image, "x").unwrap();
    assert!(matches!(write(&dir.path().join("a.img"), &config), Err(DiskError::Name(_))));
}
