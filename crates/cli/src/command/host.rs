//! The machine that a command is about, and the image that it booted.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hoopy_base::report::Observer;
use hoopy_build::config::{Overrides, System};
use hoopy_inspect::diff::Side;
use hoopy_ship::deploy::{self, Call, LocalPieces, MachineImages, Ssh};

use crate::args::Global;
use crate::error::{CommandError, Context as _, Result};
use crate::output::note;

/// How many images in `images/` are read for pieces that need not be fetched: the newest ones are alike.
const MAX_IMAGES: usize = 32;

/// A machine.
pub struct Host {
    /// As ssh knows it.
    pub name: String,
    /// Where it has its EFI system partition, if that is known.
    pub esp: Option<String>,
    /// The system in the working directory, if there is one.
    pub system: Option<System>,
}

/// The machine called `given`, or that of `deploy.host` in the system's hoopy.toml.
pub fn find(given: Option<&str>, esp: Option<&str>, global: &Global) -> Result<Host> {
    let here = Path::new(super::HERE);
    let load = || super::system(here, global, Overrides::default());
    let system = match given {
        None => Some(load()?),
        Some(_) if !here.join("packages").is_file() => None,
        // A rollback must not wait until the system that happens to be here is repaired.
        Some(_) => load()
            .inspect_err(|e| {
                if !global.quiet {
                    note(format!("warning: ignoring the system in this directory: {e}"));
                }
            })
            .ok(),
    };
    let own = system.as_ref().and_then(|system| system.host.clone());
    let is_own = given.is_none() || own.as_deref() == given;
    let own_esp = system.as_ref().filter(|_| is_own).and_then(|system| system.esp.clone());
    let name = given.map(str::to_owned).or(own).ok_or_else(unnamed)?;
    Ok(Host { name, esp: esp.map(str::to_owned).or(own_esp), system })
}

/// No machine was named.
pub fn unnamed() -> CommandError {
    CommandError::usage("no machine named: expected HOST, or `deploy.host` in hoopy.toml")
        .hint("name the machine as ssh does: nas, or root@10.0.0.2")
}

/// A connection, and what is needed to read the image that the machine booted.
pub struct Connection<'a> {
    pub global: &'a Global,
    pub ssh: &'a Ssh,
    /// When to give up.
    pub until: Option<Instant>,
    pub observer: &'a dyn Observer,
}

impl Host {
    /// Where the image of that name is in `images/` of the system, or would be.
    pub fn image(&self, name: &str) -> Option<PathBuf> {
        Some(self.system.as_ref().filter(|_| is_name(name))?.path("images").join(format!("{name}.efi")))
    }

    /// The image called `name` that it booted: the one in `images/`, or one put together from what is on this computer
    /// and what only the machine has.
    pub fn booted(&self, connection: &Connection<'_>, name: &str) -> Result<Side> {
        let path = self.image(name);
        if let Some(path) = path.as_deref().filter(|path| path.is_file()) {
            return Ok(Side::file(path)?);
        }
        let seen = MachineImages::ask(connection.ssh, self.esp.as_deref()).map_err(CommandError::from);
        let fetched = seen.and_then(|seen| self.fetch(connection, &seen, false));
        fetched.map_err(|e| {
            let missing =
                path.map_or_else(String::new, |path| format!(", {} does not exist", path.display()));
            let doing =
                format!("{} runs {name}{missing}, and it cannot be fetched from the machine", self.name);
            e.context(doing).hint("name the image that it booted with --image FILE")
        })
    }

    /// The same of a machine that was asked already: the image of that name in `images/` counts where it is the very
    /// one that runs. With its kernel, where that is needed.
    pub fn running(&self, connection: &Connection<'_>, seen: &MachineImages, kernel: bool) -> Result<Side> {
        let path = seen.machine.image.as_deref().and_then(|name| self.image(name));
        match path.filter(|path| seen.is_running(path)) {
            Some(path) => Ok(Side::file(&path)?),
            None => self.fetch(connection, seen, kernel),
        }
    }

    fn fetch(&self, connection: &Connection<'_>, seen: &MachineImages, kernel: bool) -> Result<Side> {
        let Connection { global, ssh, until, observer } = *connection;
        let store = super::store(global)?;
        let local = LocalPieces { images: self.images(), store: &store };
        // The file stays open for as long as the side is used, and leaves the directory when this returns.
        let dir = tempfile::tempdir_in(super::temp()).context("cannot create a temporary directory")?;
        let to = dir.path().join("booted.efi");
        deploy::booted(ssh, seen, &local, kernel, until, observer, &to)?;
        let mut side = Side::file(&to)?;
        let name = seen.machine.image.as_deref().unwrap_or_default();
        side.label = format!("{name} of {}", self.name);
        Ok(side)
    }

    /// The images in `images/`, the newest first.
    fn images(&self) -> Vec<PathBuf> {
        let Some(system) = &self.system else { return Vec::new() };
        let entries = std::fs::read_dir(system.path("images")).into_iter().flatten().flatten();
        let mut images: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "efi"))
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        images.sort();
        images.into_iter().rev().take(MAX_IMAGES).map(|(_, path)| path).collect()
    }
}

/// Whether an image can have this name: the machine says it, and it names a file here, which must not lead elsewhere.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(|c: char| c == '/' || c.is_control())
}

/// What the machine answers to a script, until it is time to give up.
pub fn answer(ssh: &Ssh, until: Option<Instant>, script: &str, limit: u64) -> io::Result<Vec<u8>> {
    let call = Call { script, limit, patience: ssh.limits().search(), until };
    ssh.run(&call, &mut |_| Ok(())).map_err(io::Error::other)
}
