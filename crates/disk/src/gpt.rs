//! GUID partition tables (UEFI specification 2.10, chapter 5): a protective MBR, the table, and its copy at the end.
//!
//! ```text
//! sector 0    protective MBR: the whole disk as one partition of type EE
//!        1    header
//!        2    128 entries of 128 bytes: 32 sectors
//!       34    partitions, here each at a whole MiB
//!      -33    the entries again
//!       -1    the header again
//! ```
//!
//! Nothing is random: GUIDs are the caller's. On the disk their first three fields are little-endian (appendix A).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

pub use uuid::Uuid as Guid;
use uuid::uuid;

/// Bytes of a sector. Disks with larger ones are not written here: their tables would lie elsewhere.
pub const SECTOR: u64 = 512;

/// Partitions start and end at multiples of it, as all tools do, so that no write touches two erase blocks.
pub const ALIGNMENT: u64 = 1 << 20;

/// Entries that every table has room for (UEFI specification 2.10, 5.3.1: at least 16 KiB).
const ENTRIES: usize = 128;
const ENTRY: usize = 128;
const ENTRY_SECTORS: u64 = (ENTRIES * ENTRY) as u64 / SECTOR;

/// Characters of a partition's name, in UTF-16.
const MAX_NAME: usize = 36;

/// The type of EFI system partitions.
pub const EFI_SYSTEM: Guid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
/// The type of partitions with a filesystem of Linux.
pub const LINUX_FILESYSTEM: Guid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");
/// The type of swap of Linux.
pub const LINUX_SWAP: Guid = uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");
/// The type of partitions with a filesystem that Windows reads too.
pub const BASIC_DATA: Guid = uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7");

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub kind: Guid,
    /// Its own.
    pub id: Guid,
    /// What tools show; at most 36 characters.
    pub name: String,
    /// Its first byte, a multiple of [`ALIGNMENT`].
    pub start: u64,
    /// Its bytes, a multiple of [`ALIGNMENT`].
    pub size: u64,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The disk's own GUID.
    pub disk: Guid,
    /// Bytes of the disk, a multiple of [`SECTOR`].
    pub size: u64,
    /// In the order of their numbers, which is that of their places.
    pub partitions: Vec<Partition>,
}

/// A table that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum GptError {
    /// More partitions than entries.
    #[error("{0} partitions: a table has room for {ENTRIES}")]
    TooMany(usize),
    /// A partition that overlaps another, the table or the end, or is not aligned.
    #[error(
        "partition {number} from byte {start} on with {size} bytes: it must lie between {from} and {to}, in whole MiB"
    )]
    Place {
        /// Counted from 1.
        number: usize,
        /// Its first byte.
        start: u64,
        /// Its bytes.
        size: u64,
        /// The first byte it could have.
        from: u64,
        /// The end of what it could have.
        to: u64,
    },
    /// A name that is too long.
    #[error("{0:?} names no partition: more than {MAX_NAME} characters")]
    Name(String),
    /// The disk could not be written.
    #[error("cannot write the partition table: {0}")]
    Write(#[from] io::Error),
}

/// The bytes that partitions can have on a disk of `size` bytes: from the first on, and to where.
pub fn usable(size: u64) -> (u64, u64) {
    let behind = (ENTRY_SECTORS + 1) * SECTOR;
    (ALIGNMENT, size.saturating_sub(behind) / ALIGNMENT * ALIGNMENT)
}

impl Table {
    /// Writes the table and its copy to `out`, which is as long as the table says.
    ///
    /// # Errors
    /// [`GptError`]; nothing is written where the table cannot be.
    pub fn write(&self, out: &File) -> Result<(), GptError> {
        let entries = self.entries()?;
        let last = self.size / SECTOR - 1;
        out.write_all_at(&protective_mbr(last), 0)?;
        out.write_all_at(&self.header(1, last, 2, &entries), SECTOR)?;
        out.write_all_at(&entries, 2 * SECTOR)?;
        out.write_all_at(&entries, (last - ENTRY_SECTORS) * SECTOR)?;
        out.write_all_at(&self.header(last, 1, last - ENTRY_SECTORS, &entries), last * SECTOR)?;
        Ok(())
    }

    fn entries(&self) -> Result<Vec<u8>, GptError> {
        if self.partitions.len() > ENTRIES {
            return Err(GptError::TooMany(self.partitions.len()));
        }
        let (mut from, to) = usable(self.size);
        let mut out = Vec::with_capacity(ENTRIES * ENTRY);
        for (n, partition) in self.partitions.iter().enumerate() {
            let Partition { start, size, .. } = *partition;
            let aligned = start % ALIGNMENT == 0 && size % ALIGNMENT == 0 && size > 0;
            let end = start.checked_add(size).filter(|end| aligned && start >= from && *end <= to);
            from = end.ok_or(GptError::Place { number: n + 1, start, size, from, to })?;
            out.extend(partition.entry()?);
        }
        out.resize(ENTRIES * ENTRY, 0);
        Ok(out)
    }

    /// One of the two headers: `own` and `other` are the sectors of this one and its copy.
    fn header(&self, own: u64, other: u64, entries_at: u64, entries: &[u8]) -> Vec<u8> {
        const CHECKSUM: std::ops::Range<usize> = 16..20;
        let last = self.size / SECTOR - 1;
        let mut out = Vec::with_capacity(SECTOR as usize);
        out.extend(b"EFI PART");
        out.extend(0x0001_0000_u32.to_le_bytes());
        out.extend(92_u32.to_le_bytes());
        out.extend([0; 8]); // the checksum, and reserved
        for sector in [own, other, 2 + ENTRY_SECTORS, last - ENTRY_SECTORS - 1] {
            out.extend(sector.to_le_bytes());
        }
        out.extend(self.disk.to_bytes_le());
        out.extend(entries_at.to_le_bytes());
        out.extend((ENTRIES as u32).to_le_bytes());
        out.extend((ENTRY as u32).to_le_bytes());
        out.extend(crc32fast::hash(entries).to_le_bytes());
        let checksum = crc32fast::hash(&out);
        out.splice(CHECKSUM, checksum.to_le_bytes());
        out.resize(SECTOR as usize, 0);
        out
    }
}

impl Partition {
    fn entry(&self) -> Result<Vec<u8>, GptError> {
        let mut out = Vec::with_capacity(ENTRY);
        out.extend(self.kind.to_bytes_le());
        out.extend(self.id.to_bytes_le());
        out.extend((self.start / SECTOR).to_le_bytes());
        out.extend(((self.start + self.size) / SECTOR - 1).to_le_bytes());
        out.extend([0; 8]); // attributes
        let name: Vec<u16> = self.name.encode_utf16().collect();
        if name.len() > MAX_NAME {
            return Err(GptError::Name(self.name.clone()));
        }
        out.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
        out.resize(ENTRY, 0);
        Ok(out)
    }
}

/// What keeps tools that know no GPT from taking the disk for an empty one (5.2.3).
fn protective_mbr(last: u64) -> Vec<u8> {
    let mut out = vec![0; 446];
    out.extend([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff]);
    out.extend(1_u32.to_le_bytes());
    out.extend(u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
    out.resize(510, 0);
    out.extend([0x55, 0xaa]);
    out
}

#[cfg(test)]
mod tests;
