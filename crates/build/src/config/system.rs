//! What a system directory and the command line mean together. `conversion.rs` makes it of what is written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_base::digest::{Hasher, RecipeId};
use hoopy_boot::layout::Layout;
use hoopy_boot::monitor::Settings as MonitorSettings;
use hoopy_boot::secrets::Open;
use hoopy_cpio::codec::Codec;
use hoopy_store::layer::EntryPath;
use hoopy_store::layer::files::Copied;
use hoopy_vm::scratch::BlankDisk;

use super::World;
use super::branch::BranchSource;
use super::repository::Repository;
use super::state::StateLine;

/// What `compression` says for the smallest image, whatever it costs to make and in memory.
pub const BEST: &str = "best";

/// What the command line says over `hoopy.toml`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--mirror`
    pub mirror: Option<String>,
    /// `--keys`
    pub keys: Option<PathBuf>,
    /// `--compression`
    pub compression: Option<String>,
    /// `--memory`
    pub memory: Option<String>,
}

/// A program to build and copy.
#[derive(Debug, Clone)]
pub struct Program {
    /// The shell command.
    pub run: String,
    /// Where it runs.
    pub dir: PathBuf,
    /// What is copied.
    pub copy: Vec<Copied>,
}

/// A port forwarded by `hoopy run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The port of this machine; 0 is a free one.
    pub host: u16,
    /// The port of the guest.
    pub guest: u16,
}

impl std::str::FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |t: &str| t.parse().ok();
        let pair = match text.split_once(':') {
            Some((host, guest)) => parse(host).zip(parse(guest)),
            None => parse(text).map(|guest| (0, guest)),
        };
        let bad = || format!("{text:?} is not a port: write GUEST or HOST:GUEST, such as 22 or 8080:80");
        pair.map(|(host, guest)| Self { host, guest }).ok_or_else(bad)
    }
}

/// How the machine opens its secrets.
#[derive(Debug, Clone, Default)]
pub struct SecretSettings {
    /// By whom and when, where that is said.
    pub open: Option<Open>,
    /// The mount point of the filesystem that keeps the identity, where it is said, without a slash at its end.
    pub on: Option<String>,
    /// Owners of secrets, as `user:group`.
    pub owners: BTreeMap<EntryPath, String>,
}

/// Backups that the machine makes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSettings {
    /// The directory of the machine that they go to.
    pub to: String,
    /// How many are kept.
    pub keep: u32,
}

/// What outlives a boot.
#[derive(Debug, Clone, Default)]
pub struct StateSettings {
    /// What `state` lists.
    pub lines: Vec<StateLine>,
    /// What it says is lost.
    pub forgotten: Vec<EntryPath>,
    /// Whether there is such a file.
    pub is_there: bool,
    /// The mount point of the filesystem that keeps it, where it is said, without a slash at its end.
    pub on: Option<String>,
    /// Backups of the machine's own.
    pub backup: Option<BackupSettings>,
}

/// A system directory, understood.
#[derive(Debug, Clone)]
pub struct System {
    /// The directory.
    pub dir: PathBuf,
    /// The machine's name.
    pub name: String,
    /// The architecture that `hoopy.toml` names, if it does.
    pub arch: Option<Arch>,
    /// The Alpine branch.
    pub branch: String,
    /// What said so.
    pub branch_source: BranchSource,
    /// The mirror: an address or a directory, with a directory for each branch below it.
    pub mirror: String,
    /// Where packages come from, in order of preference.
    pub repositories: Vec<Repository>,
    /// A directory of public keys to trust instead of Alpine's.
    pub keys: Option<PathBuf>,
    /// Kernel arguments as written, if any were.
    pub cmdline: Option<String>,
    /// The machine's memory in bytes.
    pub memory: u64,
    /// How segments are compressed.
    pub codec: Codec,
    /// Whether kernel modules are unpacked, so that they are compressed once and well.
    pub unpacked_modules: bool,
    /// Whether scripts may use the network.
    pub network: bool,
    /// Modes of files of `root/`.
    pub modes: BTreeMap<EntryPath, u32>,
    /// What `.gitignore` names below `root/` and the image may lack.
    pub optional: Vec<EntryPath>,
    /// A file that gets the image's name, beside `/etc/hoopy-release`.
    pub release_file: Option<EntryPath>,
    /// Programs to build.
    pub programs: Vec<Program>,
    /// Processors of the virtual machine, where that is said.
    pub cpus: Option<u32>,
    /// How many network cards the virtual machine has.
    pub nics: u32,
    /// Ports that `hoopy run` forwards.
    pub forwards: Vec<Forward>,
    /// Whether the virtual machine reaches other computers.
    pub run_network: bool,
    /// Its blank disks.
    pub disks: Vec<BlankDisk>,
    /// How images lie on the EFI system partition.
    pub layout: Layout,
    /// Seconds for which systemd-boot shows a menu; 0 where it shows none.
    pub menu: u16,
    /// The machine that `hoopy deploy` ships to, as ssh(1) knows it.
    pub host: Option<String>,
    /// Where that machine has its EFI system partition, if it is not to be looked for.
    pub esp: Option<String>,
    /// Paths that are meant to change on the machine.
    pub drift_ignore: Vec<String>,
    /// The command that signs; none where private keys do.
    pub sign_command: Vec<String>,
    /// Whether machines get no image that is not signed.
    pub signature_required: bool,
    /// The epoch of its images; 0 without `trust/epoch`.
    pub epoch: u32,
    /// How the machine opens its secrets.
    pub secrets: SecretSettings,
    /// The machine's page, where it has one.
    pub monitor: Option<MonitorSettings>,
    /// What outlives a boot.
    pub state: StateSettings,
    /// What `packages` asks for.
    pub world: World,
}

impl System {
    /// Whether `secrets/` has the file that is `path` in the image.
    pub fn has_secret(&self, path: impl std::fmt::Display) -> bool {
        self.path(&format!("secrets/{path}.age")).is_file()
    }

    /// Whether any of its repositories is that of the system's branch on its mirror.
    pub fn follows_branch(&self) -> bool {
        self.repositories.iter().any(Repository::follows_branch)
    }

    /// The same system on another branch, with all its repositories that are not of a branch of their own.
    pub fn on_branch(mut self, branch: &str, source: BranchSource) -> Self {
        for repository in self.repositories.iter_mut().filter(|r| r.follows_branch()) {
            let there = Repository::of_branch(&repository.name, &self.mirror, branch);
            repository.location = there.location;
        }
        Self { branch: branch.to_owned(), branch_source: source, ..self }
    }

    /// What stands for all that an image can depend on.
    pub fn fingerprint(&self) -> RecipeId {
        // Without `..`: a new field does not compile before somebody has decided whether it belongs here.
        let Self {
            dir,
            name,
            arch,
            branch,
            // Whoever said so, the branch is the same.
            branch_source: _,
            mirror,
            repositories,
            keys,
            cmdline,
            memory,
            codec,
            unpacked_modules,
            network,
            modes,
            optional,
            release_file,
            programs,
            layout,
            world,
            epoch,
            secrets,
            monitor,
            state,
            // It is on the disk, beside the images.
            menu: _,
            // What concerns virtual machines and machines elsewhere is in no image.
            cpus: _,
            nics: _,
            forwards: _,
            run_network: _,
            disks: _,
            host: _,
            esp: _,
            drift_ignore: _,
            // Who signs is in an image's own description.
            sign_command: _,
            signature_required: _,
        } = self;
        let fields: &[&dyn fmt::Debug] = &[
            dir,
            name,
            arch,
            branch,
            mirror,
            repositories,
            keys,
            cmdline,
            memory,
            codec,
            unpacked_modules,
            network,
            modes,
            optional,
            release_file,
            programs,
            layout,
            world,
            epoch,
            secrets,
            monitor,
            state,
        ];
        let mut hasher = Hasher::new("hoopy system directory 1");
        for field in fields {
            hasher.field(format!("{field:?}").as_bytes());
        }
        RecipeId::from_bytes(hasher.finish())
    }

    /// A file of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}
