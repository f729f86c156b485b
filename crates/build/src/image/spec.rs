//! What an image is made of: its sections, what is in them, and who signs it, listed once.
//!
//! Whatever decides whether an image has to be built, writes one, or tells about one, reads this list: a section that
//! is not in it cannot be written, and a field that is in it cannot be left out of [`Spec::fingerprint`].
//!
//! ```text
//! Spec::requested: what the directory and the command line say ─▶ has anything changed since the last build?
//! Spec::with_root: the same with the layers, kernel and stub   ─▶ is there an image of the same? else write one
//! ```

use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::digest::{ContentId, Hasher, LayerId, RecipeId};
use hoopy_boot::layout::Layout;
use hoopy_boot::release::Release;
use hoopy_cpio::codec::Codec;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::image::ImageSigner;
use hoopy_trust::key::KeyError;
use hoopy_uki::Section;
use serde::Serialize;

use super::command_line;
use crate::target::Target;

/// The revocation level of what hoopy itself adds (shim's SBAT.md): generation 1. The last field is for an address,
/// which the project does not have yet; shim refuses an empty one.
const SBAT: &str =
    "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\nhoopy,1,hoopy,hoopy,0,-\n";

/// What a build writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// A unified kernel image.
    #[default]
    Uki,
    /// The kernel and the initramfs as two files.
    KernelAndInitramfs,
    /// The root tree as a tar archive.
    Tar,
}

/// All that an image depends on, but for the day in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The system directory; images go to `images/` in it.
    pub directory: PathBuf,
    /// What its images are called.
    pub name: String,
    /// Its version, where the user gives it whole.
    pub version: Option<String>,
    /// The architecture.
    pub arch: Arch,
    /// What is written.
    pub output: Output,
    /// Bytes of the machine's memory, which the root must fit.
    pub memory: u64,
    /// The package with the EFI stub, which the image begins with.
    pub stub: Option<ContentId>,
    /// The sections, as [`Section::IN_FILE`] orders them.
    pub sections: Vec<(Section, Contents)>,
    /// Who signs it.
    pub signer: Option<Signer>,
}

/// What is in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// The root's os-release with the image's own name.
    OsRelease {
        /// The Alpine branch, which is named where the root has no os-release.
        branch: String,
        /// The image's epoch.
        epoch: u32,
    },
    /// This text.
    Text(String),
    /// The kernel's release.
    KernelRelease,
    /// The root as an initramfs.
    Initramfs(Root),
    /// The kernel, known once the root is.
    Kernel(Option<ContentId>),
    /// The signature of the PCR policy, by the key that `.pcrpkey` has.
    PolicySignature,
    /// What the loader of this layout reads beside kernel and initramfs.
    Board(Layout),
    /// Which bytes of the image are which.
    Manifest,
}

/// The root of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// How it is compressed.
    pub codec: Codec,
    /// Its layers, bottom first, but for the one with the image's name; none before they are known.
    pub layers: Vec<LayerId>,
    /// What stands for the secrets that lie in it in the clear: a digest of them as they are encrypted.
    pub sealed: Option<ContentId>,
    /// The git commit of the system directory.
    pub commit: Option<String>,
    /// Whether the directory had changes that the commit has not.
    pub dirty: bool,
}

/// Who signs an image for Secure Boot. The same certificate makes the same signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Whom the certificate is for; two are joined by "and".
    pub subject: String,
    /// The digest of the certificate, or of both.
    pub certificate: ContentId,
}

impl Signer {
    /// By their certificates: one, or two while a key is rotated. None where the image is not signed.
    fn of<'a>(certificates: impl Iterator<Item = &'a Certificate>) -> Option<Self> {
        let (mut subjects, mut der) = (Vec::new(), Vec::new());
        for certificate in certificates {
            subjects.push(certificate.subject());
            der.extend_from_slice(certificate.der());
        }
        let certificate = ContentId::of(&der);
        (!subjects.is_empty()).then(|| Self { subject: subjects.join(" and "), certificate })
    }
}

impl Spec {
    /// The image that is asked for, before its root is known.
    pub fn requested(target: &Target, output: Output, version: Option<&str>, release: &Release) -> Self {
        let Target { system, arch, lock: _, image_name } = target;
        let Release { image: _, commit, dirty } = release.clone();
        let root = Root { codec: system.codec, layers: Vec::new(), sealed: None, commit, dirty };
        let arguments = command_line(system.cmdline.as_deref(), *arch, system.layout);
        let board = system.layout.has_pair().then_some((Section::Board, Contents::Board(system.layout)));
        let mut sections = vec![
            (Section::Osrel, Contents::OsRelease { branch: system.branch.clone(), epoch: system.epoch }),
            (Section::Cmdline, Contents::Text(arguments)),
            (Section::Uname, Contents::KernelRelease),
            (Section::Initrd, Contents::Initramfs(root)),
            (Section::Linux, Contents::Kernel(None)),
            (Section::Sbat, Contents::Text(SBAT.to_owned())),
        ];
        sections.extend(board);
        sections.push((Section::Hoopy, Contents::Manifest));
        Self {
            directory: system.dir.canonicalize().unwrap_or_else(|_| system.dir.clone()),
            name: image_name.clone(),
            version: version.map(str::to_owned),
            arch: *arch,
            output,
            memory: system.memory,
            stub: None,
            sections,
            signer: None,
        }
    }

    /// The same, signed with the keys of `signer`. Only an image that firmware starts is signed.
    ///
    /// # Errors
    /// Where the policy's key cannot be written, which a key that could be read can.
    pub fn signed(mut self, signer: &ImageSigner) -> Result<Self, KeyError> {
        if self.output != Output::Uki {
            return Ok(self);
        }
        self.signer = Signer::of(signer.certificates());
        if let Some(key) = signer.policy_key() {
            self.sections.push((Section::Pcrpkey, Contents::Text(key.to_pem()?)));
            self.sections.push((Section::Pcrsig, Contents::PolicySignature));
            let place = |section: &Section| Section::IN_FILE.iter().position(|other| other == section);
            self.sections.sort_by_key(|(section, _)| place(section));
        }
        Ok(self)
    }

    /// The same without signatures.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.signer = None;
        self.sections.retain(|(section, _)| !matches!(section, Section::Pcrpkey | Section::Pcrsig));
        self
    }

    /// Whether any key is needed to make it.
    pub fn is_signed(&self) -> bool {
        let policy = self.sections.iter().any(|(_, contents)| *contents == Contents::PolicySignature);
        policy || self.signer.is_some()
    }

    /// The same, of this root, kernel and stub.
    #[must_use]
    pub fn with_root(
        mut self,
        layers: &[LayerId],
        kernel: Option<ContentId>,
        stub: Option<ContentId>,
        sealed: Option<ContentId>,
    ) -> Self {
        self.stub = stub;
        for (_, contents) in &mut self.sections {
            match contents {
                Contents::Initramfs(root) => (root.layers, root.sealed) = (layers.to_vec(), sealed),
                Contents::Kernel(known) => *known = kernel,
                Contents::OsRelease { .. }
                | Contents::Text(_)
                | Contents::KernelRelease
                | Contents::PolicySignature
                | Contents::Board(_)
                | Contents::Manifest => {}
            }
        }
        self
    }

    /// Where its images go.
    pub fn images(&self) -> PathBuf {
        images_of(&self.directory)
    }

    /// What stands for all of it. Two specs with the same fingerprint give the same image.
    pub fn fingerprint(&self) -> RecipeId {
        // Without `..`, here and below: a new field does not compile before it is in the fingerprint.
        let Self { directory, name, version, arch, output, memory, stub, sections, signer } = self;
        let mut hasher = Hasher::new("hoopy image 6");
        hasher.field(directory.as_os_str().as_encoded_bytes());
        hasher.field(name.as_bytes());
        option(&mut hasher, version.as_deref().map(str::as_bytes));
        hasher.field(arch.as_str().as_bytes()).field(&[*output as u8]).field(&memory.to_le_bytes());
        option(&mut hasher, stub.as_ref().map(|id| id.as_bytes().as_slice()));
        hasher.field(&(sections.len() as u64).to_le_bytes());
        for (section, contents) in sections {
            hasher.field(section.name().as_bytes());
            contents.add_to(&mut hasher);
        }
        match signer {
            None => hasher.field(b"not signed"),
            Some(Signer { subject, certificate }) => {
                hasher.field(b"signed").field(subject.as_bytes()).field(certificate.as_bytes())
            }
        };
        RecipeId::from_bytes(hasher.finish())
    }
}

impl Contents {
    fn add_to(&self, hasher: &mut Hasher) {
        match self {
            Self::OsRelease { branch, epoch } => {
                hasher.field(b"os-release").field(branch.as_bytes()).field(&epoch.to_le_bytes());
            }
            Self::Text(text) => {
                hasher.field(b"text").field(text.as_bytes());
            }
            Self::KernelRelease => {
                hasher.field(b"kernel release");
            }
            Self::Initramfs(root) => {
                hasher.field(b"initramfs");
                root.add_to(hasher);
            }
            Self::Kernel(kernel) => {
                hasher.field(b"kernel");
                option(hasher, kernel.as_ref().map(|id| id.as_bytes().as_slice()));
            }
            Self::PolicySignature => {
                hasher.field(b"policy signature");
            }
            Self::Board(layout) => {
                hasher.field(b"board").field(layout.to_string().as_bytes());
            }
            Self::Manifest => {
                hasher.field(b"manifest");
            }
        }
    }
}

impl Root {
    fn add_to(&self, hasher: &mut Hasher) {
        let Self { codec, layers, sealed, commit, dirty } = self;
        hasher.field(codec.to_string().as_bytes()).field(&(layers.len() as u64).to_le_bytes());
        for layer in layers {
            hasher.field(layer.as_bytes());
        }
        option(hasher, sealed.as_ref().map(|id| id.as_bytes().as_slice()));
        option(hasher, commit.as_deref().map(str::as_bytes));
        hasher.field(&[u8::from(*dirty)]);
    }
}

/// A value that may be absent, so that absent and empty differ.
fn option(hasher: &mut Hasher, value: Option<&[u8]>) {
    hasher.field(&[u8::from(value.is_some())]).field(value.unwrap_or_default());
}

/// Where images of a system directory go.
pub fn images_of(directory: &Path) -> PathBuf {
    directory.join("images")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root {
            codec: Codec::Zstd { level: 3 },
            layers: vec![LayerId::from_bytes([1; 32])],
            sealed: None,
            commit: Some("abc".to_owned()),
            dirty: false,
        }
    }

    fn spec() -> Spec {
        Spec {
            directory: "/nas".into(),
            name: "nas".to_owned(),
            version: None,
            arch: Arch::X86_64,
            output: Output::Uki,
            memory: 1 << 30,
            stub: Some(ContentId::of(b"stub")),
            sections: vec![
                (Section::Osrel, Contents::OsRelease { branch: "3.23".to_owned(), epoch: 1 }),
                (Section::Cmdline, Contents::Text("quiet".to_owned())),
                (Section::Uname, Contents::KernelRelease),
                (Section::Initrd, Contents::Initramfs(root())),
                (Section::Linux, Contents::Kernel(Some(ContentId::of(b"kernel")))),
                (Section::Hoopy, Contents::Manifest),
            ],
            signer: None,
        }
    }

    fn signer(subject: &str, certificate: &[u8]) -> Signer {
        Signer { subject: subject.to_owned(), certificate: ContentId::of(certificate) }
    }

    /// The spec with other contents in the section at `index`.
    fn with(index: usize, contents: Contents) -> Spec {
        let mut spec = spec();
        if let Some(section) = spec.sections.get_mut(index) {
            section.1 = contents;
        }
        spec
    }

    /// Every other value of every field, by the field's name. Without `..`: a new field does not compile before it is
    /// here.
    fn changes() -> Vec<(&'static str, Spec)> {
        let Spec {
            directory: _,
            name: _,
            version: _,
            arch: _,
            output: _,
            memory: _,
            stub: _,
            sections,
            signer: _,
        } = spec();
        let swapped = sections.iter().rev().cloned().collect();
        let fewer = sections.iter().skip(1).cloned().collect();
        let mut changes = vec![
            ("directory", Spec { directory: "/other".into(), ..spec() }),
            ("name", Spec { name: "other".to_owned(), ..spec() }),
            ("version", Spec { version: Some(String::new()), ..spec() }),
            ("arch", Spec { arch: Arch::Aarch64, ..spec() }),
            ("output", Spec { output: Output::Tar, ..spec() }),
            ("output", Spec { output: Output::KernelAndInitramfs, ..spec() }),
            ("memory", Spec { memory: 2 << 30, ..spec() }),
            ("stub", Spec { stub: None, ..spec() }),
            ("stub", Spec { stub: Some(ContentId::of(b"other")), ..spec() }),
            ("order of sections", Spec { sections: swapped, ..spec() }),
            ("number of sections", Spec { sections: fewer, ..spec() }),
            ("signer", Spec { signer: Some(signer("CN=db", b"one")), ..spec() }),
            ("signer", Spec { signer: Some(signer("CN=other", b"one")), ..spec() }),
            ("signer", Spec { signer: Some(signer("CN=db", b"other")), ..spec() }),
        ];
        for (index, (_, contents)) in sections.into_iter().enumerate() {
            let others: Vec<Contents> = match contents {
                Contents::OsRelease { branch, epoch } => vec![
                    Contents::OsRelease { branch: "edge".to_owned(), epoch },
                    Contents::OsRelease { branch, epoch: epoch + 1 },
                ],
                Contents::Text(_) => vec![Contents::Text(String::new())],
                Contents::KernelRelease => vec![Contents::Text(String::new())],
                Contents::Initramfs(Root { codec: _, layers: _, sealed: _, commit: _, dirty: _ }) => vec![
                    Contents::Initramfs(Root { sealed: Some(ContentId::of(b"sealed")), ..root() }),
                    Contents::Initramfs(Root { codec: Codec::Lz4, ..root() }),
                    Contents::Initramfs(Root { layers: Vec::new(), ..root() }),
                    Contents::Initramfs(Root { layers: vec![LayerId::from_bytes([2; 32])], ..root() }),
                    Contents::Initramfs(Root { commit: None, ..root() }),
                    Contents::Initramfs(Root { commit: Some("def".to_owned()), ..root() }),
                    Contents::Initramfs(Root { dirty: true, ..root() }),
                ],
                Contents::Kernel(_) => {
                    vec![Contents::Kernel(None), Contents::Kernel(Some(ContentId::of(b"other")))]
                }
                Contents::PolicySignature | Contents::Board(_) | Contents::Manifest => vec![
                    Contents::Board(Layout::Pi),
                    Contents::Board(Layout::Extlinux),
                    Contents::KernelRelease,
                    Contents::PolicySignature,
                ],
            };
            changes.extend(others.into_iter().map(|other| ("contents of a section", with(index, other))));
        }
        changes
    }

    #[test]
    fn a_change_of_any_field_changes_the_fingerprint() {
        let mut seen = vec![spec().fingerprint()];
        assert_eq!(spec().fingerprint(), seen[0]);
        for (field, changed) in changes() {
            let fingerprint = changed.fingerprint();
            assert!(!seen.contains(&fingerprint), "another {field} was not noticed: {changed:?}");
            seen.push(fingerprint);
        }
    }
}
