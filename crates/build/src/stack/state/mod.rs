//! State as a layer: the map of what outlives a boot, the service that binds it, and which other services wait for that.

mod stateful_packages;

pub use stateful_packages::{STATEFUL_PACKAGES, StatefulPackage};

use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_boot::state::{Backup, Directory, MAP, Map, VERSION};
use hoopy_disk::fstab;
use hoopy_secrets::Secrets;
use hoopy_secrets::directory::SecretsError;
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind, overlap};

use super::secrets::{STATE, add_agent, filesystem_for};
use super::{Stack, StackError};
use crate::config::System;

/// Services, their modes and texts.
const FILES: [(&str, u32, &str); 2] = [
    ("etc/init.d/hoopy-state", 0o755, include_str!("hoopy-state.initd")),
    ("etc/hoopy/health.d/hoopy-state", 0o755, include_str!("health.sh")),
];

/// Where OpenRC is told what other services wait for (openrc(8), `rc.conf.d`).
const NEEDS: &str = "etc/rc.conf.d/hoopy-state.conf";

/// State that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateLayerError {
    /// No filesystem to keep the state on, or several.
    #[error("state: {0}")]
    Filesystem(String),
    /// A path that overlaps another one after links are followed, or that is not a directory in memory.
    #[error("state:{line}: /{path}: {message}")]
    Path {
        /// The line.
        line: usize,
        /// The directory.
        path: EntryPath,
        /// What is wrong.
        message: String,
    },
    /// Backups are encrypted to the owner, who is not known.
    #[error("[backup]: expected secrets/recipients, for whom backups are encrypted, found none")]
    NoRecipients,
    /// `secrets/` cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The image has no OpenRC to run the service.
    #[error("`state` needs OpenRC, whose service binds it, and no package brings /sbin/openrc-run")]
    NoOpenrc,
}

/// The inputs of the layer.
pub struct StateInputs<'a> {
    /// The system directory.
    pub system: &'a System,
    /// The architecture of the agent.
    pub arch: Arch,
    /// No time in the image is later.
    pub epoch: u64,
    /// Where the agent is looked for.
    pub agents: &'a [PathBuf],
}

/// Makes the layer that goes over `stack`: the map, the services and the agent.
///
/// # Errors
/// [`StackError`].
pub fn layer(inputs: &StateInputs<'_>, stack: &Stack, store: &Store) -> Result<Layer, StackError> {
    if !stack.has_openrc() {
        return Err(StateLayerError::NoOpenrc.into());
    }
    let system = inputs.system;
    let mut builder = Builder::new(store, inputs.epoch);
    for (path, mode, text) in FILES {
        builder.add_bytes(&EntryPath::new(path)?, mode, text.as_bytes())?;
    }
    let link = EntryPath::new("etc/runlevels/boot/hoopy-state")?;
    builder.add(&link, Kind::Symlink(b"/etc/init.d/hoopy-state".to_vec()), 0o777);
    let needs = needs(system, stack);
    if !needs.is_empty() {
        builder.add_bytes(&EntryPath::new(NEEDS)?, 0o644, needs.as_bytes())?;
    }
    let table = stack.read(&EntryPath::new("etc/fstab")?, store)?.unwrap_or_default();
    let on = filesystem_for(&STATE, &fstab::parse(&table), system.state.on.as_deref());
    let on = on.map_err(StateLayerError::Filesystem)?.mount_point;
    let (name, directories) = (system.name.clone(), directories(system, stack, &on)?);
    let map = Map { version: VERSION, name, on, directories, backup: backup(system)? };
    let mut text = serde_json::to_vec_pretty(&map).map_err(std::io::Error::from)?;
    text.push(b'\n');
    builder.add_bytes(&EntryPath::new(MAP)?, 0o644, &text)?;
    add_agent(&mut builder, inputs.agents, inputs.arch)?;
    Ok(builder.finish(store)?)
}

/// The directories to keep. Links in the paths are followed here, so that none is followed on the machine.
fn directories(system: &System, stack: &Stack, on: &str) -> Result<Vec<Directory>, StateLayerError> {
    let mut found: Vec<Directory> = Vec::new();
    for line in &system.state.lines {
        let bad =
            |message: String| StateLayerError::Path { line: line.line, path: line.path.clone(), message };
        let path = stack.tree.through_links(&line.path).unwrap_or_else(|| line.path.clone());
        if stack.tree.follow(&path).is_some_and(|entry| !entry.is_dir()) {
            return Err(bad("expected a directory, found a file of the image".to_owned()));
        }
        let path = path.to_string();
        let overlap = |other: &str| overlap(path.as_bytes(), other.as_bytes());
        if overlap(on.trim_matches('/')) {
            return Err(bad(format!(
                "expected a directory in memory, found one on or around {on}, which outlives a boot already"
            )));
        }
        if let Some(other) = found.iter().find(|other| overlap(&other.path)) {
            return Err(bad(format!("it is /{path}, which overlaps /{}", other.path)));
        }
        found.push(Directory { path, optional: line.optional });
    }
    Ok(found)
}

fn backup(system: &System) -> Result<Option<Backup>, StateLayerError> {
    let Some(settings) = &system.state.backup else { return Ok(None) };
    let secrets = Secrets::read(&system.dir)?.ok_or(StateLayerError::NoRecipients)?;
    let recipients = secrets.recipients.iter().map(|recipient| format!("{}\n", recipient.as_str())).collect();
    Ok(Some(Backup { to: settings.to.clone(), keep: settings.keep, recipients }))
}

/// The lines that let services start only if the state that they are known to keep is there.
fn needs(system: &System, stack: &Stack) -> String {
    let required = |directory: &str| {
        system.state.lines.iter().any(|line| !line.optional && line.path.as_bytes() == directory.as_bytes())
    };
    let there = |service: &str| {
        EntryPath::new(format!("etc/init.d/{service}")).is_ok_and(|path| stack.tree.follow(&path).is_some())
    };
    let services = STATEFUL_PACKAGES.iter().filter(|one| one.waits && required(one.directory));
    let mut services: Vec<&str> = services.flat_map(|known| known.services.iter().copied()).collect();
    services.sort_unstable();
    services.dedup();
    let line = |service: &str| {
        let name: String = service.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        format!("rc_{name}_need=\"hoopy-state\"\n")
    };
    let lines: String = services.into_iter().filter(|service| there(service)).map(line).collect();
    if lines.is_empty() {
        return lines;
    }
    format!("# Made by hoopy: these services keep state, and do not start without it.\n{lines}")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn every_script_is_one() -> std::io::Result<()> {
        for (path, _, text) in FILES {
            let checked = Command::new("sh").args(["-n", "-c", text]).output()?;
            assert!(checked.status.success(), "{path}: {}", String::from_utf8_lossy(&checked.stderr));
        }
        Ok(())
    }
}
