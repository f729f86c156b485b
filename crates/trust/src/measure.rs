//! What a TPM will have measured when an image runs: PCR 11, predicted from the image's sections.
//!
//! ```text
//! PCR 11 = 0
//! for each section that systemd's stub measures, in its order:
//!     PCR 11 = SHA-256(PCR 11 | SHA-256(name with NUL))
//!     PCR 11 = SHA-256(PCR 11 | SHA-256(data))
//! ```
//!
//! All of user space is in `.initrd`, so this value stands for the whole system. It is the value while hoopy's secrets
//! are opened, phase `boot`. After that the machine extends it once more (`hoopy_boot::secrets::AFTER_SECRETS`), so that
//! nothing that runs later can open them again.
//!
//! Which sections count, and in which order, is up to the stub's version: versions that were not compared with a boot
//! are refused.
//!
//! Source: systemd `src/fundamental/uki.h` (order), `src/boot/stub.c` (measurement), `systemd-measure(1)`.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use data_encoding::HEXLOWER;
use hoopy_uki::pe::Headers;
use hoopy_uki::{Plan, ReplaceError, Section, read_headers};
use sha2::{Digest as _, Sha256};

/// The PCR that systemd's stub measures an image into.
pub const PCR: u32 = 11;

/// Where a stub says what it is.
const MAGIC_NAME: &[u8; 8] = b".sdmagic";

/// What it says there, before its version.
const MAGIC: &[u8] = b"#### LoaderInfo: systemd-stub ";

/// The section is smaller than this.
const MAX_MAGIC: u64 = 4 << 10;

/// What a stub tells the boot loader's variable `StubInfo`, in UTF-16 among its data, before its version. That of 252 for aarch64 has
/// `.sdmagic` behind its last section, where an image that is made of it has it no more.
const STUB_INFO: &str = "systemd-stub ";

/// The stub's own sections are smaller than this.
const MAX_CODE: u64 = 1 << 20;

/// The value of a PCR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PcrValue([u8; 32]);

impl PcrValue {
    /// As after a reset of the TPM.
    pub const ZERO: Self = Self([0; 32]);

    /// The value with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The value after an extension by a digest.
    #[must_use]
    pub fn extended(self, digest: &[u8; 32]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(digest).finalize().into())
    }

    /// The value after bytes were measured: extended by their digest.
    #[must_use]
    pub fn measured(self, bytes: &[u8]) -> Self {
        self.extended(&Sha256::digest(bytes).into())
    }
}

impl fmt::Display for PcrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Why nothing is predicted.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The image cannot be read.
    #[error(transparent)]
    Read(#[from] ReplaceError),
    /// It does not start with systemd's stub.
    #[error(
        "its EFI stub does not say that it is systemd's (section .sdmagic): what it measures is not known"
    )]
    NotSystemd,
    /// A version whose order nobody has compared.
    #[error("its EFI stub is from systemd {found}: expected 252 or 257, whose measurements hoopy knows")]
    UnknownVersion {
        /// As the stub says it.
        found: String,
    },
    /// Sections in a form that stubs take differently.
    #[error("its section {name} {problem}: the prediction would not hold")]
    Section {
        /// Its name.
        name: String,
        /// What is unusual.
        problem: &'static str,
    },
}

impl From<io::Error> for MeasureError {
    fn from(source: io::Error) -> Self {
        Self::Read(source.into())
    }
}

/// Versions of systemd's stub whose measurements were compared with those of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stub {
    /// 252
    V252,
    /// 257
    V257,
}

impl Stub {
    /// From what the section `.sdmagic` says.
    ///
    /// # Errors
    /// [`MeasureError::NotSystemd`], [`MeasureError::UnknownVersion`].
    pub fn from_magic(data: &[u8]) -> Result<Self, MeasureError> {
        let version = data.strip_prefix(MAGIC).ok_or(MeasureError::NotSystemd)?;
        Self::from_version(version.iter().copied())
    }

    /// From what its code and data say, where it has no such section.
    ///
    /// # Errors
    /// As [`Self::from_magic`].
    pub fn from_code(code: &[u8]) -> Result<Self, MeasureError> {
        let info: Vec<u8> = STUB_INFO.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let at = code.windows(info.len()).position(|bytes| bytes == info).ok_or(MeasureError::NotSystemd)?;
        let version = code.get(at + info.len()..).unwrap_or_default();
        Self::from_version(
            version.as_chunks::<2>().0.iter().map(|&[low, high]| if high == 0 { low } else { 0 }),
        )
    }

    fn from_version(version: impl Iterator<Item = u8>) -> Result<Self, MeasureError> {
        let version: String = version.take_while(u8::is_ascii_graphic).take(64).map(char::from).collect();
        // "252.39-1~deb12u2", "257.6"; "257~rc1" may differ from what became 257.
        let number: String = version.chars().take_while(char::is_ascii_digit).collect();
        let is_release = version.get(number.len()..).is_some_and(|rest| !rest.starts_with('~'));
        match number.as_str() {
            "252" if is_release => Ok(Self::V252),
            "257" if is_release => Ok(Self::V257),
            _ => Err(MeasureError::UnknownVersion { found: version }),
        }
    }

    /// The sections that it measures, in their order. Those which hoopy does not write and which only some stubs choose
    /// among (`.profile`, `.dtbauto`, `.hwids`) are left out: [`predict`] refuses images that have them.
    pub const fn measured(self) -> &'static [Section] {
        use Section::{Cmdline, Dtb, Initrd, Linux, Osrel, Pcrpkey, Sbat, Splash, Ucode, Uname};
        match self {
            Self::V252 => &[Linux, Osrel, Cmdline, Initrd, Splash, Dtb, Pcrpkey],
            Self::V257 => &[Linux, Osrel, Cmdline, Initrd, Ucode, Splash, Dtb, Uname, Sbat, Pcrpkey],
        }
    }

    /// PCR 11 when the stub starts the kernel, from the digests of the sections that the image has.
    pub fn pcr_11(self, mut digest: impl FnMut(Section) -> Option<[u8; 32]>) -> PcrValue {
        self.measured().iter().fold(PcrValue::ZERO, |value, &section| match digest(section) {
            None => value,
            Some(digest) => value.measured(&name_with_nul(section)).extended(&digest),
        })
    }
}

fn name_with_nul(section: Section) -> Vec<u8> {
    let mut name = section.name().as_bytes().to_vec();
    name.push(0);
    name
}

/// PCR 11 when the image in this file runs, before its secrets are open.
///
/// # Errors
/// [`MeasureError`]: also where what the stub measures is not known.
pub fn predict(image: &mut (impl Read + Seek)) -> Result<PcrValue, MeasureError> {
    let (headers, ..) = read_headers(image)?;
    let stub = stub(&headers, |range, most| {
        image.seek(SeekFrom::Start(range.start))?;
        let mut data = Vec::new();
        image.take((range.end - range.start).min(most)).read_to_end(&mut data)?;
        Ok(data)
    })?;
    check(&headers)?;
    let mut digests = Vec::new();
    for &section in stub.measured() {
        if let Some(header) = headers.section(section).filter(|header| header.virtual_size != 0) {
            let range = header.data_range();
            image.seek(SeekFrom::Start(range.start))?;
            digests.push((section, digest(&mut image.take(range.end - range.start))?));
        }
    }
    let of = |section| digests.iter().find(|(other, _)| *other == section).map(|(_, digest)| *digest);
    Ok(stub.pcr_11(of))
}

/// The same of an image that is described, and not written yet. `digest` knows the digests of sections whose bytes the
/// plan does not have, and may know those of others.
///
/// # Errors
/// As [`predict`].
pub fn of_plan(plan: &Plan, digest: impl Fn(Section) -> Option<[u8; 32]>) -> Result<PcrValue, MeasureError> {
    let headers = plan.headers();
    let stub = stub(headers, |range, _| Ok(plan.literal(range).unwrap_or_default().to_vec()))?;
    check(headers)?;
    let of = |section| {
        let range = plan.data_range(section)?;
        digest(section).or_else(|| plan.literal(range).map(|bytes| Sha256::digest(bytes).into()))
    };
    Ok(stub.pcr_11(of))
}

/// What the stub of these headers says it is. `read` gives the bytes of a range, at most so many.
fn stub(
    headers: &Headers,
    mut read: impl FnMut(Range<u64>, u64) -> io::Result<Vec<u8>>,
) -> Result<Stub, MeasureError> {
    if let Some(header) = headers.sections.iter().find(|header| header.raw_name == *MAGIC_NAME) {
        return Stub::from_magic(&read(header.data_range(), MAX_MAGIC)?);
    }
    for header in headers.sections.iter().filter(|header| header.section().is_none()) {
        match Stub::from_code(&read(header.data_range(), MAX_CODE)?) {
            Err(MeasureError::NotSystemd) => {}
            found => return found,
        }
    }
    Err(MeasureError::NotSystemd)
}

/// That every stub takes the sections as they are taken here.
fn check(headers: &Headers) -> Result<(), MeasureError> {
    for header in &headers.sections {
        let Some(section) = header.section() else { continue };
        let refusal = |problem| Err(MeasureError::Section { name: header.name(), problem });
        let first = headers.section(section);
        match section {
            Section::Profile | Section::Dtbauto | Section::Hwids | Section::Efifw => {
                return refusal("is chosen by the stub when it runs");
            }
            _ if first != Some(header) => return refusal("is there twice"),
            _ if header.virtual_size > header.raw_size => {
                return refusal("is longer in memory than in the file");
            }
            _ => {}
        }
    }
    Ok(())
}

fn digest(data: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match data.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(len) => hasher.update(chunk.get(..len).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn versions_that_were_not_compared_are_refused_with_what_is_known() {
        let magic = |version: &str| [MAGIC, version.as_bytes(), b" ####\0"].concat();
        assert_eq!(Stub::from_magic(&magic("252.39-1~deb12u2")).unwrap(), Stub::V252);
        assert_eq!(Stub::from_magic(&magic("257.6")).unwrap(), Stub::V257);
        for other in ["253", "256.7-1", "257~rc1", "2570", "v257", ""] {
            let refusal = Stub::from_magic(&magic(other)).unwrap_err().to_string();
            let expected = format!(
                "its EFI stub is from systemd {other}: expected 252 or 257, whose measurements hoopy knows"
            );
            assert_eq!(refusal, expected);
        }
        assert!(matches!(Stub::from_magic(b"#### LoaderInfo: sd-boot 257"), Err(MeasureError::NotSystemd)));
        let code = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        assert_eq!(Stub::from_code(&code("code systemd-stub 252.39-1~deb12u2\0")).unwrap(), Stub::V252);
        assert_eq!(Stub::from_code(&[b"odd", &code("systemd-stub 257")[..]].concat()).unwrap(), Stub::V257);
        let refusal = Stub::from_code(&code("systemd-stub 253\0")).unwrap_err().to_string();
        assert!(refusal.contains("from systemd 253"), "{refusal}");
        assert!(matches!(Stub::from_code(b"sd-boot"), Err(MeasureError::NotSystemd)));
    }

    #[test]
    fn both_orders_are_the_order_of_measurement() {
        for stub in [Stub::V252, Stub::V257] {
            assert!(stub.measured().is_sorted(), "{stub:?}");
        }
    }
}
