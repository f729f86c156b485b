//! The images on the machine's partition: what they call themselves, and what they are made of.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hoopy_base::arch::Arch;
use hoopy_base::digest::{ContentId, of_reader};
use hoopy_base::terminal::harmless_line;
use hoopy_boot::os_release::OsRelease;
use hoopy_uki::manifest::{self, Piece};
use hoopy_uki::pe::Headers;
use hoopy_uki::{Section, read_headers, read_section};

use super::error::DeployError;
use super::machine::{Machine, RemoteFile};
use super::remote::{self, nothing, script};
use super::ssh::{Call, Ssh};

const FETCH: &str = include_str!("remote/fetch.sh");

/// How much of each file is read for its headers: those of a unified kernel image end within a page or two.
const HEAD: u64 = 8 << 10;

/// An os-release has some hundred bytes.
const MAX_OS_RELEASE: u64 = 64 << 10;

/// Images are looked at up to this number; a partition with more holds something else.
const MAX_IMAGES: usize = 64;

/// An image on the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteImage {
    /// Its path on the partition.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Whether it has a kernel: a boot loader has none.
    pub is_image: bool,
    /// What it calls itself: `nas-2026112101`.
    pub name: Option<String>,
    /// What it is sorted by, with its version: `2026112101`.
    pub os_release: OsRelease,
    /// What it says it is made of. Not to be trusted.
    pub pieces: Vec<Piece>,
}

/// An image at hand.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// The file.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    /// Of the whole file.
    pub sha256: ContentId,
    /// What it calls itself: `nas-2026112101`.
    pub name: String,
    /// The system: `nas`.
    pub system: String,
    /// `2026112101`.
    pub version: String,
    /// What it is sorted by.
    pub os_release: OsRelease,
    /// Whose machine it is for.
    pub arch: Arch,
    /// What it is made of.
    pub pieces: Vec<Piece>,
}

/// The programs on the partition of `machine`, images and boot loaders, each with its beginning.
///
/// # Errors
/// [`DeployError`] when the connection breaks.
pub(super) fn programs<'m>(
    ssh: &Ssh,
    machine: &'m Machine,
) -> Result<(Vec<&'m RemoteFile>, Vec<Vec<u8>>), DeployError> {
    let is_program = |f: &&RemoteFile| {
        let name = f.path.to_ascii_lowercase();
        name.ends_with(".efi") || name.ends_with(".old")
    };
    let files: Vec<&RemoteFile> = machine.files.iter().filter(is_program).take(MAX_IMAGES).collect();
    let heads: Vec<_> = files.iter().map(|f| (f.path.as_str(), 0..f.size.min(HEAD))).collect();
    let heads = fetch(ssh, machine, &heads)?;
    Ok((files, heads))
}

/// Looks at every image of `machine`, with two questions for all of them.
///
/// # Errors
/// [`DeployError`] when the connection breaks. What is no image, or says nonsense, is taken as it is.
pub fn look(ssh: &Ssh, machine: &Machine) -> Result<Vec<RemoteImage>, DeployError> {
    let (files, heads) = programs(ssh, machine)?;
    let headers: Vec<Option<Headers>> =
        files.iter().zip(&heads).map(|(file, head)| Headers::parse(head, file.size).ok()).collect();
    let mut wanted = Vec::new();
    for (file, headers) in files.iter().zip(&headers) {
        let Some(headers) = headers else { continue };
        wanted.push((file.path.as_str(), os_release(headers).unwrap_or(0..0)));
        wanted.push((file.path.as_str(), manifest::range(headers).unwrap_or(0..0)));
    }
    let mut texts = fetch(ssh, machine, &wanted)?.into_iter();
    let mut images = Vec::new();
    for (file, headers) in files.iter().zip(&headers) {
        let mut image = RemoteImage { path: file.path.clone(), size: file.size, ..RemoteImage::default() };
        if let Some(headers) = headers {
            let (release, made_of) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
            image.is_image = headers.section(Section::Linux).is_some();
            image.name = identity(&release).map(|(system, version)| format!("{system}-{version}"));
            image.os_release = OsRelease::parse(&String::from_utf8_lossy(&release));
            image.pieces = manifest::parse(&made_of, file.size).unwrap_or_default();
        }
        images.push(image);
    }
    Ok(images)
}

fn os_release(headers: &Headers) -> Option<Range<u64>> {
    let range = headers.section(Section::Osrel)?.data_range();
    (range.end - range.start <= MAX_OS_RELEASE).then_some(range)
}

/// System and version, out of an os-release. They become parts of file names, and are shown.
fn identity(os_release: &[u8]) -> Option<(String, String)> {
    let (system, version) = OsRelease::parse(std::str::from_utf8(os_release).ok()?).identity?;
    let fits = |value: &String| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        value.len() <= 100 && value.chars().all(fits)
    };
    (fits(&system) && fits(&version)).then_some((system, version))
}

/// Bytes of files, as many as were asked for or none.
pub(super) fn fetch(
    ssh: &Ssh,
    machine: &Machine,
    wanted: &[(&str, Range<u64>)],
) -> Result<Vec<Vec<u8>>, DeployError> {
    fetch_until(None, ssh, machine, wanted)
}

/// The same, for as long as anybody waits.
pub(super) fn fetch_until(
    until: Option<Instant>,
    ssh: &Ssh,
    machine: &Machine,
    wanted: &[(&str, Range<u64>)],
) -> Result<Vec<Vec<u8>>, DeployError> {
    let total: u64 = wanted.iter().map(|(_, range)| range.end - range.start).sum();
    if total == 0 {
        return Ok(vec![Vec::new(); wanted.len()]);
    }
    let lines: Vec<String> = wanted
        .iter()
        .filter(|(_, range)| !range.is_empty())
        .map(|(path, range)| format!("{path}\t{}\t{}", range.start, range.end - range.start))
        .collect();
    let script = script(&[("GIVEN", ""), ("ESP", &machine.esp), ("WANTED", &lines.join("\n"))], FETCH);
    const MARK: &[u8] = b"bytes\n";
    let limit = MARK.len() as u64 + total;
    let call = Call { script: &script, limit, patience: ssh.limits().answer(), until };
    let said = ssh.run(&call, &mut nothing)?;
    let Some(mut rest) = said.strip_prefix(MARK).filter(|rest| rest.len() as u64 == total) else {
        let said = String::from_utf8_lossy(said.get(..said.len().min(300)).unwrap_or_default()).into_owned();
        let host = ssh.host();
        let strange = || DeployError::Answer { host: host.to_owned(), found: harmless_line(&said) };
        return Err(remote::refusal(host, &said).unwrap_or_else(strange));
    };
    let mut texts = Vec::with_capacity(wanted.len());
    for (_, range) in wanted {
        let (text, more) = rest.split_at((range.end - range.start) as usize);
        texts.push(text.to_vec());
        rest = more;
    }
    Ok(texts)
}

impl NewImage {
    /// Reads what there is to know of the image in this file.
    ///
    /// # Errors
    /// [`DeployError::Image`], [`DeployError::Manifest`]; [`DeployError::NotAnImage`] where hoopy did not build it.
    pub fn read(path: &Path) -> Result<Self, DeployError> {
        let io = |source| DeployError::Image { path: path.to_owned(), source };
        let not = |reason: String| DeployError::NotAnImage { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(io)?;
        let (sha256, size) = of_reader(&mut file).map_err(io)?;
        let (headers, ..) = read_headers(&mut file).map_err(|e| not(e.to_string()))?;
        if headers.section(Section::Linux).is_none() {
            return Err(not("it has no kernel".to_owned()));
        }
        let release =
            read_section(&mut file, Section::Osrel, MAX_OS_RELEASE).map_err(|e| not(e.to_string()))?;
        let (system, version) = identity(&release)
            .ok_or_else(|| not("its os-release has no HOOPY_MACHINE and IMAGE_VERSION".to_owned()))?;
        let os_release = OsRelease::parse(&String::from_utf8_lossy(&release));
        let pieces = manifest::of_image(&mut file)
            .map_err(|source| DeployError::Manifest { path: path.to_owned(), source })?
            .unwrap_or_default();
        let arch = headers.machine.into();
        let name = format!("{system}-{version}");
        Ok(Self { path: path.to_owned(), size, sha256, name, system, version, os_release, arch, pieces })
    }

    /// A line for each of these sections that it has: the name beside it, offset, size, and the digest that it has here.
    pub(super) fn parts(&self, wanted: &[(Section, &str)]) -> Result<String, DeployError> {
        let io = |source| DeployError::Image { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(io)?;
        let (headers, ..) = read_headers(&mut file)
            .map_err(|e| DeployError::NotAnImage { path: self.path.clone(), reason: e.to_string() })?;
        let mut lines = Vec::new();
        for (section, name) in wanted {
            let Some(range) = headers.section(*section).map(|s| s.data_range()) else { continue };
            file.seek(SeekFrom::Start(range.start)).map_err(io)?;
            let (sha256, size) = of_reader(&mut (&mut file).take(range.end - range.start)).map_err(io)?;
            lines.push(format!("{name}\t{}\t{size}\t{sha256}", range.start));
        }
        Ok(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_image_is_called_what_its_os_release_says() {
        let text =
            b"ID=\"alpine\"\nIMAGE_ID=\"hoopy\"\nIMAGE_VERSION=\"2026112101\"\nHOOPY_MACHINE=\"nas\"\n";
        assert_eq!(identity(text).unwrap(), ("nas".to_owned(), "2026112101".to_owned()));
        assert_eq!(identity(b"IMAGE_ID=nas\n"), None);
        assert_eq!(identity(b"HOOPY_MACHINE=\"../x\"\nIMAGE_VERSION=1\n"), None);
    }

    #[test]
    fn other_files_are_no_images() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.efi");
        std::fs::write(&path, b"hello").unwrap();
        let said = NewImage::read(&path).unwrap_err().to_string();
        assert!(said.contains("x.efi: not an image that hoopy built: not an EFI program"), "{said}");
    }
}
