//! What an EFI program lets happen when it runs, as far as it matters to who signs it.
//!
//! A certificate in `db` is measured into PCR 7, the same for every program that it has signed. A program that starts whatever it is
//! told to, such as GRUB, a UEFI shell, or a kernel with a command line and initramfs of anybody's, gives the same PCR 7 as the
//! image, and PCR 11 is zero still: the image's digests, which are public, can be written into it. So with such a signature around, the
//! TPM opens what is sealed for anybody.

use std::io::{Read, Seek, SeekFrom};

use hoopy_uki::pe::{Headers, SectionHeader};
use hoopy_uki::{ReplaceError, Section, read_headers};

use crate::measure::predict;

/// How systemd-boot calls itself, in its section `.sdmagic`.
const LOADER: &[u8] = b"#### LoaderInfo: systemd-boot ";

/// The same in UTF-16 among its data, where it has no such section.
const LOADER_INFO: &str = "systemd-boot ";

/// systemd-boot's sections are smaller than this.
const MAX_SECTION: u64 = 1 << 20;

/// What a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramKind {
    /// An image whose stub measures all of it.
    Image,
    /// systemd-boot, which has the firmware check what it starts.
    SystemdBoot,
    /// Anything else; why it may start what nobody has signed.
    Other(String),
}

/// Looks at a program.
///
/// # Errors
/// [`ReplaceError`] where it is none.
pub fn kind(program: &mut (impl Read + Seek)) -> Result<ProgramKind, ReplaceError> {
    let (headers, ..) = read_headers(program)?;
    if headers.section(Section::Linux).is_none() {
        let other = "it is neither an image with systemd's stub nor systemd-boot".to_owned();
        return Ok(match is_systemd_boot(program, &headers)? {
            true => ProgramKind::SystemdBoot,
            false => ProgramKind::Other(other),
        });
    }
    if let Err(error) = predict(program) {
        return Ok(ProgramKind::Other(error.to_string()));
    }
    // The stub takes a command line from whoever starts it, where the image has none.
    Ok(match headers.section(Section::Cmdline).filter(|line| line.virtual_size != 0) {
        Some(_) => ProgramKind::Image,
        None => ProgramKind::Other("it has no command line: whoever starts it gives it one".to_owned()),
    })
}

fn is_systemd_boot(program: &mut (impl Read + Seek), headers: &Headers) -> Result<bool, ReplaceError> {
    let mut read = |header: &SectionHeader| {
        let range = header.data_range();
        program.seek(SeekFrom::Start(range.start))?;
        let mut data = Vec::new();
        program.take((range.end - range.start).min(MAX_SECTION)).read_to_end(&mut data)?;
        Ok::<_, ReplaceError>(data)
    };
    if let Some(magic) = headers.sections.iter().find(|header| header.raw_name == *b".sdmagic") {
        return Ok(read(magic)?.starts_with(LOADER));
    }
    let info: Vec<u8> = LOADER_INFO.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for header in &headers.sections {
        // With its version: the text is in messages of systemd's stub, too.
        let names =
            |bytes: &[u8]| bytes.starts_with(&info) && bytes.get(info.len()).is_some_and(u8::is_ascii_digit);
        if read(header)?.windows(info.len() + 1).any(names) {
            return Ok(true);
        }
    }
    Ok(false)
}
