//! The last step: the image that was described is written.

use std::fs;
use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_base::report::Timings;
use hoopy_lock::Lock;
use hoopy_store::Store;
use hoopy_store::layer::EntryPath;
use hoopy_uki::{Plan, Section, SectionData};

use super::{BuildError, Output, largest, tool};
use crate::built::Built;
use crate::config::System;
use crate::image::manifest::{Makers, describe};
use crate::image::{self, Begun, Identity, ImageError, Initramfs, Kernel, Laying};
use crate::stack::Stack;

/// The last step's inputs.
pub(super) struct Work<'a> {
    pub(super) system: &'a System,
    pub(super) store: &'a Store,
    pub(super) arch: Arch,
    pub(super) lock: &'a Lock,
    pub(super) stack: &'a Stack,
    pub(super) kernel: &'a Kernel,
    pub(super) identity: &'a Identity,
}

impl Work<'_> {
    /// Writes it, with what was `begun` of it.
    pub(super) fn write(
        &self,
        output: Output,
        initramfs: &Initramfs,
        begun: impl FnOnce() -> Option<Begun>,
    ) -> Result<(PathBuf, u64), BuildError> {
        let images = self.images()?;
        let file = |ending: &str| images.join(format!("{}.{ending}", self.identity.image()));
        match output {
            Output::Uki => {
                let path = file("efi");
                let mut plan = self.plan(initramfs)?;
                let kernel = self.kernel.content;
                let bytes = image::uki_to(&path, &mut plan, initramfs, kernel, self.store, begun)?;
                Ok((path, bytes))
            }
            Output::KernelAndInitramfs => {
                let (kernel, path) = (file("vmlinuz"), file("initramfs"));
                hoopy_base::atomic::replace_file(&kernel, &self.kernel.read(self.stack, self.store)?)
                    .map_err(|source| ImageError::Io { path: kernel, source })?;
                let bytes = image::initramfs_to(&path, initramfs, self.store)?;
                Ok((path, bytes))
            }
            Output::Tar => {
                let path = file("tar");
                let bytes = image::tar_to(&path, self.stack, self.store)?;
                Ok((path, bytes))
            }
        }
    }

    /// The image, begun before its initramfs is known. What goes wrong here is told when the image is written.
    pub(super) fn begin(&self, output: Output) -> Option<Laying<'_>> {
        let begin = || {
            let sections = vec![
                (Section::Osrel, SectionData::Bytes(self.os_release()?)),
                (Section::Cmdline, SectionData::Bytes(self.command_line())),
                // Sections lie in whole blocks: a version fills one.
                (Section::Uname, SectionData::External { size: 1 }),
                // What is behind where the initramfs begins does not matter.
                (Section::Initrd, SectionData::External { size: 1 }),
                (Section::Linux, SectionData::External { size: 1 }),
                (Section::Sbat, SectionData::Bytes(SBAT.as_bytes().to_vec())),
                (Section::Hoopy, SectionData::External { size: 1 }),
            ];
            let (stub, _) = tool::stub(self.lock, self.store)?;
            let plan = Plan::new(&stub, sections).map_err(ImageError::from)?;
            let at = plan.data_range(Section::Initrd).map(|range| range.start);
            Ok::<_, BuildError>(at.and_then(|at| Laying::begin(&self.images().ok()?, at, self.store).ok()))
        };
        if output == Output::Uki { begin().ok().flatten() } else { None }
    }

    /// Where images go.
    fn images(&self) -> Result<PathBuf, ImageError> {
        let images = self.system.path("images");
        match fs::create_dir_all(&images) {
            Ok(()) => Ok(images),
            Err(source) => Err(ImageError::Io { path: images, source }),
        }
    }

    fn os_release(&self) -> Result<Vec<u8>, BuildError> {
        let os_release =
            self.stack.read(&EntryPath::new("etc/os-release")?, self.store).map_err(ImageError::from)?;
        Ok(image::os_release(os_release.as_deref(), &self.lock.branch, self.identity))
    }

    fn command_line(&self) -> Vec<u8> {
        image::command_line(self.system.cmdline.as_deref(), self.arch, self.system.layout).into_bytes()
    }

    fn plan(&self, initramfs: &Initramfs) -> Result<Plan, BuildError> {
        let kernel = self.kernel.read(self.stack, self.store)?;
        let version = image::kernel_version(&kernel, self.stack);
        let mut sections = vec![
            (Section::Osrel, SectionData::Bytes(self.os_release()?)),
            (Section::Cmdline, SectionData::Bytes(self.command_line())),
            (Section::Initrd, SectionData::External { size: initramfs.size() }),
            (Section::Linux, SectionData::Bytes(kernel)),
            (Section::Sbat, SectionData::Bytes(SBAT.as_bytes().to_vec())),
        ];
        if let Some(version) = version {
            sections.push((Section::Uname, SectionData::Bytes(version.into_bytes())));
        }
        let (stub, from) = tool::stub(self.lock, self.store)?;
        let makers = Makers { stub: &from, kernel: self.kernel, initramfs };
        let described = Plan::described(&stub, sections, |places| describe(places, &makers));
        Ok(described.map_err(ImageError::from)?)
    }
}

/// The revocation level of what hoopy itself adds (shim's SBAT.md): generation 1. The last field is for an address,
/// which the project does not have yet; shim refuses an empty one.
const SBAT: &str =
    "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\nhoopy,1,hoopy,hoopy,0,-\n";

/// What was made.
pub(super) fn report(work: &Work<'_>, path: PathBuf, size: u64, initramfs: &Initramfs) -> Built {
    let mut layers = largest(work.stack);
    layers.truncate(5);
    Built {
        path: path.canonicalize().unwrap_or(path),
        size,
        initramfs: initramfs.size(),
        packages: work.stack.packages().count(),
        layers,
        arch: work.arch,
        modules: 0,
        unchanged: false,
        timings: Timings::default(),
    }
}
