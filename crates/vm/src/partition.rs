//! The EFI system partition that a machine boots an image from: made anew each time and gone with the machine, or, where an
//! `fstab` mounts that very partition, kept, so that what the machine writes beside the image lasts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_boot::layout;
use hoopy_disk::esp::{self, Item, Volume};
use hoopy_disk::esp_line;
use hoopy_disk::fstab::Mount;
use hoopy_uki::{Replaced, Section};
use rustix::fs::{FlockOperation, fcntl_lock};

use super::error::VmError;
use super::scratch;

/// The free space, so that a deploy can be tried from inside: one more image of usual size.
const SPARE: u64 = 128 << 20;

/// A partition that is kept.
#[derive(Debug, Clone)]
pub struct KeptPartition {
    /// The image: raw, one filesystem, no partition table.
    pub path: PathBuf,
    /// The UUID or label by which the `fstab` finds it.
    pub volume: Volume,
    /// How large a new one is, at least.
    pub size: u64,
}

impl KeptPartition {
    /// The one that `line` of an `fstab` mounts, in `dir` beside the scratch disks.
    pub fn of(line: &Mount, dir: &Path, size: u64) -> Self {
        let path = dir.join(format!("esp-{}.img", scratch::file_name(&line.spec)));
        Self { path, volume: esp_line::volume(line, Volume::default()), size }
    }
}

/// An image as it is to be booted.
pub(super) struct Content<'a> {
    pub arch: Arch,
    pub image: &'a Path,
    /// Another command line, where it gets one.
    pub line: Option<&'a str>,
}

impl Content<'_> {
    /// A partition with the image: `kept`, or a new one in `dir`.
    pub(super) fn write(&self, kept: Option<&KeptPartition>, dir: &Path) -> Result<PathBuf, VmError> {
        let path = self.image;
        let mut image = File::open(path).map_err(VmError::io("open", path))?;
        let Some(line) = self.line else {
            let size = image.metadata().map_err(VmError::io("read", path))?.len();
            return self.put(&mut image, size, kept, dir);
        };
        let unusable = |source| VmError::Image { path: path.to_owned(), source };
        let other = Replaced::new(&mut image, Section::Cmdline, line.as_bytes()).map_err(unusable)?;
        let mut content = other.stream(&mut image).map_err(VmError::io("read", path))?;
        self.put(&mut content, other.size(), kept, dir)
    }

    fn put(
        &self,
        content: &mut dyn Read,
        size: u64,
        kept: Option<&KeptPartition>,
        dir: &Path,
    ) -> Result<PathBuf, VmError> {
        let item = Item { path: layout::started(self.arch), size, content };
        match kept {
            Some(kept) if kept.path.is_file() => kept.replace(item),
            Some(kept) => kept.make(item),
            None => {
                let path = dir.join("esp.img");
                let out = File::options().read(true).write(true).create_new(true).open(&path);
                let out = out.map_err(VmError::io("create", &path))?;
                esp::write(&out, &Volume { spare: SPARE, ..Volume::default() }, &mut [item])?;
                Ok(path)
            }
        }
    }
}

impl KeptPartition {
    fn replace(&self, item: Item<'_>) -> Result<PathBuf, VmError> {
        let path = &self.path;
        let file = File::options().read(true).write(true).open(path).map_err(VmError::io("open", path))?;
        // QEMU has locks of the same kind on the disks of a machine that runs.
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(VmError::InUse(path.clone())),
            Err(e) => return Err(VmError::io("lock", path)(e)),
        }
        let unusable = |source| VmError::KeptPartition { path: path.clone(), source };
        esp::replace(&file, item).map_err(unusable)?;
        Ok(path.clone())
    }

    fn make(&self, item: Item<'_>) -> Result<PathBuf, VmError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(VmError::io("create", dir))?;
        // Only its owner may read it: what the machine will keep there is its own.
        let made = tempfile::NamedTempFile::new_in(dir).map_err(VmError::io("make a file in", dir))?;
        let volume = Volume { spare: SPARE, ..self.volume.clone() };
        // The image may grow, and so may what lies beside it.
        let size = self.size.max(esp::size_for([item.size, item.size], volume.spare));
        made.as_file().set_len(size).map_err(VmError::io("enlarge", made.path()))?;
        esp::write_at(made.as_file(), 0, size, &volume, &mut [item])?;
        made.as_file().sync_all().map_err(VmError::io("write", made.path()))?;
        made.persist(&self.path).map_err(|e| VmError::io("rename to", &self.path)(e.error))?;
        Ok(self.path.clone())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use hoopy_disk::fstab::parse;

    use super::*;
    use crate::Places;

    fn mtools(path: &Path, name: &str, args: &[&str]) -> Option<String> {
        let Some(program) = Places::default().programs.find(name) else {
            hoopy_testkit::skip("mtools is not installed");
            return None;
        };
        let out = Command::new(program).arg("-i").arg(path).args(args).output().unwrap();
        assert!(out.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        Some(String::from_utf8(out.stdout).unwrap())
    }

    #[test]
    fn what_lies_beside_the_image_lasts_and_the_image_is_always_the_given_one() {
        let dir = tempfile::tempdir().unwrap();
        let fstab = parse(b"UUID=B61B-19E7 /media/usb vfat\n");
        let kept = KeptPartition::of(fstab.first().unwrap(), dir.path(), 64 << 20);
        let image = dir.path().join("frood.efi");
        let boot = |text: &str| {
            fs::write(&image, text).unwrap();
            let content = Content { arch: Arch::X86_64, image: &image, line: None };
            content.write(Some(&kept), dir.path()).unwrap()
        };
        let path = boot("first");
        assert_eq!(path, dir.path().join("esp-UUID=B61B-19E7.img"));
        fs::write(dir.path().join("seed"), "entropy").unwrap();
        let seed = dir.path().join("seed");
        if mtools(&path, "mcopy", &[seed.to_str().unwrap(), "::seed"]).is_none() {
            return;
        }
        boot("the second, and longer");
        let read = |name: &str| mtools(&path, "mtype", &[name]).unwrap();
        assert_eq!(
            (read("::seed"), read("::EFI/BOOT/BOOTX64.EFI")),
            ("entropy".into(), "the second, and longer".into())
        );
        assert!(mtools(&path, "mdir", &["::"]).unwrap().contains("Volume Serial Number is B61B-19E7"));
    }

    #[test]
    fn what_is_no_filesystem_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("esp.img");
        fs::write(&path, "not a filesystem").unwrap();
        let kept = KeptPartition { path, volume: Volume::default(), size: 0 };
        let image = dir.path().join("image");
        fs::write(&image, "x").unwrap();
        let content = Content { arch: Arch::X86_64, image: &image, line: None };
        let error = content.write(Some(&kept), dir.path()).unwrap_err();
        assert!(matches!(error, VmError::KeptPartition { .. }), "{error}");
    }
}
