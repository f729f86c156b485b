//! The installed system inside the image, read without root and without mounting it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use ext4_view::Ext4;

/// An installed system.
pub struct Image {
    fs: Ext4,
    /// Names of users and groups, by number.
    pub users: HashMap<u32, String>,
    pub groups: HashMap<u32, String>,
}

impl Image {
    pub fn open(raw: &Path) -> anyhow::Result<Self> {
        let fs = Ext4::load_from_path(raw)?;
        let users = names(&fs.read_to_string("/etc/passwd")?);
        let groups = names(&fs.read_to_string("/etc/group")?);
        Ok(Self { fs, users, groups })
    }

    pub fn text(&self, path: &str) -> anyhow::Result<String> {
        self.fs.read_to_string(path).with_context(|| path.to_owned())
    }

    pub fn bytes(&self, path: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.fs.read(path).with_context(|| String::from_utf8_lossy(path).into_owned())
    }

    /// The target, where it is a symbolic link.
    pub fn link(&self, path: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let meta =
            self.fs.symlink_metadata(path).with_context(|| String::from_utf8_lossy(path).into_owned())?;
        if !meta.is_symlink() {
            return Ok(None);
        }
        Ok(Some(self.fs.read_link(path)?.as_ref().to_vec()))
    }

    pub fn mtime(&self, path: &[u8]) -> anyhow::Result<u64> {
        let meta = self.fs.symlink_metadata(path)?;
        Ok(u64::try_from(meta.modified().seconds()).unwrap_or(0))
    }

    /// What the real `apk` needs to run on another Linux, as the judge in tests; and a shell for its scripts.
    pub fn extract_apk(&self, to: &Path) -> anyhow::Result<()> {
        for dir in ["/lib", "/usr/lib"] {
            for entry in self.fs.read_dir(dir)? {
                let entry = entry?;
                let name = entry.file_name().display().to_string();
                if name.contains(".so") && self.fs.metadata(&entry.path())?.file_type().is_regular_file() {
                    self.extract(&format!("{dir}/{name}"), to, 0o755)?;
                }
            }
        }
        self.extract("/sbin/apk", to, 0o755)?;
        self.extract("/bin/busybox", to, 0o755)
    }

    fn extract(&self, path: &str, to: &Path, mode: u32) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let target = to.join(path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::write(&target, self.fs.read(path)?)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        Ok(())
    }
}

fn names(text: &str) -> HashMap<u32, String> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(account).collect()
}
