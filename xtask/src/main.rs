//! The project's own chores: `cargo xtask mirror`, `demo`, `test`, `lint`, `record`, `book`, `oracle`, `prove`, `bench`,
//! `fuzz`, `hoopyd`, `dist`, `setup`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "chores talk to the developer")]

mod bench;
mod book;
mod chores;
mod compiler;
mod demo;
mod dist;
mod fuzz;
mod hoopyd;
mod links;
mod lint;
mod mirror;
mod newer_systemd;
mod oracle;
mod private_apt;
mod processes;
mod prove;
mod record;
mod setup;
mod test;
mod tools;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// The project's own chores.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Chore {
    /// Install what building, testing and booting need (with apt, on Debian).
    Setup,
    /// Make the stand-in mirror of real Alpine packages under target/mirror.
    Mirror {
        /// Make target/mirror-zfs too: the same with ZFS, whose modules are compiled (10 to 25 minutes).
        #[arg(long, conflicts_with = "boards")]
        zfs: bool,
        /// Make target/mirror-boards too: the same with the community packages of aarch64 (60 MB to download).
        #[arg(long)]
        boards: bool,
    },
    /// Build examples/hello and boot it: what hoopy does, in one command.
    Demo,
    /// Build the agent for machines as a static program, into target/hoopyd.
    Hoopyd {
        /// The machine's architecture: x86_64 or aarch64.
        #[arg(default_value = std::env::consts::ARCH)]
        arch: String,
    },
    /// Make what a release consists of: static programs, a .tar.gz, a .deb, an .apk, checksums.
    Dist(dist::Options),
    /// Run everything that CI runs: format, lints, unit, integration and boot tests.
    Test,
    /// Run the linters: format, warnings, documentation, spelling, links, workflows, licenses.
    Lint,
    /// Look up known vulnerabilities of dependencies; needs the network.
    Advisories,
    /// Record a real build and boot as the picture of the README, docs/demo.svg.
    Record,
    /// Write the documentation as a book, into target/book.
    Book,
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
        /// How many seconds `boot` watches a machine at rest for what it writes to its disk.
        #[arg(long, default_value_t = 60)]
        idle: u64,
        /// Measure hoopy alone in this directory: how the benchmark starts itself as an ordinary user.
        #[arg(long, hide = true)]
        inside: Option<std::path::PathBuf>,
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

fn main() -> ExitCode {
    // Not as the standard library would print it: with RUST_BACKTRACE set, that is 40 lines of no use
    match run(Chore::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    match chore {
        Chore::Setup => setup::run(),
        Chore::Mirror { boards: true, .. } => mirror::with_boards().map(|_| ()),
        Chore::Mirror { zfs: false, .. } => mirror::for_tests().map(|_| ()),
        Chore::Mirror { zfs: true, .. } => mirror::with_zfs().map(|_| ()),
        Chore::Demo => demo::run(),
        Chore::Hoopyd { arch } => hoopyd::run(&arch),
        Chore::Dist(options) => dist::run(&options),
        Chore::Test => test::run(),
        Chore::Lint => lint::run(),
        Chore::Advisories => lint::advisories(),
        Chore::Record => record::run(),
        Chore::Book => book::run(),
        Chore::Oracle(amount) => oracle::run(&amount),
        Chore::Prove(amount) => prove::run(&amount),
        Chore::Bench { what, packages, publish, idle, inside } => {
            bench::run(what, packages, publish, Duration::from_secs(idle), inside.as_deref())
        }
        Chore::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
    }
}
