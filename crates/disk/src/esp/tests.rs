//! The real tools are the oracle: `fsck.vfat` from dosfstools, `mdir` and `mtype` from mtools.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Cursor, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

use super::*;

const LONG: &str = "EFI/Linux/a-name-that-8.3-cannot-hold-2026112101+3.efi";

/// Runs a tool on the image, or says that it is missing.
fn tool(name: &str, args: &[&str]) -> Option<Output> {
    match Command::new(name).args(args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output() {
        Ok(output) => Some(output),
        Err(e) => {
            hoopy_testkit::skip(format_args!("{name} does not start ({e}): install dosfstools and mtools"));
            None
        }
    }
}

fn made(volume: &Volume, files: &[(&str, Vec<u8>)]) -> tempfile::NamedTempFile {
    let image = tempfile::NamedTempFile::new().unwrap();
    let mut contents: Vec<_> = files.iter().map(|(_, bytes)| Cursor::new(bytes)).collect();
    let mut items: Vec<_> = files.iter().zip(&mut contents).map(item).collect();
    write(image.as_file(), volume, &mut items).unwrap();
    image
}

fn item<'a>((file, content): (&'a (&'a str, Vec<u8>), &'a mut Cursor<&'a Vec<u8>>)) -> Item<'a> {
    Item { path: file.0.to_owned(), size: file.1.len() as u64, content }
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn assert_good(image: &tempfile::NamedTempFile, files: &[(&str, Vec<u8>)]) {
    let path = image.path().to_str().unwrap();
    if let Some(check) = tool("fsck.vfat", &["-n", "-v", path]) {
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    }
    for (name, bytes) in files {
        if let Some(typed) = tool("mtype", &["-i", path, &format!("::{name}")]) {
            assert!(typed.stdout == *bytes, "{name}: {}", String::from_utf8_lossy(&typed.stderr));
        }
    }
}

#[test]
fn small_partitions_are_fat16_that_fsck_and_mtools_read() {
    let files = [("EFI/BOOT/BOOTX64.EFI", noise(3_000_001)), (LONG, noise(70_000)), ("empty", vec![])];
    let image = made(&Volume::default(), &files);
    assert_good(&image, &files);
    let path = image.path().to_str().unwrap();
    let Some(listing) = tool("mdir", &["-i", path, "-/", "::"]) else { return };
    let listing = String::from_utf8(listing.stdout).unwrap();
    assert!(listing.contains("Volume in drive : is ESP"), "{listing}");
    assert!(listing.contains("Volume Serial Number is 686F-6F70"), "{listing}");
    assert!(listing.contains("a-name-that-8.3-cannot-hold-2026112101+3.efi"), "{listing}");
}

#[test]
fn large_partitions_are_sparse_fat32_that_fsck_and_mtools_read() {
    let files = [("EFI/BOOT/BOOTAA64.EFI", noise(33 << 20)), (LONG, noise(70_000))];
    let volume = Volume { spare: 300 << 20, label: "NAS-ESP".to_owned(), id: 0x1234_abcd };
    let image = made(&volume, &files);
    assert_good(&image, &files);
    let meta = image.as_file().metadata().unwrap();
    assert!(meta.blocks() * 512 < 40 << 20, "{} bytes on disk", meta.blocks() * 512);
    let mut boot = [0; 512];
    std::os::unix::fs::FileExt::read_exact_at(image.as_file(), &mut boot, 0).unwrap();
    assert_eq!(&boot[0x52..0x5a], b"FAT32   ");
}

#[test]
fn a_file_is_replaced_and_all_else_stays() {
    for (spare, size) in [(8 << 20, 3_000_001), (300 << 20, 33 << 20)] {
        let lasting = ("persist/seedrng/seed.credit", noise(512));
        let image = made(
            &Volume { spare, ..Volume::default() },
            &[("EFI/BOOT/BOOTX64.EFI", noise(size)), (lasting.0, lasting.1.clone())],
        );
        // Smaller, larger, and one more.
        for (path, len) in [
            ("EFI/BOOT/BOOTX64.EFI", 70_000),
            ("EFI/BOOT/BOOTX64.EFI", size + 1_000_000),
            ("efi/new/a-longer-name.efi", 9),
        ] {
            let content = noise(len);
            let mut cursor = Cursor::new(&content);
            let item = Item { path: path.to_owned(), size: len as u64, content: &mut cursor };
            replace(image.as_file(), item).unwrap();
            assert_good(&image, &[(path, content), lasting.clone()]);
        }
    }
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let files = [("EFI/BOOT/BOOTX64.EFI", noise(100_000)), (LONG, noise(5))];
    let read = |image: tempfile::NamedTempFile| std::fs::read(image.path()).unwrap();
    let first = read(made(&Volume::default(), &files));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert!(first == read(made(&Volume::default(), &files)));
}

#[test]
fn refuses_contents_that_are_not_as_long_as_was_said() {
    let image = tempfile::tempfile().unwrap();
    for (len, found) in [(9, "9"), (11, "11"), (500_000, "11")] {
        let mut content = Cursor::new(vec![1; len]);
        let mut items = [Item { path: "a".to_owned(), size: 10, content: &mut content }];
        let error = write(&image, &Volume::default(), &mut items).unwrap_err();
        assert_eq!(error.to_string(), format!("a was said to have 10 bytes and has {found}"));
    }
}

#[test]
fn refuses_paths_that_firmware_could_not_read() {
    let image = tempfile::tempfile().unwrap();
    for path in ["", "/a", "a//b", "../a", "a/.", "a.", "a ", "ü", "a:b", "a\\b", "a\nb"] {
        let mut items = [Item { path: path.to_owned(), size: 0, content: &mut io::empty() }];
        let error = write(&image, &Volume::default(), &mut items).unwrap_err();
        assert!(matches!(error, EspError::BadPath { .. }), "{path:?}: {error}");
    }
    let (mut one, mut two) = (io::empty(), io::empty());
    let mut items = [
        Item { path: "EFI/a".to_owned(), size: 0, content: &mut one },
        Item { path: "efi/A".to_owned(), size: 0, content: &mut two },
    ];
    let error = write(&image, &Volume::default(), &mut items).unwrap_err();
    assert!(error.to_string().contains("it is given twice"), "{error}");
}

#[test]
fn refuses_a_file_where_a_directory_is_wanted() {
    let image = tempfile::tempfile().unwrap();
    let (mut one, mut two) = (io::empty(), io::empty());
    let mut items = [
        Item { path: "a".to_owned(), size: 0, content: &mut one },
        Item { path: "a/b".to_owned(), size: 0, content: &mut two },
    ];
    assert!(matches!(write(&image, &Volume::default(), &mut items), Err(EspError::Fat { .. })));
}

#[test]
fn every_size_that_may_be_asked_for_makes_a_filesystem_that_holds_it() {
    for mib in [1, 15, 16, 17, 31, 100, 127, 128, 129, 250, 255, 256, 257, 270, 511, 520, 1100] {
        let image = tempfile::NamedTempFile::new().unwrap();
        let mut content = io::repeat(0).take(1 << 10);
        let mut items = [Item { path: "a".to_owned(), size: 1 << 10, content: &mut content }];
        let volume = Volume { spare: mib << 20, ..Volume::default() };
        let size = write(image.as_file(), &volume, &mut items).unwrap();
        assert_eq!(image.as_file().seek(SeekFrom::End(0)).unwrap(), size);
        assert_good(&image, &[("a", vec![0; 1 << 10])]);
        let path = image.path().to_str().unwrap();
        let Some(listing) = tool("mdir", &["-i", path, "::"]) else { continue };
        let listing = String::from_utf8(listing.stdout).unwrap();
        let free = listing.lines().find(|l| l.contains("bytes free")).unwrap();
        let free: u64 = free.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
        assert!(free >= mib << 20, "{free} free of {size} for {mib} MiB");
    }
}

#[test]
fn what_lay_in_the_range_before_does_no_harm() {
    let files = [("EFI/BOOT/BOOTX64.EFI", noise(3_000_001)), (LONG, noise(70_000)), ("loader/x", vec![1])];
    for (size, name) in [(40 << 20, "FAT16"), (300 << 20, "FAT32")] {
        let disk = tempfile::NamedTempFile::new().unwrap();
        let old = vec![0xff; 1 << 20];
        for mib in 0..size >> 20 {
            std::os::unix::fs::FileExt::write_all_at(disk.as_file(), &old, mib << 20).unwrap();
        }
        let mut contents: Vec<_> = files.iter().map(|(_, bytes)| Cursor::new(bytes)).collect();
        let mut items: Vec<_> = files.iter().zip(&mut contents).map(item).collect();
        write_at(disk.as_file(), 0, size, &Volume::default(), &mut items).unwrap();
        println!("{name}");
        assert_good(&disk, &files);
    }
}

#[test]
fn a_range_without_room_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let mut items = [Item { path: "a".to_owned(), size: 50 << 20, content: &mut io::empty() }];
    let error = write_at(&file, 1 << 20, 40 << 20, &Volume::default(), &mut items).unwrap_err();
    assert!(matches!(error, EspError::TooSmall { size, needed } if size == 40 << 20 && needed > 50 << 20));
    assert_eq!(file.metadata().unwrap().len(), 0);
}
