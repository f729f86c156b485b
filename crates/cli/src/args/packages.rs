//! Commands about packages.

use clap::Args;
use hoopy_build::config::branch::BranchRequest;

use super::System;

pub const ADD: &str = "\
Example: hoopy -C nas add dropbear 'e2fsprogs>1.47'

Adds a line to `packages` for each, writes the lock and shows what changes in it. Locked packages stay at their version. \
A package that is listed already with another constraint gets the new one. Nothing is changed if the packages cannot \
be installed together.";

pub const REMOVE: &str = "\
Example: hoopy -C nas remove dropbear

Removes the package from `packages`, writes the lock and shows what changes in it. Comments on lines of their own stay.";

pub const UPDATE: &str = "\
Example: hoopy -C nas update
         hoopy -C nas update dropbear --dry-run
         hoopy -C nas update --branch 3.24

Packages come from the branch of Alpine that hoopy.toml names, or else from that of the lock: a new release changes \
nothing by itself. --branch moves to another one. It writes the lock, and hoopy.toml if that names a branch; it writes \
neither if a package of `packages` does not exist there.";

/// Options of `add` and `remove`.
#[derive(Debug, Args)]
pub struct Change {
    /// Packages, as they stand in `packages`: dropbear, 'musl>1.2', curl@edge
    #[arg(required = true, value_name = "PKG")]
    pub packages: Vec<String>,
    /// Show what would change, and write nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Print the changes as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `lock`.
#[derive(Debug, Args)]
pub struct Lock {
    #[command(flatten)]
    pub system: System,
    /// Print the changes as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// Update only these packages, and images of containers as Image= names them [default: all]
    #[arg(value_name = "PKG")]
    pub packages: Vec<String>,
    /// Move to another branch of Alpine: 3.24, edge or latest-stable
    #[arg(long, value_name = "BRANCH", conflicts_with_all = ["packages", "allow_downgrade"])]
    pub branch: Option<BranchRequest>,
    /// Show what would change, and write nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Accept a mirror whose indexes or packages are older than those of the lock
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Print the changes as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `vendor`.
#[derive(Debug, Args)]
pub struct Vendor {
    #[command(flatten)]
    pub system: System,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `why` and `info`.
#[derive(Debug, Args)]
pub struct About {
    /// Package, or what one provides: musl, cmd:ls, so:libz.so.1
    #[arg(value_name = "PKG")]
    pub package: String,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `tree`.
#[derive(Debug, Args)]
pub struct Tree {
    #[command(flatten)]
    pub system: System,
    /// Show N levels of dependencies
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Print packages and dependencies as JSON
    #[arg(long, conflicts_with = "depth")]
    pub json: bool,
}

/// Options of `search`.
#[derive(Debug, Args)]
pub struct Search {
    /// Part of a name, description, command or library; with * or ?, a pattern for a whole name
    #[arg(value_name = "TEXT")]
    pub pattern: String,
    /// Print the packages as JSON
    #[arg(long)]
    pub json: bool,
}
