//! What a machine wrote to its disk: QEMU's `blklogwrites`, in the format of Linux's dm-log-writes
//! (Documentation/admin-guide/device-mapper/log-writes.rst): a superblock, then entries of a header and their data,
//! all in sectors.

pub const SECTOR: usize = 512;

/// Flags of an entry: what was written before is on the disk, then this is written; this is on the disk once it is written;
/// this place holds nothing any more.
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// What the machine asked of its disk.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// All that was written before is on the disk.
    Flush,
    /// These bytes go to the disk: into its cache, or past it (`lasting`).
    Write { offset: u64, data: &'a [u8], lasting: bool },
}

/// All of a record, in order; the last entry may be cut off, as the machine was.
pub fn entries(record: &[u8]) -> Vec<Entry<'_>> {
    let (mut found, mut at) = (Vec::new(), SECTOR);
    while let Some(header) = record.get(at..at + SECTOR) {
        let number = |n: usize| u64::from_le_bytes(header[n * 8..][..8].try_into().unwrap());
        let (sector, count, flags) = (number(0), number(1) as usize, number(2));
        at += SECTOR;
        if flags & FLUSH != 0 {
            found.push(Entry::Flush);
        }
        if count == 0 {
            continue;
        }
        assert_eq!(flags & DISCARD, 0, "a discard, after which any content may be read");
        let Some(data) = record.get(at..at + count * SECTOR) else { break };
        at += data.len();
        found.push(Entry::Write { offset: sector * SECTOR as u64, data, lasting: flags & FUA != 0 });
    }
    found
}
