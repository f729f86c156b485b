//! Asking git about a system directory.
//!
//! Whoever builds may be somebody else than the owner of the directory (sudo, a container of CI), to whom git answers
//! nothing unless told that it is meant. hoopy runs the directory's own `setup.sh` and programs, so nothing is gained by
//! holding back here; what the repository's configuration would have run as a side effect is left out all the same.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The top of the working tree that `dir` is in, if it is in one.
pub(crate) fn top(dir: &Path) -> Option<PathBuf> {
    let dir = dir.canonicalize().ok()?;
    dir.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
}

/// git with these arguments, in `dir`, whose working tree begins at `top`.
pub(crate) fn command(dir: &Path, top: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    // Looking must not take the lock that the user's own git may want.
    command.arg("--no-optional-locks").arg("-c").arg(format!("safe.directory={}", top.display()));
    command.args(["-c", "core.fsmonitor=false", "-C"]).arg(dir).args(args);
    // Of a hook that hoopy is run from: they name another repository, or one that is half committed.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a git that was started prints; or why it does not, in one line.
pub(crate) fn output(child: std::io::Result<Child>) -> Result<Vec<u8>, String> {
    let out = child.and_then(Child::wait_with_output).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "git is not installed".to_owned(),
        _ => format!("git cannot be run: {e}"),
    })?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    Err(said.lines().next().map_or_else(|| format!("git failed: {}", out.status), str::to_owned))
}
