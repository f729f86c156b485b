//! Secrets as layers. The encrypted files are files like any others, and a layer's id is a digest of them; what they
//! hold is in no layer, no store and no recipe.
//!
//! | `open` | what is in the layer |
//! |---|---|
//! | `disk`, `tpm`, `owner` | the encrypted files, a map of them, the agent and its services |
//! | `build` | what they replace, as deleted; the files themselves are added in the clear to the image ([`Sealed`]) |

mod owners;
mod place;

pub use place::choose as keeps_identity;
pub use place::{STATE, choose_for as filesystem_for};

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use hoopy_base::arch::Arch;
use hoopy_base::digest::{ContentId, Hasher};
use hoopy_base::input;
use hoopy_boot::secrets::{AGENT, CIPHERTEXTS, MAP, Map, Open, Sealing, SecretFile, VERSION};
use hoopy_secrets::SecretPath;
use hoopy_secrets::directory::{Secrets, SecretsError};
use hoopy_secrets::path::{ENDING, Use};
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};
use hoopy_trust::keys::{KeyName, PublicKeys, PublicKeysError};
use sha2::{Digest as _, Sha256};

use super::{Stack, StackError};
use crate::config::System;

/// Services, their modes and texts.
const FILES: [(&str, u32, &str); 2] = [
    ("etc/init.d/hoopy-secrets", 0o755, include_str!("hoopy-secrets.initd")),
    ("etc/hoopy/health.d/hoopy-secrets", 0o755, include_str!("health.sh")),
];

/// The service that unlocks volumes.
const UNLOCK: (&str, u32, &str) = ("etc/init.d/hoopy-unlock", 0o755, include_str!("hoopy-unlock.initd"));

/// A secret is for root alone where `[modes]` does not say otherwise.
const DEFAULT_MODE: u32 = 0o600;

/// The largest agent: ten times what it has.
const MAX_AGENT: u64 = 64 << 20;

/// Secrets that cannot be part of the image.
#[derive(Debug, thiserror::Error)]
pub enum SecretLayerError {
    /// `secrets/` cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// `[secrets] open` is not set.
    #[error(
        "hoopy.toml: `secrets.open`: expected \"tpm\", \"disk\", \"owner\" or \"build\" since there is secrets/, found nothing"
    )]
    NoOpen,
    /// The agent is not there.
    #[error("the agent hoopyd for {arch}: expected the file hoopyd-{arch} in {}, found none", list(.looked))]
    NoAgent {
        /// The image's architecture.
        arch: Arch,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The agent cannot be read.
    #[error("the agent {}: {source}", .path.display())]
    Agent {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No filesystem to keep the identity on, or not one.
    #[error("[secrets]: {0}")]
    Filesystem(String),
    /// The keys of `trust/` cannot be read.
    #[error(transparent)]
    Trust(#[from] PublicKeysError),
    /// There is nothing to seal the identity under.
    #[error(
        "[secrets] open = \"tpm\": expected the keys trust/db.crt and trust/pcr.pub, and {0} is not there"
    )]
    NoKey(String),
    /// The machine cannot use the key of policies.
    #[error(
        "[secrets] open = \"tpm\": {0}: expected an RSA key of 2048 bits with the exponent 65537, since every TPM takes that, found \
         another one"
    )]
    PolicyKey(String),
    /// `[secrets.owners]` names what is not there.
    #[error("hoopy.toml: `secrets.owners`: {path}: {message}")]
    Owner {
        /// The secret.
        path: EntryPath,
        /// What is wrong.
        message: String,
    },
    /// Nothing could run the services.
    #[error("[secrets] needs OpenRC, whose services open them, and no package brings /sbin/openrc-run")]
    NoOpenrc,
}

fn list(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The agent for `arch`: the file `hoopyd-ARCH` of the first of the directories that has it.
pub fn agent(dirs: &[PathBuf], arch: Arch) -> Option<PathBuf> {
    dirs.iter().map(|dir| dir.join(format!("hoopyd-{arch}"))).find(|path| path.is_file())
}

/// Secrets that are opened at build: what goes into the image in the clear, still encrypted.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Where they come from.
    pub secrets: Secrets,
    /// Each of them, with the file that it becomes.
    pub files: Vec<(SecretPath, SecretFile)>,
    /// What stands for them: a digest of the encrypted files, their paths, modes and owners.
    pub key: ContentId,
}

/// The layer of a directory's secrets.
pub struct SecretLayer {
    /// The layer.
    pub layer: Layer,
    /// What goes into the image in the clear.
    pub sealed: Option<Box<Sealed>>,
}

/// What a layer of secrets is made of.
pub struct SecretInputs<'a> {
    /// The system directory.
    pub system: &'a System,
    /// The architecture of the agent.
    pub arch: Arch,
    /// No time in the image is later.
    pub epoch: u64,
    /// Where the agent is looked for.
    pub agents: &'a [PathBuf],
}

/// The layer of the directory's secrets over `stack`; nothing where it has none.
///
/// # Errors
/// [`StackError`].
pub fn layer(
    inputs: &SecretInputs<'_>,
    stack: &Stack,
    store: &Store,
) -> Result<Option<SecretLayer>, StackError> {
    let Some(secrets) = Secrets::read(&inputs.system.dir).map_err(SecretLayerError::from)? else {
        return Ok(None);
    };
    if !secrets.has_any_for_machine() {
        return Ok(None);
    }
    let open = inputs.system.secrets.open.ok_or(SecretLayerError::NoOpen)?;
    let files = files(&secrets, inputs.system, stack, store)?;
    let mut builder = Builder::new(store, inputs.epoch);
    let sealed = match open {
        Open::Build => {
            for (_, file) in &files {
                builder.add(&EntryPath::new(&file.path)?, Kind::Whiteout, 0);
            }
            Some(Box::new(sealed(secrets, files)?))
        }
        Open::Disk | Open::Tpm | Open::Owner => {
            Machine { inputs, stack, store, secrets: &secrets }.add_to(&mut builder, open, files)?;
            None
        }
    };
    Ok(Some(SecretLayer { layer: builder.finish(store)?, sealed }))
}

/// What becomes a file, and as which: links below are followed now, so that nothing is followed on the machine.
fn files(
    secrets: &Secrets,
    system: &System,
    stack: &Stack,
    store: &Store,
) -> Result<Vec<(SecretPath, SecretFile)>, StackError> {
    let mut files = Vec::new();
    let mut owners = owners::Owners::new(&system.secrets.owners, stack, store)?;
    for secret in &secrets.paths {
        let Some(on_machine) = secret.on_machine() else { continue };
        let written = EntryPath::new(on_machine)?;
        let path = stack.tree.through_links(&written).unwrap_or_else(|| written.clone());
        let (user, group) = owners.of(&written);
        let mode = system.modes.get(&written).copied().unwrap_or(DEFAULT_MODE);
        let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
        files.push((
            secret.clone(),
            SecretFile { secret: secret.as_str().to_owned(), path, mode, user, group },
        ));
    }
    owners.end()?;
    Ok(files)
}

fn sealed(secrets: Secrets, files: Vec<(SecretPath, SecretFile)>) -> Result<Sealed, StackError> {
    let mut hasher = Hasher::new("hoopy sealed secrets 1");
    for (secret, file) in &files {
        let ciphertext = secrets.ciphertext(secret).map_err(SecretLayerError::from)?;
        let SecretFile { secret: _, path, mode, user, group } = file;
        hasher.field(path.as_bytes()).field(&ciphertext);
        hasher.field(&[*mode, *user, *group].map(u32::to_le_bytes).concat());
    }
    let key = ContentId::from_bytes(hasher.finish());
    Ok(Sealed { secrets, files, key })
}

/// What the identity is sealed under: the owner's keys, as the directory has them.
fn sealing(system: &System) -> Result<Sealing, SecretLayerError> {
    let keys = PublicKeys::read(&system.dir)?;
    let missing = |name: KeyName| SecretLayerError::NoKey(name.public_file());
    let certificate = keys.db.ok_or_else(|| missing(KeyName::Db))?;
    let policy_key = keys.pcr.ok_or_else(|| missing(KeyName::Pcr))?;
    if !policy_key.is_for_policies() {
        return Err(SecretLayerError::PolicyKey(KeyName::Pcr.public_file()));
    }
    let policy_key = policy_key
        .to_pem()
        .map_err(|source| PublicKeysError::Key { path: KeyName::Pcr.public_file().into(), source })?;
    Ok(Sealing {
        policy_key,
        certificate: HEXLOWER.encode(&Sha256::digest(certificate.der())),
        epoch: system.epoch,
    })
}

/// Secrets that the machine opens.
struct Machine<'a> {
    inputs: &'a SecretInputs<'a>,
    stack: &'a Stack,
    store: &'a Store,
    secrets: &'a Secrets,
}

impl Machine<'_> {
    fn add_to(
        &self,
        builder: &mut Builder,
        open: Open,
        files: Vec<(SecretPath, SecretFile)>,
    ) -> Result<(), StackError> {
        if !self.stack.has_openrc() {
            return Err(SecretLayerError::NoOpenrc.into());
        }
        let volumes: Vec<String> =
            self.secrets.paths.iter().filter_map(|path| path.volume()).map(str::to_owned).collect();
        let device = match open {
            Open::Disk | Open::Tpm => Some(place::device(self.inputs.system, self.stack, self.store)?),
            Open::Owner | Open::Build => None,
        };
        let sealing = if open == Open::Tpm { Some(sealing(self.inputs.system)?) } else { None };
        let unlocks = !volumes.is_empty();
        let files = files.into_iter().map(|(_, file)| file).collect();
        let recipient = self.secrets.machine.as_str().to_owned();
        let map = Map { version: VERSION, open, device, sealing, recipient, files, volumes };
        let mut text = serde_json::to_vec_pretty(&map).map_err(std::io::Error::from)?;
        text.push(b'\n');
        builder.add_bytes(&EntryPath::new(MAP)?, 0o644, &text)?;
        for secret in self.secrets.paths.iter().filter(|path| path.purpose() != Use::Trust) {
            let ciphertext = self.secrets.ciphertext(secret).map_err(SecretLayerError::from)?;
            let path = EntryPath::new(format!("{CIPHERTEXTS}/{}{ENDING}", secret.as_str()))?;
            builder.add_bytes(&path, 0o644, &ciphertext)?;
        }
        self.services(builder, unlocks)?;
        add_agent(builder, self.inputs.agents, self.inputs.arch)
    }

    fn services(&self, builder: &mut Builder, unlocks: bool) -> Result<(), StackError> {
        for (path, mode, text) in FILES.iter().chain(unlocks.then_some(&UNLOCK)) {
            builder.add_bytes(&EntryPath::new(path)?, *mode, text.as_bytes())?;
        }
        let mut runlevel = |level: &str, service: &str| -> Result<(), StackError> {
            let link = EntryPath::new(format!("etc/runlevels/{level}/{service}"))?;
            builder.add(&link, Kind::Symlink(format!("/etc/init.d/{service}").into_bytes()), 0o777);
            Ok(())
        };
        runlevel("sysinit", "hoopy-secrets")?;
        if unlocks { runlevel("boot", "hoopy-unlock") } else { Ok(()) }
    }
}

/// Adds the agent for `arch`, of the first of the directories that has it.
pub(super) fn add_agent(builder: &mut Builder, agents: &[PathBuf], arch: Arch) -> Result<(), StackError> {
    let found = agent(agents, arch);
    let path = found.ok_or_else(|| SecretLayerError::NoAgent { arch, looked: agents.to_vec() })?;
    let bytes =
        input::read_up_to(&path, MAX_AGENT).map_err(|source| SecretLayerError::Agent { path, source })?;
    builder.add_bytes(&EntryPath::new(AGENT.trim_start_matches('/'))?, 0o755, &bytes)?;
    Ok(())
}
