//! The summary of an image, as text and as JSON.

use std::collections::BTreeMap;

use hoopy_base::digest::ContentId;
use hoopy_uki::Section;
use serde::Serialize;

use super::packages::Package;
use super::parts::{MAX_TEXT, Part};
use super::root::Kind;
use super::split::Segment;
use super::trust::{Measured, Signature};
use super::{Image, InspectError, Packages};

/// What an image is made of.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Description {
    /// What kind of file it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of the whole file.
    pub sha256: ContentId,
    /// The machine that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<&'static str>,
    /// The kernel's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The kernel's command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// The fields of os-release.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub os_release: BTreeMap<String, String>,
    /// The sections of an EFI program.
    pub sections: Vec<Part>,
    /// Who signed it.
    pub signatures: Vec<Signature>,
    /// What a TPM will measure of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// The members of the initramfs.
    pub segments: Vec<Segment>,
    /// The tree that boots.
    pub tree: Counts,
    /// The packages in it.
    pub packages: Vec<Package>,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A unified kernel image.
    Uki,
    /// Some other EFI program: a stub, a kernel, a boot loader.
    EfiProgram,
    /// An initramfs alone.
    Initramfs,
}

impl FileKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uki => "unified kernel image",
            Self::EfiProgram => "EFI program",
            Self::Initramfs => "initramfs",
        }
    }
}

/// How much the tree has of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Regular files; hard links are one.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Devices, pipes and sockets.
    pub others: u64,
    /// Bytes in regular files.
    pub bytes: u64,
}

/// How many lost files are named.
const LOST_TOLD: usize = 20;

impl Image {
    /// All that is said of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn describe(&self) -> Result<Description, InspectError> {
        let packages = Packages::of(self);
        let os_release = self.text(Section::Osrel).or_else(|| {
            let found = [&b"etc/os-release"[..], b"usr/lib/os-release"];
            let bytes = found.iter().find_map(|path| self.read_small(path, MAX_TEXT));
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        });
        Ok(Description {
            kind: self.kind(),
            size: self.size,
            sha256: self.digest()?,
            machine: self.headers.as_ref().map(|headers| headers.machine.name()),
            kernel: self.kernel_version(),
            command_line: self.text(Section::Cmdline).map(|text| text.trim_end().to_owned()),
            os_release: fields(&os_release.unwrap_or_default()),
            sections: self.parts()?,
            signatures: self.signatures(),
            measured: self.measured(),
            segments: self.segments.clone(),
            tree: self.counts(),
            problems: self.problems(&packages),
            packages: packages.all,
        })
    }

    /// What kind of file it is.
    pub fn kind(&self) -> FileKind {
        match &self.headers {
            None => FileKind::Initramfs,
            Some(headers) if headers.section(Section::Linux).is_some() => FileKind::Uki,
            Some(_) => FileKind::EfiProgram,
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let mut seen = std::collections::HashSet::new();
        self.root.walk(self.root.top(), &mut |_, id, node| match &node.kind {
            Kind::Dir(_) => counts.directories += 1,
            Kind::Symlink(_) => counts.links += 1,
            Kind::File(content) if seen.insert(id) => {
                counts.files += 1;
                counts.bytes += content.size;
            }
            Kind::File(_) => {}
            _ => counts.others += 1,
        });
        counts
    }

    fn problems(&self, packages: &Packages) -> Vec<String> {
        let mut all: Vec<String> = self.stopped.iter().map(ToString::to_string).collect();
        all.extend(packages.problem.clone());
        all.extend(self.lies.iter().take(LOST_TOLD).cloned());
        let lost = self.root.lost.iter().take(LOST_TOLD);
        all.extend(lost.map(|l| format!("{}: lost at boot: {}", String::from_utf8_lossy(&l.path), l.why)));
        let more = self.root.lost_count.saturating_sub(LOST_TOLD as u64);
        if more > 0 {
            all.push(format!("{more} more files are lost at boot"));
        }
        all
    }
}

/// The fields of an os-release(5), without the quotes.
fn fields(text: &str) -> BTreeMap<String, String> {
    let field = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let is_key = key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        is_key.then(|| (key.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
    };
    text.lines().filter_map(field).collect()
}
