//! Keys and signatures.

use std::path::Path;

use hoopy_trust::authenticode::SignError;
use hoopy_trust::certificate::CertificateError;
use hoopy_trust::enrolment::EnrolmentError;
use hoopy_trust::firmware::UpdateError;
use hoopy_trust::image::SignImageError;
use hoopy_trust::key::KeyError;
use hoopy_trust::keys::{KeyName, PublicKeysError};
use hoopy_trust::measure::MeasureError;
use hoopy_trust::program::ProgramError;
use hoopy_trust::signer::SignerError;

use super::ErrorKind::{Failed, Script, System};
use super::{Class, Classify};

impl Classify for KeyError {
    fn class(&self) -> Class {
        match self {
            Self::Malformed { .. } | Self::Size { .. } => System.into(),
            Self::Make(_) | Self::Sign => Failed.into(),
        }
    }
}

impl Classify for CertificateError {
    fn class(&self) -> Class {
        match self {
            Self::Malformed { .. } | Self::Key { .. } | Self::Name(_) | Self::Date(_) => System.into(),
            Self::Signer(error) => error.class(),
        }
    }
}

impl Classify for UpdateError {
    fn class(&self) -> Class {
        match self {
            Self::Field { .. } | Self::Truncated { .. } | Self::Content(_) => {
                System.hint("write it anew with `hoopy keys enroll`")
            }
            Self::Time(_) => System.into(),
            Self::Signer(error) => error.class(),
        }
    }
}

impl Classify for EnrolmentError {
    fn class(&self) -> Class {
        match self {
            Self::Update { source, .. } => source.class(),
            Self::Microsoft(error) => error.class(),
        }
    }
}

impl Classify for PublicKeysError {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } => System.into(),
            Self::Certificate { path, .. } | Self::Key { path, .. } => public_half(path),
        }
    }
}

/// A public half that is damaged; where it may not have been committed yet, what else can be done.
fn public_half(path: &Path) -> Class {
    let class = System.hint(format!("restore it with `git checkout HEAD -- {}`", path.display()));
    if path.ends_with(KeyName::NextDb.public_file()) {
        return class.and("if no machine has an image or list with it yet, remove it: `hoopy keys rotate` makes another key");
    }
    class
}

impl Classify for SignerError {
    fn class(&self) -> Class {
        match self {
            Self::Key(error) => error.class(),
            Self::EmptyCommand => System.hint("write the program and its arguments, such as sign = [\"sign-with-token\", \"{key}\"]"),
            Self::Run { .. } | Self::Failed { .. } => {
                Script.hint("the command is `sign` of [trust] in hoopy.toml: it must print a signature of its input and exit with status 0")
            }
            Self::TooMuch { .. } | Self::NotASignature { .. } => {
                Script.hint("the command must sign what it reads with the key that {key} names, and print the bytes alone")
            }
            Self::NotAtHand { .. } => {
                Failed
                    .hint("where its file is there, name the identity of one of secrets/recipients: HOOPY_IDENTITY=FILE")
                    .and("where it is missing or damaged, restore it: `git checkout HEAD -- secrets/trust`")
            }
            Self::OtherHalf { .. } | Self::OtherKey { .. } => {
                System.hint("put the certificate and the private key of one pair there")
            }
        }
    }
}

impl Classify for SignError {
    fn class(&self) -> Class {
        match self {
            Self::Signer(error) => error.class(),
            Self::TooLarge { .. } | Self::TooMany { .. } | Self::TableTooLarge { .. } => Failed.into(),
        }
    }
}

impl Classify for ProgramError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } | Self::Layout { .. } => Failed.into(),
            Self::Sign { source, .. } => source.class(),
            Self::NotSigned { .. } => {
                Failed.hint("build it where the key is at hand, or sign it with `hoopy sign FILE`")
            }
        }
    }
}

impl Classify for MeasureError {
    fn class(&self) -> Class {
        match self {
            Self::UnknownVersion { .. } => System.hint(
                "build without PCR policies: take trust/pcr.pub away; or take a systemd-efistub of a known version",
            ),
            Self::Read(_) | Self::NotSystemd | Self::Section { .. } => Failed.into(),
        }
    }
}

impl Classify for SignImageError {
    fn class(&self) -> Class {
        match self {
            Self::Layout(_) | Self::Rewrite(_) | Self::Io(_) => Failed.into(),
            Self::Sign(error) => error.class(),
            Self::Policy(error) => error.class(),
            Self::Measure(error) => error.class(),
        }
    }
}
