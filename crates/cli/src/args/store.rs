//! Commands about the store.

use clap::{Args, Subcommand};

pub const GC: &str = "\
Example: hoopy gc --keep-days 7 --max-size 2G

Waits for running builds; new builds wait for it. Builds make or fetch again what they need of what it removed.";

/// Options of `gc`.
#[derive(Debug, Args)]
pub struct Gc {
    /// Keep what was made, fetched or used in the last N days
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub keep_days: u32,
    /// Shrink the store to SIZE: remove all unpacked layers, then what was used least recently
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Check the checksum of every file, and remove damaged ones: builds make or fetch them again
    #[command(after_help = "Example: hoopy store verify\n\nExits with 1 where a file was damaged.")]
    Verify {
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}
