//! Why an import failed.

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_build::config::ConfigError;
use hoopy_build::fetch::FetchError;
use hoopy_build::locking::MakeError;
use hoopy_build::road::BuildError;
use hoopy_build::target::TargetError;
use hoopy_store::layer::stored::ReadLayerError;

use super::write::WriteError;

/// An import that failed; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The directory could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of the source could not be read.
    #[error("a file of the source could not be read: {0}")]
    Read(#[from] io::Error),
    /// The machine is one that hoopy does not build for.
    #[error("etc/apk/arch: expected one of {all}, found {0}", all = Arch::ALL.map(Arch::as_str).join(", "))]
    Arch(String),
    /// The kernel that was asked for is none, or the repositories do not have it.
    #[error("--kernel {given}: expected {}, found no such kernel", as_choice(kernels))]
    Kernel {
        /// What was asked for.
        given: String,
        /// The packages that are kernels.
        kernels: Vec<String>,
    },
    /// What was written is no system directory: a fault of the import.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A mirror did not answer, or a key cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The mirror does not have the branch.
    #[error("{repository}: the mirror does not have it: {source}")]
    NoMain {
        /// Which repository.
        repository: String,
        /// Why.
        source: Box<MakeError>,
    },
    /// The packages could not be chosen.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// What the packages make could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A file of the packages could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// The directory was not finished. Until it is, it has a name that is gone once this is read.
    #[error("{}", as_named(error, staging, dir))]
    Unfinished {
        /// Why.
        error: Box<ImportError>,
        /// Its name until then.
        staging: PathBuf,
        /// The name that it would have got.
        dir: PathBuf,
    },
    /// Nothing runs the packages' scripts.
    #[error("{0}")]
    Runner(Box<dyn std::error::Error + Send + Sync>),
}

/// The kernels that there are, as an option takes them.
fn as_choice(kernels: &[String]) -> String {
    if kernels.is_empty() {
        return "a package with a file boot/vmlinuz-*".to_owned();
    }
    let flavors: Vec<&str> = kernels.iter().map(|name| name.trim_start_matches("linux-")).collect();
    format!("one of {}", flavors.join(", "))
}

/// `error` with the name that the directory would have got, and where its lines are from.
fn as_named(error: &ImportError, staging: &Path, dir: &Path) -> String {
    let (text, staging) = (error.to_string(), staging.display().to_string());
    if !text.contains(&staging) {
        return text;
    }
    let dir = dir.display();
    let named = text.replace(&staging, &dir.to_string());
    format!(
        "{named}\n{dir} was not written; its `packages` were to be the lines of the source's etc/apk/world"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_gone_is_not_named() {
        let error = |text: &str| ImportError::Unfinished {
            error: Box::new(ImportError::Arch(text.to_owned())),
            staging: "/home/me/.hoopy-import-x1".into(),
            dir: "nas".into(),
        };
        let said = error("/home/me/.hoopy-import-x1/packages:3").to_string();
        assert!(said.contains("found nas/packages:3\nnas was not written"), "{said}");
        assert!(!error("mips").to_string().contains("not written"));
    }
}
