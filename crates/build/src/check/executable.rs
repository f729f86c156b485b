//! Scripts that are never run since they are not executable, or since their name is not one that is run.
//!
//! OpenRC passes over what is not executable in `/etc/init.d` and `/etc/local.d`; `run-parts` does in
//! `/etc/periodic` and `/etc/network/if-*.d`, and there it also passes over names with other characters than
//! [`run_parts_runs`] says. The kernel refuses to execute it anywhere.

use super::finding::{Finding, Severity};
use super::own::{From, Own};
use super::view::View;

/// Who runs what lies in a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    OpenRc,
    Local,
    RunParts,
    Agent,
    Volume,
    Shell,
}

/// Scripts that are not run.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let run = |own| runner(own).map(|runner| (own, runner));
    let files = view.own.iter().filter(|own| own.is_file()).filter_map(run);
    files.flat_map(|(own, runner)| [mode(view, own, runner), name(own, runner)]).flatten().collect()
}

fn runner(own: &Own) -> Option<Runner> {
    let path = String::from_utf8_lossy(own.path.as_bytes()).into_owned();
    let (dir, name) = path.rsplit_once('/')?;
    if name.starts_with('.') || name.starts_with("README") {
        return None;
    }
    let parts: Vec<&str> = dir.split('/').collect();
    match parts[..] {
        // Files to source have the ending.
        ["etc", "init.d"] if !name.ends_with(".sh") => Some(Runner::OpenRc),
        ["etc", "local.d"] if name.ends_with(".start") || name.ends_with(".stop") => Some(Runner::Local),
        ["etc", "periodic", _] => Some(Runner::RunParts),
        ["etc", "network", phase] if phase.starts_with("if-") && phase.ends_with(".d") => {
            Some(Runner::RunParts)
        }
        ["etc", "monitor.d"] if name.ends_with(".sh") => Some(Runner::Agent),
        ["etc", "hoopy", "alert.d"] => Some(Runner::Agent),
        ["etc", "hoopy", "unlock.d" | "backup.d"] => Some(Runner::Volume),
        ["usr", "local", "bin" | "sbin"] if is_program(&own.text) => Some(Runner::Shell),
        _ => None,
    }
}

/// Data may lie beside programs.
fn is_program(text: &[u8]) -> bool {
    text.starts_with(b"#!") || text.starts_with(b"\x7fELF")
}

fn mode(view: &View<'_>, own: &Own, runner: Runner) -> Option<Finding> {
    if own.mode & 0o111 != 0 || setup_changes_mode(view, own) {
        return None;
    }
    let message = match runner {
        Runner::OpenRc | Runner::Local => "not executable: OpenRC passes it over",
        Runner::RunParts => "not executable: run-parts passes it over",
        Runner::Agent => "not executable: hoopyd passes it over",
        Runner::Volume => "not executable: hoopyd cannot run it",
        Runner::Shell => "not executable: it cannot be run",
    };
    let fix = match own.from {
        From::Root => format!("chmod +x {}", own.shown()),
        From::Programs | From::Setup => format!("chmod +x {} in setup.sh", own.shown()),
    };
    Some(own.finding(Severity::Error, None, message, fix))
}

/// Whether a line of a `setup.sh` that has yet to run changes the mode of the file or of what its directory holds.
fn setup_changes_mode(view: &View<'_>, own: &Own) -> bool {
    let Some(dir) = own.path.parent() else { return false };
    let (file, glob) = (format!("/{}", own.path), format!("/{dir}/*"));
    let tree = format!("-R +x /{dir}");
    let changes =
        |line: &str| line.contains("chmod") && [&file, &glob, &tree].iter().any(|p| line.contains(&**p));
    view.pending_setup().is_some_and(|setup| setup.lines().any(changes))
}

/// Whether BusyBox's run-parts runs a script of this name; compared with the real one by a test.
pub fn run_parts_runs(name: &str) -> bool {
    !name.starts_with('.') && name.chars().all(is_plain)
}

/// What a word of the shell does not hold (POSIX, 2.2); OpenRC's `local` runs `eval "${file}"`.
fn is_for_the_shell(c: char) -> bool {
    c.is_whitespace() || "\"'\\$;&|<>()`".contains(c)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn name(own: &Own, runner: Runner) -> Option<Finding> {
    let name = String::from_utf8_lossy(own.path.name()).into_owned();
    let message = match runner {
        Runner::RunParts if !run_parts_runs(&name) => {
            "its name has more than letters, digits, `-`, `_` and `.`: run-parts passes it over"
        }
        Runner::Local if name.chars().any(is_for_the_shell) => {
            "its name has characters that mean something to the shell, which OpenRC gives it to: it is not run"
        }
        _ => return None,
    };
    let new = name.replace(|c| !is_plain(c), "-");
    Some(own.finding(Severity::Error, None, message, format!("rename it to {new}")))
}
