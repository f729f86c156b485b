//! Options of an import.

use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_build::config::Overrides;
use hoopy_build::stack::Runner;
use hoopy_build::target::Target;

use super::secrets::Policy;
use super::unfinished::Unfinished;

/// Makes what runs scripts for a target.
pub type MakeRunner<'a> =
    dyn FnMut(&Target) -> Result<Box<dyn Runner>, Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What an import is told.
pub struct Options<'p> {
    /// The system directory to make.
    pub dir: PathBuf,
    /// The flavor of the kernel, `lts`: over what the source says.
    pub kernel: Option<String>,
    /// The Alpine branch to move to: over what the source says.
    pub branch: Option<String>,
    /// The architecture, where the source does not say.
    pub arch: Option<Arch>,
    /// Mirror and keys of the command line.
    pub over: Overrides,
    /// What becomes of secrets.
    pub secrets: Policy<'p>,
    /// Learns the directory that the import works in, to remove it where a signal ends the program.
    pub unfinished: Unfinished,
}
