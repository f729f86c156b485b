//! The processes below hoopy: one for a session ([`session`]), which is this same program started again with
//! [`MARK`] as its first argument, and its copies: one for each script in it ([`run`]), and PID 1 of the script's
//! own namespaces ([`init`]). Each has one thread. Another one waits for the end of hoopy where there are control groups to
//! remove ([`super::control_group`]).

mod capture;
mod confine;
mod device_nodes;
mod init;
mod limit_watch;
mod overlay;
mod resolver;
mod run;
mod session;
pub(super) mod sys;
pub(super) mod syscall_filter;
mod unpack;
mod work;
mod world;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use super::arguments::{KEEPER, MARK, SESSION};
use super::control_group;
use super::wire::{Doing as _, Failure};

/// The helper as whom this process was started, by its second argument.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(2);
    let role = arguments.next().unwrap_or_default();
    let result = match role.as_str() {
        SESSION => session::main(),
        KEEPER => control_group::remove_after(arguments).doing("remove control groups"),
        _ => {
            let _ = writeln!(io::stderr(), "{MARK} is internal: hoopy starts itself with it");
            return ExitCode::from(2);
        }
    };
    ExitCode::from(status(result))
}

type Result<T> = std::result::Result<T, Failure>;

/// The exit status of a helper. What went wrong is on standard error then, for whoever finds that it has ended.
fn status(result: Result<()>) -> u8 {
    let report = |failure: &Failure| {
        let _ = writeln!(io::stderr(), "{failure}");
    };
    result.inspect_err(report).is_err().into()
}

/// A second descriptor of an open one, as an unbuffered file.
fn file(fd: impl AsFd) -> io::Result<File> {
    fd.as_fd().try_clone_to_owned().map(File::from)
}

/// Waits for the end of a child.
fn wait_for(pid: Pid) -> io::Result<WaitStatus> {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
