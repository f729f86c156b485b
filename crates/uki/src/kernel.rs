//! What a kernel file says of itself.
//!
//! An x86 kernel (`bzImage`) names its release in its setup header. An aarch64 one is an `Image`, or packed
//! into a small EFI program ("zboot"); there the release is found in the kernel's own banner.
//!
//! Source of the formats: Linux `Documentation/arch/x86/boot.rst`, `drivers/firmware/efi/libstub/zboot-header.S`,
//! `Documentation/arch/arm64/booting.rst`, `init/version-timestamp.c`.

use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::pe::{Image, Machine, PeError};
use crate::{Checksum, Section};

/// What `/proc/version` starts with.
const BANNER: &[u8] = b"Linux version ";

/// A release is `uname`'s field, which has so many bytes.
const RELEASE_MAX: usize = 64;

/// A kernel unpacks to some tens of MiB; more than this is not one.
const UNPACKED_MAX: u64 = 1 << 30;

/// How much is unpacked at a time.
const WINDOW: usize = 64 << 10;

/// All that the making of an image asks of a kernel: whoever has it need not read the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// In bytes.
    pub size: u64,
    /// Its part of the image's checksum.
    pub sum: Checksum,
    /// The machine that it is for.
    pub machine: Machine,
    /// Its own `.sbat`.
    pub sbat: Option<Vec<u8>>,
    /// Its release, as [`version`] has it.
    pub release: Option<String>,
    /// As [`is_packed`].
    pub is_packed: bool,
}

impl Facts {
    /// Of this kernel.
    ///
    /// # Errors
    /// [`PeError`] when it is not an EFI program.
    pub fn of(kernel: &[u8]) -> Result<Self, PeError> {
        let image = Image::parse(kernel)?;
        Ok(Self {
            size: kernel.len() as u64,
            sum: Checksum::of(kernel),
            machine: image.headers.machine,
            sbat: image.section_data(Section::Sbat).map(<[u8]>::to_vec),
            release: version(kernel),
            is_packed: is_packed(kernel),
        })
    }
}

/// The kernel's release (`6.18.56-0-virt`), as `uname -r` prints it and its modules' directory is named.
/// Nothing when it does not say, or is no kernel.
pub fn version(kernel: &[u8]) -> Option<String> {
    if kernel.get(0x202..0x206) == Some(b"HdrS") {
        return x86(kernel);
    }
    match Zboot::parse(kernel) {
        Some(zboot) => zboot.version(),
        None => scan(kernel),
    }
}

/// Whether it is packed into a small EFI program, which nothing but EFI firmware starts.
pub fn is_packed(kernel: &[u8]) -> bool {
    Zboot::parse(kernel).is_some()
}

/// The kernel's own `Image`, out of the small EFI program that it is packed into: for whoever starts it without
/// firmware, as a virtual machine does. Nothing when it is not packed so, or damaged.
pub fn unpacked(kernel: &[u8]) -> Option<Vec<u8>> {
    let zboot = Zboot::parse(kernel)?;
    let mut image = Vec::new();
    zboot.stream()?.take(UNPACKED_MAX).read_to_end(&mut image).ok()?;
    Some(image)
}

/// `kernel_version` in the setup header points, less 512, to text that starts with the release.
fn x86(kernel: &[u8]) -> Option<String> {
    let pointer = kernel.get(0x20E..0x210)?;
    let pointer = u16::from_le_bytes(pointer.try_into().ok()?);
    if pointer == 0 {
        return None;
    }
    release(kernel.get(usize::from(pointer) + 0x200..)?)
}

/// A compressed kernel in an EFI program that unpacks and starts it.
struct Zboot<'a> {
    payload: &'a [u8],
    compression: &'a [u8],
}

impl<'a> Zboot<'a> {
    fn parse(kernel: &'a [u8]) -> Option<Self> {
        if !kernel.starts_with(b"MZ") || kernel.get(4..8) != Some(b"zimg") {
            return None;
        }
        let start = number(kernel, 8)?;
        let payload = kernel.get(start..start.checked_add(number(kernel, 12)?)?)?;
        let compression = kernel.get(24..56)?.split(|&byte| byte == 0).next()?;
        Some(Self { payload, compression })
    }

    fn version(&self) -> Option<String> {
        scan_stream(self.stream()?)
    }

    fn stream(&self) -> Option<Box<dyn Read + 'a>> {
        match self.compression {
            b"gzip" => Some(Box::new(flate2::read::GzDecoder::new(self.payload))),
            b"zstd" | b"zstd22" => Some(Box::new(zstd::stream::read::Decoder::new(self.payload).ok()?)),
            _ => None,
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

/// Looks for the banner in a stream, holding little of it at a time.
fn scan_stream(stream: impl Read) -> Option<String> {
    let mut stream = stream.take(UNPACKED_MAX);
    let mut window = Vec::with_capacity(2 * WINDOW);
    loop {
        let read = stream.by_ref().take(WINDOW as u64).read_to_end(&mut window).ok()?;
        if let Some(found) = scan(&window) {
            return Some(found);
        }
        if read == 0 {
            return None;
        }
        // What a banner may have started in stays.
        let keep = BANNER.len() + RELEASE_MAX + 1;
        window.drain(..window.len().saturating_sub(keep));
    }
}

fn scan(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    loop {
        let start = rest.iter().position(|&byte| byte == b'L')?;
        rest = rest.get(start..)?;
        if let Some(found) = rest.strip_prefix(BANNER).and_then(release) {
            return Some(found);
        }
        rest = rest.get(1..)?;
    }
}

/// The release at the start of `text`: what stands before a space, and starts with a digit.
fn release(text: &[u8]) -> Option<String> {
    let text = text.get(..RELEASE_MAX + 1).unwrap_or(text);
    let end = text.iter().position(|&byte| byte == b' ')?;
    let release = text.get(..end)?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_+~".contains(byte);
    let sane = release.first().is_some_and(u8::is_ascii_digit) && release.iter().all(plain);
    sane.then(|| String::from_utf8_lossy(release).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write;

    use super::*;

    fn banner() -> Vec<u8> {
        let mut image = vec![b'L'; 3 * WINDOW - 30];
        image.extend(b"Linux version %s (%s)\0Linux version 6.18.56-0-virt (build@host) #1 SMP\n");
        image.extend(vec![0; WINDOW]);
        image
    }

    fn zboot(compression: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut kernel = b"MZ\0\0zimg".to_vec();
        kernel.extend(64_u32.to_le_bytes());
        kernel.extend((payload.len() as u32).to_le_bytes());
        kernel.extend([0; 8]);
        kernel.extend(compression);
        kernel.resize(64, 0);
        kernel.extend(payload);
        kernel
    }

    #[test]
    fn finds_the_banner_of_a_plain_image() {
        assert_eq!(version(&banner()).as_deref(), Some("6.18.56-0-virt"));
    }

    #[test]
    fn finds_the_banner_in_what_zboot_has_packed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&banner()).unwrap();
        assert_eq!(version(&zboot(b"gzip", &gzip.finish().unwrap())).as_deref(), Some("6.18.56-0-virt"));
        let zstd = zstd::encode_all(banner().as_slice(), 1).unwrap();
        assert_eq!(version(&zboot(b"zstd", &zstd)).as_deref(), Some("6.18.56-0-virt"));
        assert_eq!(version(&zboot(b"lzo", &zstd)), None);
    }

    #[test]
    fn gives_the_image_that_zboot_has_packed() {
        let zstd = zstd::encode_all(banner().as_slice(), 1).unwrap();
        assert_eq!(unpacked(&zboot(b"zstd", &zstd)), Some(banner()));
        assert_eq!(unpacked(&zboot(b"zstd", b"damaged")), None);
        assert_eq!(unpacked(&banner()), None);
    }

    #[test]
    fn reads_the_release_from_an_x86_setup_header() {
        let mut kernel = vec![0; 0x300];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x20E] = 0x80;
        kernel[0x280..0x28F].copy_from_slice(b"6.6.1-lts (a@b)");
        assert_eq!(version(&kernel).as_deref(), Some("6.6.1-lts"));
        kernel[0x20F] = 0xFF;
        assert_eq!(version(&kernel), None);
    }

    #[test]
    fn says_nothing_of_what_is_no_kernel() {
        assert_eq!(version(b""), None);
        assert_eq!(version(b"MZ\0\0zimg"), None);
        assert_eq!(version(&zboot(b"gzip", b"damaged")), None);
        let mut endless = zboot(b"gzip", b"");
        endless[12..16].fill(0xFF);
        assert_eq!(version(&endless), None);
    }
}
