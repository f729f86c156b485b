//! From diskless Alpine Linux and back.

use hoopy_diskless::export::ExportError;
use hoopy_diskless::import::{ImportError, WriteError};
use hoopy_diskless::source::{CryptError, RemoteError, SourceError};
use hoopy_sandbox::SandboxError;

use super::ErrorKind::{Failed, Fetch, Script, System, Usage};
use super::{Class, Classify};

impl Classify for SourceError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::Archive { .. } | Self::Walk(_) => Failed.into(),
            Self::Several { .. } => Usage.hint("name one of them: hoopy import DIR/NAME.apkovl.tar.gz"),
            Self::Nothing(_) => {
                Usage.hint("name an overlay, the medium that has it, or the root of a machine")
            }
            Self::Crypt { source: CryptError::Cipher(cipher), .. } => Failed
                .hint(format!("decrypt it first: openssl enc -d -{cipher} -in FILE -out NAME.apkovl.tar.gz")),
            Self::Crypt { source: CryptError::Passphrase | CryptError::Short, .. } => Failed.into(),
            Self::NoPassphrase { .. } => Usage.hint("give it in a file with --passphrase-file"),
            // The overlay is at no mirror.
            Self::Fetch(error) => match error.class() {
                class if class.kind == Fetch => {
                    Fetch.hint("check the address and the network: a browser shows what is there")
                }
                class => class,
            },
            Self::Remote { source, .. } => match source {
                RemoteError::Ask(_) => Failed.hint("try `ssh HOST` yourself: what works there works here"),
                RemoteError::NotRoot(_) => Failed.hint("name the machine as ssh:root@HOST"),
                RemoteError::NotAlpine(_) | RemoteError::Archive(_) => Failed.into(),
            },
        }
    }
}

impl Classify for WriteError {
    fn class(&self) -> Class {
        match self {
            Self::Exists(_) => Usage.hint("name another directory with --output"),
            Self::Half(_) => Usage.hint("remove all that is in it but .git, and import again"),
            Self::Io { .. } => Failed.into(),
        }
    }
}

impl Classify for ImportError {
    fn class(&self) -> Class {
        match self {
            Self::Write(error) => error.class(),
            Self::Read(_) => Failed.into(),
            Self::Unfinished { error, .. } => error.class(),
            Self::Arch(_) => System.hint("say which it is with --arch, where the machine can run another"),
            Self::Kernel { kernels, .. } => match kernels.first() {
                Some(name) => Usage.hint(format!("--kernel {}", name.trim_start_matches("linux-"))),
                None => Usage.into(),
            },
            Self::Config(error) => error.class(),
            Self::Target(error) => error.class(),
            Self::Fetch(error) => error.class(),
            Self::Make(error) => error.class(),
            Self::NoMain { .. } => {
                Fetch.hint("name a branch that the mirror has with --branch, as --branch 3.23")
            }
            Self::Build(error) => error.class(),
            Self::Layer(error) => error.class(),
            Self::Runner(error) => {
                error.downcast_ref::<SandboxError>().map_or(Script.into(), Classify::class)
            }
        }
    }
}

impl Classify for ExportError {
    fn class(&self) -> Class {
        match self {
            Self::Build(error) => error.class(),
            Self::Fetch(error) => error.class(),
            Self::Layer(error) => error.class(),
            Self::Path(error) => error.class(),
            Self::Io { .. } => Failed.into(),
        }
    }
}
