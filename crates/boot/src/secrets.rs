//! What an image says of its secrets, and where they lie: hoopy writes it, the agent on the machine reads it.
//!
//! ```text
//! /usr/libexec/hoopy/secrets.json       this map
//! /usr/libexec/hoopy/secrets/etc/x.age  what becomes /etc/x
//! /usr/libexec/hoopy/secrets/unlock/NAME.age
//! /run/hoopy/secrets.json               the outcome of this boot
//! ```
//!
//! Neither holds anything secret.

use serde::{Deserialize, Serialize};

/// Where the map lies, below the root.
pub const MAP: &str = "usr/libexec/hoopy/secrets.json";

/// Where the encrypted files lie, below the root.
pub const CIPHERTEXTS: &str = "usr/libexec/hoopy/secrets";

/// The agent, as scripts call it.
pub const AGENT: &str = "/usr/libexec/hoopy/hoopyd";

/// Where the machine's identity lies on the filesystem that keeps it.
pub const IDENTITY: &str = "hoopy/identity";

/// Where it lies sealed, with [`Open::Tpm`], on the same filesystem.
pub const SEALED_IDENTITY: &str = "hoopy/identity.tpm";

/// Where the identity lies that was sealed anew for a later epoch, below the root: in memory, until the boot turns out to be good.
pub const SEALED_NEXT: &str = "run/hoopy/identity.next";

/// Where systemd's stub puts the image's signatures of PCR 11, below the root: whoever wrote to the EFI system partition
/// may have put something else there.
pub const PCR_SIGNATURES: &str = ".extra/tpm2-pcr-signature.json";

/// Where the keys of volumes wait for the service that unlocks them, with [`Open::Tpm`], below the root: in memory.
pub const VOLUME_KEYS: &str = "run/hoopy/volume-keys";

/// What the machine extends PCR 11 by, as SHA-256 of this text, when it has its identity. From then until the next boot,
/// the TPM does not give the identity to any program.
pub const AFTER_SECRETS: &str = "hoopy:after-secrets";

/// The serial number of the disk on which a virtual machine that is tried out gets its identity. Whoever can attach a disk
/// of this name can only bring an identity of theirs, which opens nothing.
pub const IDENTITY_SERIAL: &str = "hoopy-identity";

/// The version of [`Map`] that is written.
pub const VERSION: u32 = 1;

/// How a machine opens its secrets.
///
/// No match over it has `_`: another way does not compile before everything knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Open {
    /// The owner does, when the image is built: they lie in it in the clear.
    Build,
    /// The machine does, at boot, with the identity on one of its filesystems.
    Disk,
    /// The machine does, at boot, with the identity that its TPM opens.
    Tpm,
    /// The machine does, when the owner unlocks it.
    Owner,
}

impl Open {
    /// As `hoopy.toml` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Disk => "disk",
            Self::Tpm => "tpm",
            Self::Owner => "owner",
        }
    }
}

/// The filesystem that keeps the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// As `fstab` names it: `UUID=...`.
    pub spec: String,
    /// Its kind, as `ext4`.
    pub filesystem: String,
    /// What it must be mounted with: a subvolume.
    pub options: Vec<String>,
    /// Where `fstab` mounts it.
    pub mount_point: String,
}

/// What the owner's keys say of a machine whose TPM opens the identity. It is part of the image, which firmware has checked
/// and the TPM has measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    /// The public key of PCR policies, PEM: `trust/pcr.pub`.
    pub policy_key: String,
    /// The SHA-256 of the certificate that the firmware has to trust, DER, in hexadecimal: `trust/db.crt`.
    pub certificate: String,
    /// The image's epoch, `trust/epoch`; 0 without that file. A good boot shuts images of earlier epochs out.
    #[serde(default)]
    pub epoch: u32,
}

/// A secret that becomes a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// Where its encrypted file lies, below [`CIPHERTEXTS`], without `.age`.
    pub secret: String,
    /// Its path on the machine, without the slash in front; no part of it is a symbolic link.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The number of the user that owns it.
    pub user: u32,
    /// The number of the group.
    pub group: u32,
}

/// What an image says of its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// [`VERSION`].
    pub version: u32,
    /// How they are opened.
    pub open: Open,
    /// Where the identity lies, with [`Open::Disk`] and [`Open::Tpm`].
    pub device: Option<Device>,
    /// What it is sealed under, with [`Open::Tpm`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing: Option<Sealing>,
    /// The machine's recipient: the public half of the identity that is expected.
    pub recipient: String,
    /// What becomes files.
    pub files: Vec<SecretFile>,
    /// Volumes with a key.
    pub volumes: Vec<String>,
}

/// What an image's description of itself calls the part of it with secrets in the clear.
pub const IN_THE_CLEAR: &str = "secrets/ in the clear";

/// Where the agent writes the outcome of each boot.
pub const OUTCOME: &str = "/run/hoopy/secrets.json";

/// What came of the secrets at this boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether they are there.
    pub state: State,
    /// Why nothing or not everything could be opened, one failure an entry: the secret's name and why.
    pub failures: Vec<String>,
    /// How long opening took, in microseconds.
    pub micros: u64,
}

/// Whether a machine's secrets are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All of them.
    Open,
    /// None: the owner has not unlocked the machine, or, where there are failures, its TPM did not open the identity.
    Locked,
    /// Not all of them.
    Failed,
}
