//! Filesystems in files, made by the usual tools without root, with the UUID or label that an `fstab` names.
//!
//! The same line and size give the same bytes where the tool can do so: of ext2, ext3, ext4, vfat and swap. Times are
//! `TIME`, and what a tool would roll dice for comes out of the line itself.

use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_base::digest::Hasher;
use hoopy_base::programs::Programs;

use super::fstab::{Mount, Spec};
use super::gpt::{self, Guid};

/// The one time of a new filesystem: 1 January 1980, where FAT's clock starts.
pub const TIME: &str = "315532800";

/// How a filesystem is made.
#[derive(Debug, Clone, Copy)]
pub struct Maker {
    tool: &'static str,
    package: &'static str,
    /// Arguments before all others.
    args: &'static [&'static str],
    uuid: &'static str,
    label: &'static str,
    /// In bytes.
    max_label: usize,
    /// Whether what the tool leaves a hole may hold anything.
    holes: bool,
    /// The type of a partition with it.
    kind: Guid,
}

/// A filesystem that was not made.
#[derive(Debug, thiserror::Error)]
pub enum MkfsError {
    /// The tool is not installed.
    #[error("a disk with {filesystem} needs {tool}, which is not installed: it is in the package {package}")]
    NoTool {
        /// As `fstab` names it.
        filesystem: String,
        /// The missing program.
        tool: &'static str,
        /// What most distributions call its package.
        package: &'static str,
    },
    /// The tool failed.
    #[error("{tool} could not make the disk for {spec}: {message}")]
    Failed {
        /// Which program.
        tool: &'static str,
        /// `UUID=...` or `LABEL=...`.
        spec: String,
        /// What it said.
        message: String,
    },
    /// A UUID or label that the filesystem can't have.
    #[error("fstab line {line}: {spec} can't be on a {filesystem} filesystem: {reason}")]
    BadSpec {
        /// Line of the `fstab`.
        line: usize,
        /// `UUID=...` or `LABEL=...`.
        spec: String,
        /// As `fstab` names it.
        filesystem: String,
        /// What is wrong.
        reason: &'static str,
    },
}

const EXT: Maker = Maker {
    tool: "mkfs.ext4",
    package: "e2fsprogs",
    // The journal is written whole: what an older one left there must not be replayed. Inode tables are cleared by
    // the kernel, at its leisure.
    args: &["-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=0,root_owner=0:0"],
    uuid: "-U",
    label: "-L",
    max_label: 16,
    holes: true,
    kind: gpt::LINUX_FILESYSTEM,
};

impl Maker {
    /// That of a filesystem, as `fstab` names it; none where hoopy makes no such.
    pub fn of(filesystem: &str) -> Option<Self> {
        let with =
            |tool, package, args, label, max_label| Self { tool, package, args, label, max_label, ..EXT };
        Some(match filesystem {
            "ext2" => Self { tool: "mkfs.ext2", ..EXT },
            "ext3" => Self { tool: "mkfs.ext3", ..EXT },
            "ext4" | "auto" => EXT,
            "vfat" | "msdos" => Self {
                uuid: "-i",
                kind: gpt::BASIC_DATA,
                ..with("mkfs.vfat", "dosfstools", &["--invariant", "-F", "32"], "-n", 11)
            },
            "btrfs" => with("mkfs.btrfs", "btrfs-progs", &["-q", "-f", "-K"], "-L", 255),
            "xfs" => Self {
                uuid: "-m",
                holes: false,
                ..with("mkfs.xfs", "xfsprogs", &["-q", "-f", "-K"], "-L", 12)
            },
            "f2fs" => Self { holes: false, ..with("mkfs.f2fs", "f2fs-tools", &["-q", "-f"], "-l", 255) },
            "swap" => Self { kind: gpt::LINUX_SWAP, ..with("mkswap", "util-linux", &[], "-L", 16) },
            _ => return None,
        })
    }

    /// The program.
    pub fn tool(&self) -> &'static str {
        self.tool
    }

    /// The type of a partition with such a filesystem.
    pub fn kind(&self) -> Guid {
        self.kind
    }

    /// Whether the holes in a file with a new filesystem may be filled with anything. Where not, they are zeros.
    pub fn holes_mean_nothing(&self) -> bool {
        self.holes
    }

    /// Whether the filesystem can have the UUID or label of `mount`.
    ///
    /// # Errors
    /// [`MkfsError::BadSpec`].
    pub fn check(&self, mount: &Mount) -> Result<(), MkfsError> {
        self.identity(mount).map(|_| ())
    }

    /// Makes the filesystem that `mount` names fill the file `image`.
    ///
    /// # Errors
    /// [`MkfsError`].
    pub fn make(&self, image: &Path, mount: &Mount, programs: &Programs) -> Result<(), MkfsError> {
        let identity = self.identity(mount)?;
        let (filesystem, spec) = (mount.filesystem.clone(), mount.spec.to_string());
        let missing = || MkfsError::NoTool { filesystem, tool: self.tool, package: self.package };
        let tool = programs.find(self.tool).ok_or_else(missing)?;
        let failed = |message| MkfsError::Failed { tool: self.tool, spec, message };
        let mut command = Command::new(&tool);
        command.args(self.args).args(identity).arg(image).stdin(Stdio::null());
        // Of e2fsprogs before and since 1.47.1, xfsprogs and others; the last makes zeros of e2fsprogs written ones
        command.env("E2FSPROGS_FAKE_TIME", TIME).env("SOURCE_DATE_EPOCH", TIME);
        command.env("DETERMINISTIC_SEED", "1").env("UNIX_IO_NOZEROOUT", "1");
        let output = match command.output() {
            Ok(output) => output,
            Err(e) => return Err(failed(format!("it does not start: {e}"))),
        };
        if output.status.success() {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// The arguments that give the filesystem its UUID or label, and what it needs besides not to roll dice.
    fn identity(&self, mount: &Mount) -> Result<Vec<String>, MkfsError> {
        let bad = |reason| MkfsError::BadSpec {
            line: mount.line,
            spec: mount.spec.to_string(),
            filesystem: mount.filesystem.clone(),
            reason,
        };
        let mut args = match &mount.spec {
            Spec::Uuid(uuid) if self.uuid == "-i" => {
                let id = fat_id(uuid).ok_or_else(|| bad("it must look like 1234-ABCD"))?;
                vec![self.uuid.to_owned(), format!("{id:08x}")]
            }
            Spec::Uuid(uuid) if !is_uuid(uuid) => {
                return Err(bad("it must look like 01234567-89ab-cdef-0123-456789abcdef"));
            }
            Spec::Uuid(uuid) => self.with_uuid(uuid),
            Spec::Label(label) if label.is_empty() || label.len() > self.max_label => {
                return Err(bad("labels of this filesystem are shorter, and not empty"));
            }
            Spec::Label(label) if label.starts_with('-') => return Err(bad("it starts with a dash")),
            Spec::Label(label) => {
                let uuid = derived("filesystem", label).to_string();
                let mut args = if self.uuid == "-i" { Vec::new() } else { self.with_uuid(&uuid) };
                args.extend([self.label.to_owned(), label.clone()]);
                args
            }
            Spec::Other(_) => return Err(bad("it is neither a UUID nor a label")),
        };
        if self.package == EXT.package {
            let seed = derived("hash seed", &mount.spec.to_string());
            args.extend(["-E".to_owned(), format!("hash_seed={seed}")]);
        }
        Ok(args)
    }

    fn with_uuid(&self, uuid: &str) -> Vec<String> {
        let value = if self.uuid == "-m" { format!("uuid={uuid}") } else { uuid.to_owned() };
        vec![self.uuid.to_owned(), value]
    }
}

/// A GUID that stands for `name` among those of its kind.
pub fn derived(kind: &str, name: &str) -> Guid {
    let mut hasher = Hasher::new("hoopy guid 1");
    hasher.field(kind.as_bytes()).field(name.as_bytes());
    let digest = hasher.finish();
    let mut first = [0; 16];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Guid::new_v8(first)
}

/// The volume id that Linux shows as `1234-ABCD`.
pub fn fat_id(uuid: &str) -> Option<u32> {
    let digits = uuid.replacen('-', "", 1);
    let good = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hex = |g: &&str| g.bytes().all(|b| b.is_ascii_hexdigit());
    groups.iter().all(hex) && groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
}

#[cfg(test)]
mod tests;
