//! The disk for `hoopy test --secure-boot`: the image with the command line of a test, signed for it, and a boot loader that
//! enrolls the keys of the system.

use std::fs::File;
use std::path::PathBuf;

use hoopy_build::target::Target;
use hoopy_testing::{self as testing, Settings};

use crate::args::{DiskContent, Global};
use crate::command::{disk, signing};
use crate::error::{CommandError, Context as _, Result};

/// What is there for as long as the tests run.
pub struct Prepared {
    /// The disk.
    pub disk: PathBuf,
    _dir: tempfile::TempDir,
}

impl Prepared {
    /// Signs the image anew, and writes the disk.
    pub fn new(global: &Global, target: &Target, settings: &Settings) -> Result<Self> {
        let none = || {
            CommandError::system("--secure-boot: expected the keys of the system in trust/, found none")
                .hint("make them with `hoopy keys new`, and sign the lists with `hoopy keys enroll`")
        };
        let signer = signing::image_signer(&target.system)?.ok_or_else(none)?;
        signer.certificates().next().ok_or_else(none)?;
        let dir = tempfile::Builder::new().prefix("hoopy-test-").tempdir_in(&settings.temp);
        let dir = dir.context(format!("cannot make a directory in {}", settings.temp.display()))?;
        let name = settings.image.file_name().unwrap_or_default();
        let image = dir.path().join(name);
        let line = testing::command_line(&settings.image)?;
        let reading = || format!("cannot read {}", settings.image.display());
        let mut from = File::open(&settings.image).context(reading())?;
        let to = File::options().read(true).write(true).create_new(true).open(&image);
        let mut to = to.context(format!("cannot write {}", image.display()))?;
        signer.with_command_line(&mut from, &mut to, &line)?;
        let content = DiskContent {
            image: Some(image),
            size: None,
            persist: Vec::new(),
            no_persist: true,
            enroll: true,
            restore: None,
        };
        let out = dir.path().join("disk.img");
        hoopy_ship::disk::write(&out, &disk::config(target, global, &content)?)?;
        Ok(Self { disk: out, _dir: dir })
    }
}
