//! The hoopy command.

// Whatever is shown passes `ui`, which keeps from a terminal what it would act on: its macros stand in for std's.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod ui;

mod args;
mod command;
mod error;
mod log;

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
