//! The project's own chores: `cargo xtask mirror`, `demo`, `test`, `oracle`, `prove`, `bench`, `fuzz`, `setup`.

#![expect(clippy::print_stdout, reason = "chores talk to the developer")]

mod bench;
mod chores;
mod demo;
mod fuzz;
mod mirror;
mod oracle;
mod prove;
mod setup;
mod test;

use clap::Parser;

/// The project's own chores.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Chore {
    /// Install what building, testing and booting need (with apt, on Debian).
    Setup,
    /// Make the stand-in mirror of real Alpine packages under target/mirror.
    Mirror,
    /// Build examples/hello and boot it: what hoopy does, in one command.
    Demo,
    /// Run everything that CI runs: format, lints, unit, integration and boot tests.
    Test,
    /// Ask the real apk about random worlds and versions, and compare.
    Oracle(oracle::Amount),
    /// Deploy to a virtual machine again and again, with faults and power cuts: for as long as it takes.
    Prove(prove::Amount),
    /// Time hoopy beside the shell pipeline that it replaces, and its choice of packages beside apk's.
    Bench {
        /// One of them alone.
        what: Option<bench::What>,
        /// Packages of the largest system of `scale`
        #[arg(long, default_value_t = bench::scale::MOST)]
        packages: usize,
        /// Put the results and the chart into docs/bench/, for the README.
        #[arg(long)]
        publish: bool,
    },
    /// Fuzz what reads bytes from outside; one target of fuzz/fuzz_targets, or each in turn.
    Fuzz {
        /// The target.
        target: Option<String>,
        /// For how long, each.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
}

fn main() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::Setup => setup::run(),
        Chore::Mirror => mirror::run().map(|_| ()),
        Chore::Demo => demo::run(),
        Chore::Test => test::run(),
        Chore::Oracle(amount) => oracle::run(&amount),
        Chore::Prove(amount) => prove::run(&amount),
        Chore::Bench { what, packages, publish } => bench::run(what, packages, publish),
        Chore::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
    }
}
