//! Partition tables of the old kind (UEFI specification 2.10, section 5.2.1), which the firmware of every Raspberry Pi
//! reads: one sector with four entries.
//!
//! ```text
//! 440  the disk's number, 4 bytes
//! 446  four entries of 16 bytes: flags, first sector as cylinder/head/sector, type, last one likewise, first sector, sectors
//! 510  55 AA
//! ```
//!
//! In front of them is room for what a BIOS starts: code, where a disk is to be started by one.
//!
//! The old geometry says nothing of a card, so its fields hold what stands for "further on than they can say".

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::gpt::{ALIGNMENT, BASIC_DATA, EFI_SYSTEM, Guid, LINUX_FILESYSTEM, LINUX_SWAP, SECTOR, Table};

/// Entries of a table.
pub const MAX_PARTITIONS: usize = 4;

/// FAT32, by sector numbers: what firmware starts from.
const FAT32: u8 = 0x0c;

/// A table that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum MbrError {
    /// More partitions than entries.
    #[error(
        "{0} partitions: expected at most {MAX_PARTITIONS}, which is what the partition table of a card has room for"
    )]
    TooMany(usize),
    /// Sectors that have no number of 32 bits.
    #[error(
        "partition {number} ends at byte {end}: expected an end within 2 TiB, which is what the partition table of a card can say"
    )]
    TooLarge {
        /// Counted from 1.
        number: usize,
        /// Its end.
        end: u64,
    },
    /// The disk could not be written.
    #[error("cannot write the partition table: {0}")]
    Write(#[from] io::Error),
}

/// Writes the table of `table`'s partitions into the first sector of `out`; the rest of the first MiB becomes zeros.
///
/// # Errors
/// [`MbrError`]; nothing is written where the table cannot be.
pub fn write(out: &File, table: &Table) -> Result<(), MbrError> {
    if table.partitions.len() > MAX_PARTITIONS {
        return Err(MbrError::TooMany(table.partitions.len()));
    }
    let mut sector = vec![0; 440];
    sector.extend(table.disk.to_bytes_le().iter().take(4));
    sector.extend([0; 2]);
    for (n, partition) in table.partitions.iter().enumerate() {
        let end = partition.start + partition.size;
        let number =
            |bytes: u64| u32::try_from(bytes / SECTOR).map_err(|_| MbrError::TooLarge { number: n + 1, end });
        number(end)?;
        sector.extend([0x00, 0xfe, 0xff, 0xff, kind(partition.kind), 0xfe, 0xff, 0xff]);
        sector.extend(number(partition.start)?.to_le_bytes());
        sector.extend(number(partition.size)?.to_le_bytes());
    }
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    // A GPT that was there before would be found first.
    sector.resize(ALIGNMENT as usize, 0);
    out.write_all_at(&sector, 0)?;
    Ok(())
}

/// What a BIOS loads to 0x7C00 and runs, with the disk's number in DL. It moves to 0x600, looks for the entry that is marked as
/// active, loads that partition's first sector to 0x7C00 in its place, and runs that, with the entry in SI, which is how a
/// boot sector learns where it lies. Where there is none, or it cannot be read, the BIOS goes on with the next disk.
const CODE: [u8; 90] = [
    0xfa, // cli
    0x31, 0xc0, 0x8e, 0xd0, // SS = 0
    0xbc, 0x00, 0x7c, // SP = 0x7C00
    0x8e, 0xd8, 0x8e, 0xc0, // DS = ES = 0
    0xfb, 0xfc, // sti, cld
    0x89, 0xe6, 0xbf, 0x00, 0x06, 0xb9, 0x00, 0x01, 0xf3, 0xa5, // 256 words from SP to 0x600
    0xea, 0x1d, 0x06, 0x00, 0x00, // on there
    0xbe, 0xbe, 0x07, 0xb9, 0x04, 0x00, // SI = the first of four entries
    0x80, 0x3c, 0x80, 0x74, 0x07, // active: go on below
    0x83, 0xc6, 0x10, 0xe2, 0xf6, // the next entry
    0xcd, 0x18, // int 18h: the next disk
    0x89, 0xf7, // DI = the entry
    0x66, 0x6a, 0x00, 0x66, 0xff, 0x74, 0x08, // push 0 and its first sector,
    0x6a, 0x00, 0x68, 0x00, 0x7c, // the address 0:7C00,
    0x6a, 0x01, 0x6a, 0x10, // one sector, and that these are 16 bytes
    0x89, 0xe6, 0xb4, 0x42, 0xcd, 0x13, // int 13h, AH = 42h: read
    0x72, 0x0f, // failed: the end
    0x81, 0x3e, 0xfe, 0x7d, 0x55, 0xaa, 0x75, 0x07, // no boot sector: the end
    0x89, 0xfe, // SI = the entry
    0xea, 0x00, 0x7c, 0x00, 0x00, // run it
    0xcd, 0x18, // int 18h
];

/// Where the first entry begins, with its flags.
const FIRST: u64 = 446;

/// Has a BIOS start the first partition of the disk, whose table [`write()`] wrote.
///
/// # Errors
/// Where it cannot be written.
pub fn make_bootable(out: &File) -> io::Result<()> {
    out.write_all_at(&CODE, 0)?;
    out.write_all_at(&[0x80], FIRST)
}

fn kind(kind: Guid) -> u8 {
    match kind {
        EFI_SYSTEM => FAT32,
        LINUX_SWAP => 0x82,
        BASIC_DATA => 0x07,
        LINUX_FILESYSTEM => 0x83,
        _ => 0x83,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use hoopy_base::programs::Programs;
    use uuid::uuid;

    use super::*;
    use crate::gpt::Partition;

    fn table(count: u64, size: u64) -> Table {
        let partition = |n: u64| Partition {
            kind: if n == 0 { EFI_SYSTEM } else { LINUX_FILESYSTEM },
            id: Guid::nil(),
            name: String::new(),
            start: ALIGNMENT + n * size,
            size,
        };
        let disk = uuid!("12345678-0000-4000-8000-000000000000");
        Table { disk, size: ALIGNMENT * 2 + count * size, partitions: (0..count).map(partition).collect() }
    }

    #[test]
    fn sfdisk_reads_the_table_as_it_was_meant() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let table = table(2, 32 << 20);
        file.as_file().set_len(table.size).unwrap();
        write(file.as_file(), &table).unwrap();
        let Some(sfdisk) = Programs::default().find("sfdisk") else {
            return hoopy_testkit::skip("sfdisk is not installed");
        };
        let out = Command::new(sfdisk).arg("--dump").arg(file.path()).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        for expected in [
            "label: dos",
            "label-id: 0x12345678",
            "start=        2048, size=       65536, type=c",
            "start=       67584, size=       65536, type=83",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn the_first_partition_of_a_bootable_disk_is_marked_and_the_table_stays() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let table = table(2, 32 << 20);
        file.as_file().set_len(table.size).unwrap();
        write(file.as_file(), &table).unwrap();
        make_bootable(file.as_file()).unwrap();
        let mut sector = [0; 512];
        file.as_file().read_exact_at(&mut sector, 0).unwrap();
        let flags = [446, 462].map(|at| sector.get(at).copied());
        assert_eq!(flags, [Some(0x80), Some(0)]);
        assert_eq!(
            sector.get(440..444),
            Some(&[0x78, 0x56, 0x34, 0x12][..]),
            "the code leaves the disk's number"
        );
    }

    #[test]
    fn what_a_card_cannot_say_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(write(&file, &table(5, 1 << 20)), Err(MbrError::TooMany(5))));
        assert!(matches!(write(&file, &table(1, 3 << 40)), Err(MbrError::TooLarge { number: 1, .. })));
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}
