//! `hoopy drift`, and what it shares with `hoopy pull`.

use std::process::ExitCode;
use std::time::Instant;

use hoopy_base::report::Silent;
use hoopy_build::config::System;
use hoopy_inspect::diff::{Became, Difference, Side};
use hoopy_inspect::drift::{self, DriftError, Ignored, Listing};
use hoopy_ship::deploy::{MachineImages, Ssh};

use super::remote::{self, Access, Remote, answer};
use crate::args::{Drift, Global, Machine};
use crate::error::DIFFERS;
use crate::ui::{Teller, put_coloured, put_json};

/// Larger files are told of, and neither shown nor pulled.
pub const MAX_FILE: u64 = 16 << 20;

pub fn run(global: &Global, own: &Drift) -> anyhow::Result<ExitCode> {
    let mut comparison = Comparison::look(global, &own.machine, own.json)?;
    let mut found = comparison.drift(false)?;
    if own.patch {
        let paths = changed(&found);
        comparison.fetch(&paths)?;
        found = comparison.drift(true)?;
    }
    if own.json {
        put_json(&found)?;
    } else {
        if found.is_none() && !global.quiet {
            eprintln!("{} is as {} has it", comparison.host, comparison.expected.label);
        }
        let mut out = Vec::new();
        found.files.iter().for_each(|change| super::diff::file(change, &mut out));
        put_coloured(&out)?;
    }
    let told = own.exit_code && !found.is_none();
    Ok(ExitCode::from(if told { DIFFERS } else { 0 }))
}

/// The files of a difference that are on the machine.
pub fn changed(found: &Difference) -> Vec<Vec<u8>> {
    let there = found.files.iter().filter(|file| file.became != Became::Removed);
    there.map(|file| file.path.clone().into_bytes()).collect()
}

/// A machine, what is on it, and what should be.
pub struct Comparison {
    pub host: String,
    /// The system that is for it; none where drift is asked of from anywhere.
    pub system: Option<System>,
    ssh: Ssh,
    pub listing: Listing,
    pub expected: Side,
    ignored: Ignored,
}

impl Comparison {
    /// Asks the machine, and finds the image that it booted.
    pub fn look(global: &Global, own: &Machine, quiet: bool) -> anyhow::Result<Self> {
        let remote = remote::find(&own.host, own.system.as_deref(), own.esp.as_deref(), global)?;
        let ssh = Ssh::connect(&remote.host, &super::ssh())?;
        let listing = drift::list(&remote.host, &mut |script, limit| answer(&ssh, None, script, limit))?;
        let expected = match (&own.image, &listing.image) {
            (Some(given), _) => Side::file(given)?,
            (None, Some(name)) if remote::is_name(name) => {
                let observer = &Teller::new(global.quiet || quiet);
                remote.booted(&Access { global, ssh: &ssh, until: None, observer }, name)?
            }
            _ => return Err(DriftError::NoImage { host: remote.host }.into()),
        };
        let Remote { host, system, .. } = remote;
        let ignored = Ignored::new(system.as_ref().map_or(&[], |system| &system.drift_ignore));
        Ok(Self { expected, host, system, ssh, listing, ignored })
    }

    /// How the machine differs.
    pub fn drift(&self, patches: bool) -> Result<Difference, DriftError> {
        drift::drift(&self.expected, &self.listing, &self.ignored, patches)
    }

    /// Fetches the contents of these files.
    pub fn fetch(&mut self, paths: &[Vec<u8>]) -> Result<(), DriftError> {
        let mut remote = |script: &str, limit| answer(&self.ssh, None, script, limit);
        drift::contents(&self.host, &mut remote, paths, MAX_FILE, &mut self.listing)
    }
}

/// How many paths the next reboot erases on a machine that was seen already; no one waits longer than `until` then.
pub fn count(
    global: &Global,
    remote: &Remote,
    ssh: &Ssh,
    seen: &MachineImages,
    until: Instant,
) -> anyhow::Result<usize> {
    if seen.machine.image.is_none() {
        return Err(DriftError::NoImage { host: remote.host.clone() }.into());
    }
    let access = Access { global, ssh, until: Some(until), observer: &Silent };
    let expected = remote.running(&access, seen, false)?;
    let mut ask = |script: &str, limit| answer(ssh, Some(until), script, limit);
    let listing = drift::list(&remote.host, &mut ask)?;
    let ignored = Ignored::new(remote.system.as_ref().map_or(&[], |system| &system.drift_ignore));
    Ok(drift::drift(&expected, &listing, &ignored, false)?.files.len())
}
