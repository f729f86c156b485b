//! The last step: the image that was described is written.

use std::fs;
use std::io;
use std::path::PathBuf;

use hoopy_base::atomic::Readers;
use hoopy_base::jobs::Task;
use hoopy_base::report::Event;
use hoopy_lock::Lock;
use hoopy_store::layer::EntryPath;
use hoopy_trust::image::ImageSigner;
use hoopy_uki::{Plan, Section, SectionData};

use super::previous::PreviousImage;
use super::{BuildError, tool};
use crate::context::Context;
use crate::image::manifest::{Makers, describe};
use crate::image::{
    self, Contents, Identity, ImageDraft, ImageError, Initramfs, InitramfsWriter, Kernel, KernelFile, Output,
    OwnerKeys, PendingKernelFile, Publication, Spec, plaintext,
};
use crate::segment::groups::Groups;
use crate::segment::maker::SegmentMaker;
use crate::stack::Stack;

/// A draft of the image that `spec` asks for, copied from the previous one while the root is made.
pub(super) type PreviousDraft = Task<Option<ImageDraft>>;

/// Begins the draft, where there is a previous image as it was written.
pub(super) fn draft_of_previous(spec: &Spec, context: Context<'_>) -> Option<PreviousDraft> {
    let previous = PreviousImage::last(spec, context.store).filter(|_| spec.output == Output::Uki)?;
    let untouched = previous.is_untouched(spec, context.store);
    untouched.then(|| ImageDraft::of_previous(previous.path().clone(), context.jobs))
}

/// The last step's inputs.
pub(super) struct Assembly<'a> {
    pub(super) spec: &'a Spec,
    pub(super) lock: &'a Lock,
    pub(super) stack: &'a Stack,
    pub(super) kernel: &'a Kernel,
    pub(super) identity: &'a Identity,
    /// Who signs what the spec says is signed.
    pub(super) signer: Option<&'a ImageSigner>,
    pub(super) owner: Option<&'a OwnerKeys>,
    pub(super) context: Context<'a>,
}

impl Assembly<'_> {
    /// Makes the initramfs. Without a previous draft a new one is begun, to which it is written meanwhile.
    pub(super) fn initramfs(
        &self,
        groups: &Groups,
        maker: &SegmentMaker<'_>,
        draft: &mut Option<PreviousDraft>,
    ) -> Result<Initramfs, ImageError> {
        let writer = if draft.is_none() { self.new_draft() } else { None };
        // Before anything is written: a key that is missing is said at once.
        let secrets = match &self.stack.sealed {
            Some(sealed) => Some(plaintext::piece(sealed, self.owner, maker.codec(), self.lock.epoch)?),
            None => None,
        };
        let (mut initramfs, written) = Initramfs::of(self.stack, groups, maker, writer, self.context)?;
        initramfs.pieces.extend(secrets);
        if let Some(written) = written {
            *draft = Some(written);
        }
        Ok(initramfs)
    }

    /// Writes the image, with what the draft has of it. The kernel's file may have been looked at while scripts ran.
    pub(super) fn write(
        &self,
        initramfs: &Initramfs,
        kernel_file: Option<PendingKernelFile>,
        draft: Option<PreviousDraft>,
    ) -> Result<(PathBuf, u64), BuildError> {
        let images = images(self.spec)?;
        let file = |ending: &str| images.join(format!("{}.{ending}", self.identity.image()));
        let (store, readers) = (self.context.store, self.stack.readers());
        let kernel_file = self.kernel.file(kernel_file, self.stack, store)?;
        match self.spec.output {
            Output::Uki => {
                let path = file("efi");
                let mut plan = self.plan(initramfs, &kernel_file)?;
                let draft = || draft.and_then(Task::wait);
                let signer = self.signer.filter(|_| self.spec.signer.is_some());
                let publication = Publication { signer, readers };
                let bytes =
                    image::uki_to(&path, &mut plan, initramfs, &kernel_file, store, &publication, draft)?;
                Ok((path, bytes))
            }
            Output::KernelAndInitramfs => {
                let (kernel, path) = (file("vmlinuz"), file("initramfs"));
                let content = kernel_file.bytes()?;
                // A package's, which everybody can download
                hoopy_base::atomic::replace_file(&kernel, &content, Readers::Umask)
                    .map_err(|source| ImageError::Io { path: kernel, source })?;
                let bytes = image::initramfs_to(&path, initramfs, store, readers)?;
                Ok((path, bytes))
            }
            Output::Tar => Ok(archive(self.spec, self.identity, self.stack, self.context)?),
        }
    }

    /// A draft that has nothing yet. What fails here is reported when the image is written.
    fn new_draft(&self) -> Option<InitramfsWriter> {
        let begin = || {
            let (stub, _) = tool::stub(self.lock, self.context.store)?;
            let plan = Plan::new(&stub, self.sections(None)?).map_err(ImageError::from)?;
            let at = plan.data_range(Section::Initrd).map(|range| range.start);
            let is_measured = self.policy_signer().is_some();
            let new = |at| {
                InitramfsWriter::begin(&images(self.spec).ok()?, at, is_measured, self.context.store).ok()
            };
            Ok::<_, BuildError>(at.and_then(new))
        };
        if self.spec.output == Output::Uki { begin().ok().flatten() } else { None }
    }

    fn plan(&self, initramfs: &Initramfs, kernel: &KernelFile<'_>) -> Result<Plan, BuildError> {
        let (stub, from) = tool::stub(self.lock, self.context.store)?;
        let makers = Makers { stub: &from, kernel: self.kernel, initramfs };
        let mut sections = self.sections(Some((initramfs, kernel)))?;
        if let Some(signature) = self.policy_signature(&stub, &sections, initramfs)? {
            sections.push((Section::Pcrsig, SectionData::Bytes(signature)));
        }
        let described = Plan::described(&stub, sections, |places| describe(places, &makers));
        Ok(described.map_err(ImageError::from)?)
    }

    /// Who signs its policy, where the spec has one.
    fn policy_signer(&self) -> Option<&ImageSigner> {
        let is_signed = self.spec.sections.iter().any(|(_, contents)| *contents == Contents::PolicySignature);
        self.signer.filter(|_| is_signed)
    }

    /// The signature of what will be measured of these sections, where the spec has one.
    fn policy_signature(
        &self,
        stub: &[u8],
        sections: &[(Section, SectionData)],
        initramfs: &Initramfs,
    ) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(signer) = self.policy_signer() else { return Ok(None) };
        let plan = Plan::new(stub, sections.to_vec())?;
        let root = image::initramfs_digest(&initramfs.pieces, self.context.store)?;
        let known = |section| match section {
            Section::Initrd => Some(root),
            Section::Linux => Some(*self.kernel.content.as_bytes()),
            _ => None,
        };
        Ok(signer.policy_signature(&plan, known)?)
    }

    /// The sections of the spec with their data. As long as there is no initramfs, only where that begins matters: the
    /// sections before it have their size, and one behind it has any.
    fn sections(
        &self,
        known: Option<(&Initramfs, &KernelFile<'_>)>,
    ) -> Result<Vec<(Section, SectionData)>, BuildError> {
        let unknown = SectionData::External { size: 1 };
        let (initramfs, kernel) = known.unzip();
        let mut sections = Vec::new();
        for (section, contents) in &self.spec.sections {
            let data = match contents {
                Contents::OsRelease { branch, epoch } => {
                    Some(SectionData::Bytes(self.os_release(branch, *epoch)?))
                }
                Contents::Text(text) => Some(SectionData::Bytes(text.clone().into_bytes())),
                // Sections lie in whole blocks: a release fills one.
                Contents::KernelRelease => match kernel {
                    None => Some(unknown.clone()),
                    Some(kernel) => kernel.release().map(|text| SectionData::Bytes(text.into_bytes())),
                },
                Contents::Initramfs(_) => {
                    let size = initramfs.map_or(1, Initramfs::size);
                    Some(SectionData::External { size })
                }
                // It stands behind the initramfs.
                Contents::Board(_) if initramfs.is_none() => Some(unknown.clone()),
                Contents::Board(layout) if kernel.is_some_and(KernelFile::is_packed) => {
                    let (package, layout) = (self.kernel.package.clone(), *layout);
                    return Err(ImageError::PackedKernel { package, layout }.into());
                }
                Contents::Board(layout) => {
                    let archive = image::board::archive(*layout, self.stack, self.context.store)?;
                    Some(SectionData::Bytes(archive))
                }
                Contents::Kernel(_) => Some(kernel.map_or(Ok(unknown.clone()), KernelFile::section)?),
                // They are of the others: they are added when those are there.
                Contents::PolicySignature | Contents::Manifest => {
                    initramfs.is_none().then(|| unknown.clone())
                }
            };
            sections.extend(data.map(|data| (*section, data)));
        }
        Ok(sections)
    }

    fn os_release(&self, branch: &str, epoch: u32) -> Result<Vec<u8>, BuildError> {
        let path = EntryPath::new("etc/os-release")?;
        let of_root = self.stack.read(&path, self.context.store).map_err(ImageError::from)?;
        Ok(image::os_release(of_root.as_deref(), branch, epoch, self.identity))
    }
}

/// Writes the root as an archive.
pub(super) fn archive(
    spec: &Spec,
    identity: &Identity,
    stack: &Stack,
    context: Context<'_>,
) -> Result<(PathBuf, u64), ImageError> {
    if stack.sealed.is_some() {
        let text =
            "secrets are left out of the archive: [secrets] open = \"build\" opens them in images alone";
        context.observer.event(Event::Warning(text));
    }
    let path = images(spec)?.join(format!("{}.tar", identity.image()));
    let bytes = image::tar_to(&path, stack, context.store)?;
    Ok((path, bytes))
}

/// Where images go.
fn images(spec: &Spec) -> Result<PathBuf, ImageError> {
    let images = spec.images();
    match fs::create_dir_all(&images) {
        Ok(()) => Ok(images),
        // The kernel only says that something is there.
        Err(_) if images.is_symlink() && !images.exists() => {
            let source = io::Error::new(io::ErrorKind::NotFound, "a symbolic link that leads to nothing");
            Err(ImageError::Io { path: images, source })
        }
        Err(source) => Err(ImageError::Io { path: images, source }),
    }
}
