//! The machine's page: the agent, its settings, and the service that starts it. Only where `hoopy.toml` has `[monitor]`.

use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_boot::monitor::{SETTINGS, Settings};
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};

use super::secrets::add_agent;
use super::{Stack, StackError};

/// The service that runs the agent: path, mode and text.
const SERVICE: (&str, u32, &str) = ("etc/init.d/hoopy-serve", 0o755, include_str!("hoopy-serve.initd"));

/// The link that starts it in the runlevel `default`, and its target.
const RUNLEVEL: (&str, &str) = ("etc/runlevels/default/hoopy-serve", "/etc/init.d/hoopy-serve");

/// The page of an image, as a layer.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// `[monitor]` of `hoopy.toml`.
    pub settings: &'a Settings,
    /// The architecture of the agent.
    pub arch: Arch,
    /// No time in the image is later: when its newest package was built.
    pub epoch: u64,
    /// Where the agent is looked for.
    pub agents: &'a [PathBuf],
}

impl Page<'_> {
    /// The layer with all of it.
    ///
    /// # Errors
    /// [`StackError`] where there is no agent, or no OpenRC.
    pub fn layer(&self, stack: &Stack, store: &Store) -> Result<Layer, StackError> {
        if !stack.has_openrc() {
            return Err(StackError::NoOpenrcForMonitor);
        }
        let mut builder = Builder::new(store, self.epoch);
        let settings = Settings { built: self.epoch, ..self.settings.clone() };
        let mut text = serde_json::to_vec_pretty(&settings).map_err(std::io::Error::from)?;
        text.push(b'\n');
        builder.add_bytes(&EntryPath::new(SETTINGS)?, 0o644, &text)?;
        add_agent(&mut builder, self.agents, self.arch)?;
        let (path, mode, text) = SERVICE;
        builder.add_bytes(&EntryPath::new(path)?, mode, text.as_bytes())?;
        let (link, target) = RUNLEVEL;
        builder.add(&EntryPath::new(link)?, Kind::Symlink(target.as_bytes().to_vec()), 0o777);
        Ok(builder.finish(store)?)
    }
}
