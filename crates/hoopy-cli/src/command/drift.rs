//! `hoopy drift`, and what it shares with `hoopy pull`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hoopy::config::{Overrides, System};
use hoopy::diff::{Became, Difference, Side};
use hoopy::drift::{self, DriftError, Ignored, Listing};
use hoopy::ship::deploy::Ssh;

use crate::args::{Drift, Global, Machine};
use crate::error::DIFFERS;
use crate::ui::{put_coloured, put_json};

/// Larger files are told of, and neither shown nor pulled.
pub const MAX_FILE: u64 = 16 << 20;

pub fn run(global: &Global, own: &Drift) -> anyhow::Result<ExitCode> {
    let mut scene = Scene::look(global, &own.machine)?;
    let mut found = scene.drift(false)?;
    if own.patch {
        let paths = changed(&found);
        scene.fetch(&paths)?;
        found = scene.drift(true)?;
    }
    if own.json {
        put_json(&found)?;
    } else {
        if found.is_none() && !global.quiet {
            eprintln!("{} is as {} has it", scene.host, scene.expected.label);
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
pub struct Scene {
    pub host: String,
    pub system: System,
    ssh: Ssh,
    pub listing: Listing,
    pub expected: Side,
    ignored: Ignored,
}

impl Scene {
    /// Asks the machine, and finds the image that it booted.
    pub fn look(global: &Global, own: &Machine) -> anyhow::Result<Self> {
        let named = Path::new(&own.host);
        let is_system = named.join("packages").is_file();
        let here = if is_system { named } else { Path::new(".") };
        let system = super::system(own.system.as_deref().unwrap_or(here), global, Overrides::default())?;
        let host = match (is_system, &system.host) {
            (false, _) if own.host != "." => own.host.clone(),
            (_, host) => host.clone().with_context(|| {
                format!("{}: it does not say which machine it is for: set `deploy.host` in hoopy.toml, or name it", system.dir.display())
            })?,
        };
        let ssh = Ssh::connect(&host, &super::ssh())?;
        let listing = drift::list(&host, &mut |script, limit| answer(&ssh, script, limit))?;
        let image = image(own, &system, &host, &listing)?;
        let ignored = Ignored::new(&system.drift_ignore);
        Ok(Self { expected: Side::file(&image)?, host, system, ssh, listing, ignored })
    }

    /// How the machine differs.
    pub fn drift(&self, patches: bool) -> Result<Difference, DriftError> {
        drift::drift(&self.expected, &self.listing, &self.ignored, patches)
    }

    /// Fetches the contents of these files.
    pub fn fetch(&mut self, paths: &[Vec<u8>]) -> Result<(), DriftError> {
        let mut far = |script: &str, limit| answer(&self.ssh, script, limit);
        drift::contents(&self.host, &mut far, paths, MAX_FILE, &mut self.listing)
    }
}

/// The image that the machine says it booted.
fn image(own: &Machine, system: &System, host: &str, listing: &Listing) -> Result<PathBuf, DriftError> {
    if let Some(given) = &own.image {
        return Ok(given.clone());
    }
    let host = host.to_owned();
    // It names a file here: a name that leads elsewhere is none.
    let plain = |name: &&String| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    let Some(image) = listing.image.as_ref().filter(plain).cloned() else {
        return Err(DriftError::NoImage { host });
    };
    let path = system.path("images").join(format!("{image}.efi"));
    if path.is_file() { Ok(path) } else { Err(DriftError::Missing { host, image, path }) }
}

/// What the machine answers to a script.
fn answer(ssh: &Ssh, script: &str, limit: u64) -> io::Result<Vec<u8>> {
    ssh.run(script, limit, &mut |_| Ok(())).map_err(io::Error::other)
}
