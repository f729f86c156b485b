//! Machines under test whose firmware enforces the owner's keys.
//!
//! ```text
//! a disk whose boot loader enrolls keys ── one boot of firmware in setup mode ──▶ disk, variables ── copies ──▶ machines
//! ```
//!
//! The image on that disk has the command line of a test already and is signed for it: firmware would not start one with a
//! section exchanged.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use hoopy_vm::{Boot, Platform, Vm, VmConfig};

use super::error::TestRunError;
use super::{Settings, Watch};

/// What is copied at a time; zeros of that length are left out of a copy.
const CHUNK: usize = 64 << 10;

/// Firmware that has taken the keys, and what it starts.
pub(super) struct Enrolled {
    disk: PathBuf,
    variables: PathBuf,
}

impl Enrolled {
    /// Boots the disk once: the boot loader enrolls the keys on it, and resets the machine.
    ///
    /// # Errors
    /// [`TestRunError`].
    pub(super) fn by(
        disk: &Path,
        config: VmConfig,
        settings: &Settings,
        dir: &Path,
        watch: &dyn Watch,
    ) -> Result<Self, TestRunError> {
        watch.note("the firmware takes the keys of trust/");
        let enrolled = Self { disk: disk.to_owned(), variables: dir.join("firmware") };
        let log = settings.logs.join("console-enroll.log");
        let log = File::create(&log).map_err(TestRunError::io("create", &log))?;
        let platform = Platform { variables: Some(enrolled.variables.clone()), tpm: None };
        let config = VmConfig { boot: Boot::Disk(disk.to_owned()), platform, ..config };
        let vm = Vm::prepare(&config)?;
        let within = settings.limits.boot(vm.choice().accelerator);
        vm.console(Some(Box::new(log)))?.wait(within)?;
        Ok(enrolled)
    }

    /// A copy of both in `dir`, for one machine.
    ///
    /// # Errors
    /// [`TestRunError::Io`].
    pub(super) fn copy(&self, dir: &Path) -> Result<(Boot, PathBuf), TestRunError> {
        let (disk, variables) = (dir.join("disk.img"), dir.join("firmware"));
        fs::create_dir_all(&variables).map_err(TestRunError::io("create", &variables))?;
        copy(&self.disk, &disk).map_err(TestRunError::io("write", &disk))?;
        let files = fs::read_dir(&self.variables).map_err(TestRunError::io("read", &self.variables))?;
        for file in files {
            let file = file.map_err(TestRunError::io("read", &self.variables))?;
            let to = variables.join(file.file_name());
            fs::copy(file.path(), &to).map_err(TestRunError::io("write", &to))?;
        }
        Ok((Boot::Disk(disk), variables))
    }
}

/// Copies a disk image of which most is empty.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create_new(to)?);
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = from.read(&mut chunk)?;
        let read = chunk.get(..len).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        if read.iter().all(|&byte| byte == 0) {
            to.seek(SeekFrom::Current(i64::try_from(len).unwrap_or_default()))?;
        } else {
            to.write_all(read)?;
        }
    }
    to.set_len(from.metadata()?.len())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_copy_of_a_disk_is_the_same_and_takes_no_room_for_what_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let mut disk = File::create(&from).unwrap();
        disk.write_all(b"table").unwrap();
        disk.seek(SeekFrom::Start(5 << 20)).unwrap();
        disk.write_all(&[7; 100_000]).unwrap();
        disk.set_len(8 << 20).unwrap();
        copy(&from, &to).unwrap();
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        assert!(fs::metadata(&to).unwrap().blocks() * 512 < 1 << 20);
    }
}
