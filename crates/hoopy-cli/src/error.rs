//! How a failure is told: what went wrong, what to do about it, and the exit code.

use std::process::ExitCode;

use hoopy::check::CheckError;
use hoopy::config::ConfigError;
use hoopy::lock::{LockError, MakeError};
use hoopy::road::BuildError;
use hoopy::sandbox::SandboxError;
use hoopy::stack::StackError;

/// The exit code where the system directory is wrong.
pub const WRONG_DIRECTORY: u8 = 3;

/// Prints the error with its hint; gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !error.to_string().contains(&cause) {
            eprintln!("  because: {cause}");
        }
    }
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() || error.is::<LockError>() {
        return WRONG_DIRECTORY;
    }
    if let Some(CheckError::Lock(_)) = error.downcast_ref::<CheckError>() {
        return WRONG_DIRECTORY;
    }
    match error.downcast_ref::<BuildError>() {
        Some(BuildError::Stack(StackError::Sandbox(_)) | BuildError::Program(_)) => 4,
        Some(BuildError::Fetch(_) | BuildError::Make(MakeError::Fetch(_) | MakeError::Index { .. })) => 5,
        Some(
            BuildError::Make(_) | BuildError::Drift { .. } | BuildError::NoLock(_) | BuildError::Lock(_),
        ) => WRONG_DIRECTORY,
        _ => 1,
    }
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.downcast_ref::<BuildError>()? {
        BuildError::Drift { .. } => Some("run `hoopy update` to see and write what changes"),
        BuildError::Make(MakeError::Fetch(_)) | BuildError::Fetch(_) => {
            Some("is the mirror reachable? --mirror takes another one, an address or a directory")
        }
        BuildError::Make(MakeError::Index { .. }) => Some(
            "for a mirror signed by another key, put its public key into keys/ or name a directory with --keys",
        ),
        BuildError::Stack(StackError::Sandbox(SandboxError::CannotExecute { .. })) => Some(
            "for another architecture than this machine's, qemu-user must be registered with binfmt_misc \
             (Debian: apt install qemu-user-static binfmt-support)",
        ),
        _ => None,
    }
}
