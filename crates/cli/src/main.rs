//! The hoopy command.

mod args;
mod command;
mod error;
mod log;
mod machine_output;
mod output;
mod progress;

use std::process::ExitCode;

use error::ErrorKind;

fn main() -> ExitCode {
    // The sandbox starts this program again, inside its namespaces.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == "__sandbox") {
        return hoopy_sandbox::helper_main();
    }
    let line: Vec<_> = std::env::args_os().collect();
    let exit = match args::parse(&line) {
        Ok(args) => command::run(args).unwrap_or_else(|mut e| {
            if let Some(correction) = args::correction(&line) {
                // A general hint has nothing to add.
                e.hints.retain(|_| e.kind != ErrorKind::System);
                e.hints.push(correction);
            }
            output::report(&e)
        }),
        Err(exit) => exit,
    };
    exit.into()
}
