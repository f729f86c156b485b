//! A machine: which one is meant, and the image that it booted.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use hoopy_base::report::Observer;
use hoopy_build::config::{Overrides, System};
use hoopy_inspect::diff::Side;
use hoopy_ship::deploy::{self, Call, LocalPieces, MachineImages, Ssh};

use crate::args::Global;

/// So many images here are looked at for pieces that need not be fetched: the newest ones are alike.
const MAX_IMAGES: usize = 32;

/// A machine.
pub struct Remote {
    /// As ssh knows it.
    pub host: String,
    /// Where it has its EFI system partition, where that is known.
    pub esp: Option<String>,
    /// The system that is for it, as far as one is at hand.
    pub system: Option<System>,
}

/// The machine that is meant: by its name, or by a system directory whose `hoopy.toml` names it. The system is the one
/// in `dir`, or in that directory, or else in the working directory, where there is one.
pub fn find(given: &str, dir: Option<&Path>, esp: Option<&str>, global: &Global) -> anyhow::Result<Remote> {
    let named = Path::new(given);
    let is_system = |dir: &Path| dir.join("packages").is_file();
    let by_name = given != "." && !is_system(named);
    let load = |dir: &Path| super::system(dir, global, Overrides::default());
    let system = match dir.or(Some(named).filter(|_| !by_name && is_system(named))) {
        Some(dir) => Some(load(dir)?),
        None if by_name && is_system(Path::new(".")) => load(Path::new("."))
            .inspect_err(|e| {
                // A rollback must not wait until somebody has mended the system that happens to be here.
                if !global.quiet {
                    eprintln!("warning: the system in this directory is left aside: {e:#}");
                }
            })
            .ok(),
        None => None,
    };
    let own = system.as_ref().and_then(|system| system.host.clone());
    let is_own = !by_name || own.as_deref() == Some(given);
    let own_esp = system.as_ref().filter(|_| is_own).and_then(|system| system.esp.clone());
    let host = match (&system, by_name) {
        (_, true) => given.to_owned(),
        (Some(system), false) => own.with_context(|| {
            let dir = system.dir.display();
            format!(
                "{dir}: it does not say which machine it is for: set `deploy.host` in hoopy.toml, or name it"
            )
        })?,
        (None, false) => anyhow::bail!(
            "which machine? Name it, as root@nas, or say it in a system directory with `deploy.host`"
        ),
    };
    Ok(Remote { host, esp: esp.map(str::to_owned).or(own_esp), system })
}

/// How it is asked.
pub struct Access<'a> {
    /// Options of the program: where the store is.
    pub global: &'a Global,
    /// The connection.
    pub ssh: &'a Ssh,
    /// For how long anybody waits.
    pub until: Option<Instant>,
    /// Sees how it goes.
    pub observer: &'a dyn Observer,
}

impl Remote {
    /// Where the image of that name is in `images/` of the system, or would be.
    pub fn image(&self, name: &str) -> Option<PathBuf> {
        Some(self.system.as_ref().filter(|_| is_name(name))?.path("images").join(format!("{name}.efi")))
    }

    /// The image that it booted, called `name`: the one in `images/`, else one that is put together from what is at
    /// hand and what only the machine has.
    pub fn booted(&self, access: &Access<'_>, name: &str) -> anyhow::Result<Side> {
        let path = self.image(name);
        if let Some(path) = path.as_deref().filter(|path| path.is_file()) {
            return Ok(Side::file(path)?);
        }
        let seen = MachineImages::ask(access.ssh, self.esp.as_deref()).map_err(anyhow::Error::from);
        let fetched = seen.and_then(|seen| self.fetch(access, &seen, false));
        fetched.with_context(|| {
            let there =
                path.map_or_else(String::new, |path| format!(", there is no {} here", path.display()));
            format!(
                "{} runs {name}{there}, and it cannot be had from the machine: name the image with --image",
                self.host
            )
        })
    }

    /// The same of a machine that was asked already: what is called so here counts where it is that image. With its
    /// kernel, where that is wanted.
    pub fn running(&self, access: &Access<'_>, seen: &MachineImages, kernel: bool) -> anyhow::Result<Side> {
        let path = seen.machine.image.as_deref().and_then(|name| self.image(name));
        match path.filter(|path| seen.is_running(path)) {
            Some(path) => Ok(Side::file(&path)?),
            None => self.fetch(access, seen, kernel),
        }
    }

    fn fetch(&self, access: &Access<'_>, seen: &MachineImages, kernel: bool) -> anyhow::Result<Side> {
        let Access { global, ssh, until, observer } = *access;
        let store = super::store(global)?;
        let local = LocalPieces { images: self.images(), store: &store };
        // Open for as long as it is wanted, and gone from the directory when this returns.
        let dir = tempfile::tempdir_in(super::temp())?;
        let to = dir.path().join("booted.efi");
        deploy::booted(ssh, seen, &local, kernel, until, observer, &to)?;
        let mut side = Side::file(&to)?;
        let name = seen.machine.image.as_deref().unwrap_or_default();
        side.label = format!("{name} of {}", self.host);
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

/// Whether a machine may say that it runs an image of this name: it names a file here, and must not lead elsewhere.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(|c: char| c == '/' || c.is_control())
}

/// What the machine answers to a script, for as long as anybody waits.
pub fn answer(ssh: &Ssh, until: Option<Instant>, script: &str, limit: u64) -> io::Result<Vec<u8>> {
    let call = Call { script, limit, patience: ssh.limits().search(), until };
    ssh.run(&call, &mut |_| Ok(())).map_err(io::Error::other)
}
