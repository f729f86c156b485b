//! Images, differences and drift.

use hoopy_inspect::diff::DiffError;
use hoopy_inspect::drift::DriftError;
use hoopy_inspect::image::InspectError;
use hoopy_ship::deploy::SshError;

use super::ErrorKind::{Failed, System};
use super::{Class, Classify};

impl Classify for InspectError {
    fn class(&self) -> Class {
        match self {
            Self::NoSuchPath { .. } => Failed.hint("`hoopy inspect ls IMAGE` lists what is in it"),
            Self::Io { .. }
            | Self::Pe { .. }
            | Self::Unknown { .. }
            | Self::NotAFile { .. }
            | Self::Extract { .. } => Failed.into(),
        }
    }
}

impl Classify for DiffError {
    fn class(&self) -> Class {
        match self {
            Self::Inspect(error) => error.class(),
            Self::Lock(error) => error.class(),
            Self::Read { .. } | Self::Git { .. } => Failed.into(),
            Self::NoSide { text, .. } => Failed.hint(format!("a machine is written ssh:{text}")),
        }
    }
}

impl Classify for DriftError {
    fn class(&self) -> Class {
        match self {
            Self::Ask { source, .. } => {
                let ssh = source.get_ref().and_then(|inner| inner.downcast_ref::<SshError>());
                ssh.map_or(Failed.into(), Classify::class)
            }
            Self::Answer { .. } | Self::TooMuch { .. } | Self::NotChanged { .. } | Self::Write { .. } => {
                Failed.into()
            }
            Self::Mounted { .. } => {
                Failed.hint("what the file `state` lists is saved by `hoopy backup`, and is not for root/")
            }
            Self::NoImage { .. } | Self::ImageName { .. } => {
                Failed.hint("name the image that it booted with --image FILE")
            }
            Self::Toml { .. } => System.into(),
            Self::Diff(error) => error.class(),
        }
    }
}
