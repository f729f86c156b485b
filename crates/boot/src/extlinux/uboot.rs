//! `boot.scr`, which U-Boot runs where it finds no `extlinux/extlinux.conf`: it reads ours, or trial.conf once.
//!
//! An "uImage" of the old kind (include/image.h of U-Boot): 64 bytes in big-endian order, then for a script the length of each
//! of its texts, a zero, and the texts. Both checksums are CRC-32.

use super::{CONFIG, ONCE, TRIAL};

/// The file.
pub const FILE: &str = "boot.scr";

const MAGIC: u32 = 0x2705_1956;

/// Operating system Linux, architecture any (0 would be invalid: ARM), type script, no compression.
const KIND: [u8; 4] = [5, 2, 6, 0];

const NAME: &[u8] = b"hoopy";

/// What U-Boot runs. Its environment says where the script came from; `fatrm` needs a U-Boot that can write to FAT.
fn script() -> String {
    let at = "${devtype} ${devnum}:${distro_bootpart}";
    let boot = |file: &str| format!("sysboot {at} any ${{pxefile_addr_r}} /{file}");
    format!(
        "echo \"hoopy: {CONFIG}\"\n\
         if test -e {at} /{ONCE}; then\n\
         if fatrm {at} /{ONCE}; then\n\
         if test -e {at} /{ONCE}; then\n\
         echo \"hoopy: /{ONCE} cannot be removed: no trial\"\n\
         else\n\
         echo \"hoopy: {TRIAL}\"\n\
         {}\n\
         fi\n\
         fi\n\
         fi\n\
         {}\n",
        boot(TRIAL),
        boot(CONFIG)
    )
}

/// The file's bytes.
pub fn file() -> Vec<u8> {
    let script = script();
    let length = u32::try_from(script.len()).unwrap_or(u32::MAX);
    let data = [&length.to_be_bytes()[..], &[0; 4], script.as_bytes()].concat();
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let header = |checksum: u32| {
        let words = [MAGIC, checksum, 0, size, 0, 0, crc32fast::hash(&data)];
        let mut header: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        header.extend(KIND);
        header.extend(NAME);
        header.resize(64, 0);
        header
    };
    [header(crc32fast::hash(&header(0))), data].concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_how_long_the_script_is() {
        let file = file();
        let word = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(word(12), file.len() - 64);
        assert_eq!(word(64), file.len() - 72);
        assert_eq!(crc32fast::hash(&file[64..]) as usize, word(24));
        assert!(file.ends_with(b"/extlinux.conf\n"));
    }
}
