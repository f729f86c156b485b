//! `programs`: the user's own commands, run on this machine before packaging.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use hoopy_base::report::{Event, Observer};

use crate::config::Program;

/// A program that did not build.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The command could not be started or failed.
    #[error("hoopy.toml: `programs`: `{run}` in {}: {reason}\n{output}", .dir.display())]
    Failed {
        /// The command.
        run: String,
        /// Where it ran.
        dir: PathBuf,
        /// How it ended.
        reason: String,
        /// What it printed.
        output: String,
    },
    /// It succeeded and the file to copy is not there.
    #[error("hoopy.toml: `programs`: `{run}` succeeded, but did not create {}", .file.display())]
    Missing {
        /// The command.
        run: String,
        /// The file.
        file: PathBuf,
    },
}

/// Builds every program.
///
/// # Errors
/// [`ProgramError`] for the first that fails.
pub fn build(programs: &[Program], observer: &dyn Observer) -> Result<(), ProgramError> {
    for program in programs {
        observer.event(Event::Note(&format!("running {}", program.run)));
        let failed = |reason: String, output: String| ProgramError::Failed {
            run: program.run.clone(),
            dir: program.dir.clone(),
            reason,
            output,
        };
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec 2>&1; {}", program.run)])
            .current_dir(&program.dir)
            .stdin(Stdio::null());
        let out = command.output().map_err(|e| failed(e.to_string(), String::new()))?;
        if !out.status.success() {
            return Err(failed(out.status.to_string(), String::from_utf8_lossy(&out.stdout).into_owned()));
        }
        if let Some(missing) = program.copy.iter().find(|c| !c.from.is_file()) {
            return Err(ProgramError::Missing { run: program.run.clone(), file: missing.from.clone() });
        }
    }
    Ok(())
}
