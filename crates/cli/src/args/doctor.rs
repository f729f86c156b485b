//! The command about this computer.

use clap::Args;

pub const DOCTOR: &str = "\
Example: hoopy doctor
         hoopy doctor --arch aarch64 --json

Exits with 3 if `hoopy build` cannot work. Anything else that is missing makes machines slower, or one option impossible. The \
mirror is that of hoopy.toml in the working directory, of --mirror, or Alpine's, and has 5 seconds to answer.";

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print the checks as JSON
    #[arg(long)]
    pub json: bool,
}
