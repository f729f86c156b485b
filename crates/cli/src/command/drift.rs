//! `hoopy drift`, and what it shares with `hoopy pull`.

use std::path::Path;
use std::time::Instant;

use hoopy_base::report::Silent;
use hoopy_boot::drift::Ignored;
use hoopy_build::config::System;
use hoopy_inspect::diff::{Became, Difference, Side};
use hoopy_inspect::drift::{self, DriftError, Listing};
use hoopy_ship::deploy::{MachineImages, Ssh};

use super::host::{self, Connection, Host, answer};
use crate::args::{self, Drift, Global};
use crate::error::{Exit, Result};
use crate::output::{note, print_coloured, print_json};
use crate::progress::Progress;

/// Larger files are listed, but neither shown nor pulled.
pub const MAX_FILE: u64 = 16 << 20;

pub fn run(global: &Global, own: &Drift) -> Result<Exit> {
    let mut comparison = Comparison::new(global, &own.host, own.image.as_deref(), own.json)?;
    let mut found = comparison.drift(false)?;
    if own.patch {
        let paths = changed(&found);
        comparison.fetch(&paths)?;
        found = comparison.drift(true)?;
    }
    if own.json {
        print_json(&found)?;
    } else {
        if found.is_none() && !global.quiet {
            note(format!("{}: no drift from {}", comparison.host, comparison.expected.label));
        }
        let mut out = Vec::new();
        found.files.iter().for_each(|change| super::diff::file(change, &mut out));
        print_coloured(&out)?;
    }
    Ok(if own.exit_code && !found.is_none() { Exit::Differs } else { Exit::Success })
}

/// The files of a difference that are on the machine.
pub fn changed(found: &Difference) -> Vec<Vec<u8>> {
    let there = found.files.iter().filter(|file| file.became != Became::Removed);
    there.map(|file| file.path.clone().into_bytes()).collect()
}

/// A machine, what is on it, and the image that it booted.
pub struct Comparison {
    pub host: String,
    /// The system in the working directory, if there is one.
    pub system: Option<System>,
    ssh: Ssh,
    pub listing: Listing,
    pub expected: Side,
    ignored: Ignored,
}

impl Comparison {
    /// Asks the machine, and finds the image that it booted.
    pub fn new(global: &Global, own: &args::Host, image: Option<&Path>, quiet: bool) -> Result<Self> {
        let host = host::find(own.host.as_deref(), own.esp.as_deref(), global)?;
        let ssh = Ssh::connect(&host.name, &super::ssh())?;
        let listing = drift::list(&host.name, &mut |script, limit| answer(&ssh, None, script, limit))?;
        let expected = match (image, &listing.image) {
            (Some(given), _) => Side::file(given)?,
            (None, Some(name)) if host::is_name(name) => {
                let observer = &Progress::new(global.quiet || quiet);
                host.booted(&Connection { global, ssh: &ssh, until: None, observer }, name)?
            }
            (None, Some(name)) => {
                let found = name.chars().take(80).collect();
                return Err(DriftError::ImageName { host: host.name, found }.into());
            }
            _ => return Err(DriftError::NoImage { host: host.name }.into()),
        };
        let Host { name: host, system, .. } = host;
        let ignored = Ignored::new(system.as_ref().map_or(&[], |system| &system.drift_ignore));
        Ok(Self { expected, host, system, ssh, listing, ignored })
    }

    /// How the machine differs.
    pub fn drift(&self, patches: bool) -> std::result::Result<Difference, DriftError> {
        drift::drift(&self.expected, &self.listing, &self.ignored, patches)
    }

    /// Fetches the contents of these files.
    pub fn fetch(&mut self, paths: &[Vec<u8>]) -> std::result::Result<(), DriftError> {
        let mut ask = |script: &str, limit| answer(&self.ssh, None, script, limit);
        drift::contents(&self.host, &mut ask, paths, MAX_FILE, &mut self.listing)
    }
}

/// How many paths the next reboot erases on a machine whose answers are known; gives up at `until`.
pub fn count(global: &Global, host: &Host, ssh: &Ssh, seen: &MachineImages, until: Instant) -> Result<usize> {
    if seen.machine.image.is_none() {
        return Err(DriftError::NoImage { host: host.name.clone() }.into());
    }
    let connection = Connection { global, ssh, until: Some(until), observer: &Silent };
    let expected = host.running(&connection, seen, false)?;
    let mut ask = |script: &str, limit| answer(ssh, Some(until), script, limit);
    let listing = drift::list(&host.name, &mut ask)?;
    let ignored = Ignored::new(host.system.as_ref().map_or(&[], |system| &system.drift_ignore));
    Ok(drift::drift(&expected, &listing, &ignored, false)?.files.len())
}
