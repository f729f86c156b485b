//! Updates of variables: what firmware takes as a new list, signed by who may change it (`.auth` files).
//!
//! ```text
//! .auth   time | WIN_CERTIFICATE_UEFI_GUID: PKCS #7 SignedData | content
//! signed  name in UTF-16 | namespace | attributes | time | content
//! ```
//!
//! Firmware in setup mode takes any list; after that PK and KEK are changed by PK, and db and dbx by KEK or PK. An
//! update is taken if its time is later than the last one's, so that an old list cannot come back; an update that appends
//! is taken whatever its time is. Content that is empty removes the variable: without PK, firmware is in setup mode again.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{ListError, SignatureLists, Variable};
use crate::pkcs7::{CertifiedSigner, detached};
use crate::signer::SignerError;

/// Not volatile, for boot services and at run time, authenticated with a time.
const ATTRIBUTES: u32 = 0x27;

/// `EFI_VARIABLE_APPEND_WRITE`
const APPEND: u32 = 0x40;

/// `EFI_TIME`
const TIME_LEN: usize = 16;

/// `WIN_CERTIFICATE` and a GUID
const CERTIFICATE_HEADER_LEN: usize = 24;

/// `WIN_CERT_REVISION_2_0`
const REVISION: u16 = 0x0200;

/// `WIN_CERT_TYPE_EFI_GUID`
const TYPE_GUID: u16 = 0x0EF1;

/// `EFI_CERT_TYPE_PKCS7_GUID`
const PKCS7: Uuid = Uuid::from_u128(0x4aafd29d_68df_49ee_8aa9_347d375665a7);

/// An update that cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Not such a file.
    #[error("not an update of a variable (.auth): {what} is {found:#x}, expected {expected:#x}")]
    Field {
        /// Which field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// What it should be.
        expected: u64,
    },
    /// It ends early.
    #[error("not an update of a variable (.auth): {len} bytes, which end within its {what}")]
    Truncated {
        /// Of the file.
        len: usize,
        /// What is cut.
        what: &'static str,
    },
    /// Its content cannot be read.
    #[error("the content of an update: {0}")]
    Content(#[from] ListError),
    /// A time that firmware cannot be told.
    #[error("an update at {0}: expected a year from 1998 to 9999, as firmware has it")]
    Time(Timestamp),
    /// It could not be signed.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// An update of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Which.
    pub variable: Variable,
    /// When: seconds count, and nothing smaller.
    pub time: Timestamp,
    /// Whether the lists are added to those that are there.
    pub append: bool,
    /// The new lists.
    pub lists: SignatureLists,
}

impl Update {
    /// The update as a file, signed.
    ///
    /// # Errors
    /// [`UpdateError::Time`], [`UpdateError::Signer`].
    pub fn signed(&self, by: CertifiedSigner<'_>) -> Result<Vec<u8>, UpdateError> {
        let time = time(self.time)?;
        let content = self.lists.to_bytes();
        let name: Vec<u8> = self.variable.name().encode_utf16().flat_map(u16::to_le_bytes).collect();
        let attributes = if self.append { ATTRIBUTES | APPEND } else { ATTRIBUTES };
        let vendor = self.variable.vendor().to_bytes_le();
        let message = [&name, vendor.as_slice(), &attributes.to_le_bytes(), &time, &content].concat();
        // Without a `ContentInfo` around it, which the specification says, and older firmware insists on.
        let signature = detached(&message, by)?;
        let len = (CERTIFICATE_HEADER_LEN + signature.len()) as u32;
        let mut file = time.to_vec();
        file.extend(len.to_le_bytes());
        file.extend(REVISION.to_le_bytes());
        file.extend(TYPE_GUID.to_le_bytes());
        file.extend(PKCS7.to_bytes_le());
        file.extend(signature);
        file.extend(content);
        Ok(file)
    }

    /// The lists of such a file. Who signed it is for firmware to check.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub fn content(file: &[u8]) -> Result<SignatureLists, UpdateError> {
        let truncated = |what| UpdateError::Truncated { len: file.len(), what };
        let rest = file.get(TIME_LEN..).ok_or(truncated("time"))?;
        let header = rest.first_chunk::<CERTIFICATE_HEADER_LEN>().ok_or(truncated("signature's header"))?;
        let &[l0, l1, l2, l3, r0, r1, t0, t1, ref kind @ ..] = header;
        let expect = |what, found: u16, expected: u16| {
            let (found, expected) = (found.into(), expected.into());
            if found == expected { Ok(()) } else { Err(UpdateError::Field { what, found, expected }) }
        };
        expect("the revision", u16::from_le_bytes([r0, r1]), REVISION)?;
        expect("the signature's type", u16::from_le_bytes([t0, t1]), TYPE_GUID)?;
        if kind.as_slice() != PKCS7.to_bytes_le() {
            return Err(truncated("signature, which is not PKCS #7"));
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let content = rest.get(len.max(CERTIFICATE_HEADER_LEN)..).ok_or(truncated("signature"))?;
        Ok(SignatureLists::parse(content)?)
    }
}

/// `EFI_TIME`: year, month, day, hour, minute, second; all else zero, as the specification wants it here.
fn time(at: Timestamp) -> Result<[u8; TIME_LEN], UpdateError> {
    let date = at.to_zoned(TimeZone::UTC).datetime();
    let year = u16::try_from(date.year()).ok().filter(|year| (1998..=9999).contains(year));
    let [y0, y1] = year.ok_or(UpdateError::Time(at))?.to_le_bytes();
    // Jiff's numbers are those of a calendar: none is negative.
    let [month, day, hour, minute, second] =
        [date.month(), date.day(), date.hour(), date.minute(), date.second()].map(i8::unsigned_abs);
    Ok([y0, y1, month, day, hour, minute, second, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}
