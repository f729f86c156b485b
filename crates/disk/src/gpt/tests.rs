//! The real tools are the oracle: `sgdisk -v` and `sfdisk --json`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};

use super::*;

fn tool(name: &str, args: &[&str]) -> Option<Output> {
    match Command::new(name).args(args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output() {
        Ok(output) => Some(output),
        Err(e) => {
            hoopy_testkit::skip(format_args!("{name} does not start ({e}): install gdisk and fdisk"));
            None
        }
    }
}

fn table(size: u64) -> Table {
    let partition = |kind, n: u8, name: &str, start, size| Partition {
        kind,
        id: Guid::new_v8([n; 16]),
        name: name.to_owned(),
        start,
        size,
    };
    let partitions = vec![
        partition(EFI_SYSTEM, 1, "EFI system", ALIGNMENT, 20 * ALIGNMENT),
        partition(LINUX_FILESYSTEM, 2, "größe \u{1f427}", 21 * ALIGNMENT, usable(size).1 - 21 * ALIGNMENT),
    ];
    Table { disk: Guid::new_v8([9; 16]), size, partitions }
}

#[test]
fn both_tools_read_it_and_find_no_fault() {
    // A size that is no multiple of a MiB, as sticks have.
    let size = 64 * ALIGNMENT + 7 * SECTOR;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    table(size).write(file.as_file()).unwrap();
    let path = file.path().to_str().unwrap();
    if let Some(verified) = tool("sgdisk", &["-v", path]) {
        let said = String::from_utf8_lossy(&verified.stdout);
        assert!(said.contains("No problems found"), "{said}");
    }
    let Some(dumped) = tool("sfdisk", &["-d", path]) else { return };
    let said = String::from_utf8_lossy(&dumped.stdout);
    for part in [
        "label-id: 09090909-0909-8909-8909-090909090909",
        "start=        2048, size=       40960, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "uuid=01010101-0101-8101-8101-010101010101, name=\"EFI system\"",
    ] {
        assert!(said.to_ascii_uppercase().contains(&part.to_ascii_uppercase()), "{part}:\n{said}");
    }
    assert_eq!(dumped.stderr, b"", "{}", String::from_utf8_lossy(&dumped.stderr));
}

#[test]
fn partitions_out_of_place_are_refused() {
    let file = tempfile::tempfile().unwrap();
    let size = 64 * ALIGNMENT;
    let change = |change: fn(&mut Table)| {
        let mut table = table(size);
        change(&mut table);
        table.write(&file).unwrap_err().to_string()
    };
    assert!(change(|t| t.partitions[1].start -= ALIGNMENT).starts_with("partition 2 from byte"));
    assert!(change(|t| t.partitions[1].size += ALIGNMENT).starts_with("partition 2 from byte"));
    assert!(change(|t| t.partitions[0].start = SECTOR * 34).starts_with("partition 1 from byte"));
    assert!(change(|t| t.partitions[0].name = "x".repeat(37)).contains("names no partition"));
    assert!(change(|t| t.size = 0).starts_with("partition 1 from byte"));
    assert_eq!(file.metadata().unwrap().len(), 0);
}

#[test]
fn the_first_fields_of_a_guid_are_little_endian_on_disk() {
    let bytes = [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
    assert_eq!(EFI_SYSTEM.to_bytes_le(), bytes);
}
