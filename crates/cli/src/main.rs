//! The hoopy command.

mod args;
mod command;
mod error;
mod log;
mod ui;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // The sandbox starts this program again, inside its namespaces.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == "__sandbox") {
        return hoopy_sandbox::helper_main();
    }
    match command::run(args::Args::parse()) {
        Ok(code) => code,
        Err(e) => error::report(&e),
    }
}
