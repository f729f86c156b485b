//! The processes below hoopy, all this same program started again with [`MARK`] as its first argument: one for
//! a session ([`session`]), one for each script in it ([`run`]), and PID 1 of the script's own namespaces
//! ([`init`]). Each has one thread, reads messages from standard input and answers on standard output.

mod capture;
mod init;
mod overlay;
mod run;
mod session;
mod sys;
mod unpack;
mod work;
mod world;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};

use super::wire::Failure;

/// The first argument of a helper.
pub const MARK: &str = "__sandbox";

/// The helper as whom this process was started, by its second argument.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(2);
    let role = arguments.next().unwrap_or_default();
    let result = match role.as_str() {
        "session" => session::main(),
        "run" => run::main(arguments.next().and_then(|pid| pid.parse().ok())),
        "init" => init::main(),
        _ => {
            eprintln!("{MARK} is hoopy's own: it starts itself with it");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// This program again, in another role. The kernel's link to the running file still holds after an upgrade
/// has replaced it.
fn again(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([MARK, role]).env_clear().stdin(Stdio::piped());
    command
}

/// A second descriptor of an open one, as an unbuffered file.
fn file(fd: impl AsFd) -> io::Result<File> {
    fd.as_fd().try_clone_to_owned().map(File::from)
}
