//! `hoopy drift`, and what it shares with `hoopy pull`.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;
use hoopy::config::{Overrides, System};
use hoopy::diff::{Became, Difference, Side};
use hoopy::drift::{self, DriftError, Ignored, Listing};

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
        let listing = drift::list(&host, &mut |script, limit| over_ssh(&host, script, limit))?;
        let image = image(own, &system, &host, &listing)?;
        let ignored = Ignored::new(&system.drift_ignore);
        Ok(Self { expected: Side::file(&image)?, host, system, listing, ignored })
    }

    /// How the machine differs.
    pub fn drift(&self, patches: bool) -> Result<Difference, DriftError> {
        drift::drift(&self.expected, &self.listing, &self.ignored, patches)
    }

    /// Fetches the contents of these files.
    pub fn fetch(&mut self, paths: &[Vec<u8>]) -> Result<(), DriftError> {
        let host = self.host.clone();
        let mut far = |script: &str, limit| over_ssh(&host, script, limit);
        drift::contents(&host, &mut far, paths, MAX_FILE, &mut self.listing)
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

/// Runs a script on the machine with the user's own ssh, whose words go to the terminal.
fn over_ssh(host: &str, script: &str, limit: u64) -> io::Result<Vec<u8>> {
    // ssh(1) takes a leading dash for an option.
    if host.starts_with('-') || host.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name of a machine"));
    }
    let mut command = Command::new("ssh");
    command.args([
        "-T",
        "-x",
        "-a",
        "-o",
        "ClearAllForwardings=yes",
        "-o",
        "RemoteCommand=none",
        "--",
        host,
        "exec sh -s",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("ssh has no pipe"));
    };
    let mut answer = Vec::new();
    let read = std::thread::scope(|scope| {
        // Beside the reading, or both would wait on a full pipe.
        scope.spawn(move || {
            let _ = input.write_all(script.as_bytes());
        });
        output.take(limit).read_to_end(&mut answer)
    });
    if answer.len() as u64 == limit {
        // It has more to say, and would wait for a reader.
        let _ = child.kill();
    }
    let status = child.wait()?;
    read?;
    if answer.is_empty() && !status.success() {
        return Err(io::Error::other(format!("ssh failed: {status}")));
    }
    Ok(answer)
}
