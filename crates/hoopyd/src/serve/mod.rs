//! `hoopyd serve`: the machine's page.
//!
//! ```text
//! collector (every 10 s) ─▶ Status ─▶ rendered once: page, status.json, metrics ─▶ the HTTP loop hands them out
//!                                 └─▶ alerts (its own thread: programs may take their time)
//! ```

pub mod alerts;
pub mod ask;
mod attempts;
mod certificate;
mod chart;
mod collector;
mod listen;
mod metrics;
mod page;
mod password;
mod rings;
mod site;
mod unlocking;
mod validity;
mod watched;

use std::path::Path;

use hoopy_boot::monitor::{SETTINGS, Settings, VERSION};

use crate::error::AgentError;
use crate::files::read_json;
use crate::http::server;

pub use collector::{Collector, Shared};
pub use listen::all as listen;
pub use site::MachineSite;

/// Threads need little; what is not used is not there.
const STACK: usize = 256 << 10;

/// The settings that the image brings.
///
/// # Errors
/// [`AgentError`].
pub fn settings(root: &Path) -> Result<Settings, AgentError> {
    let path = root.join(SETTINGS);
    let settings: Settings = read_json(&path)?;
    if settings.version != VERSION {
        let reason = format!("expected version {VERSION}, found {}", settings.version);
        return Err(AgentError::Map { path, reason });
    }
    Ok(settings)
}

/// Serves until it is ended.
///
/// # Errors
/// [`AgentError`] where it cannot begin.
pub fn serve(root: &Path) -> Result<(), AgentError> {
    let settings = settings(root)?;
    let collector = Collector::new(root, settings.clone());
    let endpoints = listen::all(&settings.listen, &collector.certificate(), &collector.unheard());
    let shared = Shared::new(collector);
    let begin = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        builder.spawn(work).map(|_| ()).map_err(AgentError::io("start a thread for", name))
    };
    let collected = shared.clone();
    begin("collector", Box::new(move || collected.collect_for_ever()))?;
    let (seen, at) = (shared.clone(), root.to_owned());
    begin("alerts", Box::new(move || alerts::watch(&at, &seen)))?;
    let site = MachineSite::new(root, &settings, shared);
    server::serve(endpoints, &site).map_err(AgentError::io("wait for clients at", "the network"))
}
