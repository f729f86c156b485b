//! Secrets.

use hoopy_build::stack::secrets::SecretLayerError;
use hoopy_build::stack::state::StateLayerError;
use hoopy_secrets::cipher::{DecryptError, EncryptError};
use hoopy_secrets::directory::SecretsError;

use super::ErrorKind::{Failed, System};
use super::{Class, Classify};

const KEY: &str = "name the file with your key with --identity, or in HOOPY_IDENTITY: an age identity, or a private ssh key";

impl Classify for SecretsError {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } | Self::Write { .. } => Failed.into(),
            Self::NotInitialised { .. } => System.hint("set it up with `hoopy secret init`"),
            Self::AlreadyInitialised(_) => {
                System.hint("give the machine a new one with `hoopy secret rekey --machine`")
            }
            Self::Recipients { .. } => {
                System.hint("write one public key per line: age1... or ssh-ed25519 ...")
            }
            Self::Unexpected { .. } => System.hint("encrypt a file with `hoopy secret set PATH <FILE`"),
            Self::Missing { .. } => System.hint("`hoopy secret list` shows what is there"),
            Self::Decrypt { source, .. } => source.class(),
            Self::Encrypt { source, .. } => source.class(),
            Self::Machine { .. } | Self::OtherMachine { .. } => {
                System.hint("take machine.pub and machine.age from the same commit")
            }
        }
    }
}

impl Classify for DecryptError {
    fn class(&self) -> Class {
        match self {
            Self::NoMatch => Failed.hint(KEY),
            Self::Header | Self::TooLarge | Self::Mac | Self::Payload => {
                System.hint("restore the file with git, or set it anew with `hoopy secret set PATH`")
            }
            Self::Identity { .. } => Failed.into(),
        }
    }
}

impl Classify for EncryptError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge(_) | Self::Age(_) => Failed.into(),
            Self::NoPlugin(plugin) => {
                Failed.hint(format!("install {plugin}, or remove its line from secrets/recipients"))
            }
        }
    }
}

impl Classify for SecretLayerError {
    fn class(&self) -> Class {
        match self {
            Self::Secrets(error) => error.class(),
            Self::NoOpen => System.hint("docs/secrets.md says what each of them protects from"),
            Self::NoAgent { arch, .. } => Failed
                .hint(format!("build it with `cargo xtask hoopyd {arch}`, or take it from hoopy's release"))
                .and("name the directory that has it in HOOPY_AGENTS"),
            Self::Agent { .. } => Failed.into(),
            Self::Filesystem(_) | Self::Owner { .. } => System.into(),
            Self::Trust(error) => error.class(),
            Self::NoKey(_) => System.hint("make them with `hoopy keys new`: docs/trust.md"),
            Self::PolicyKey(_) => System.hint(
                "remove it with its private half, and make another with `hoopy keys new`: docs/trust.md",
            ),
            Self::NoOpenrc => System.hint("add `openrc` or `alpine-base` to `packages`"),
        }
    }
}

impl Classify for StateLayerError {
    fn class(&self) -> Class {
        match self {
            Self::Secrets(error) => error.class(),
            Self::Filesystem(_) => System.hint("docs/state.md says what a machine needs to keep state"),
            Self::Path { .. } => System.hint("correct the file `state`: one absolute directory per line"),
            Self::NoRecipients => System.hint("set it up with `hoopy secret init`"),
            Self::NoOpenrc => System.hint("add `openrc` or `alpine-base` to `packages`"),
        }
    }
}
