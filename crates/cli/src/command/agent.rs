//! Asking the agent of a machine.

use hoopy_base::terminal::harmless_line;
use hoopy_boot::monitor::SETTINGS;
use hoopy_boot::secrets::AGENT;
use hoopy_boot::status::{Status, VERSION};
use hoopy_ship::deploy::Ssh;

use crate::error::Result;

/// The largest status that is read: none is as long.
const MAX_ANSWER: u64 = 4 << 20;

/// What stands in front of an answer: a login shell may say something first.
const MARK: &str = "hoopy-status\n";

/// What the machine says of itself.
pub enum Answer {
    /// This.
    Status(Box<Status>),
    /// Its image has no page.
    NoAgent,
    /// It could not say, and why.
    Unknown(String),
}

/// What the machine's page shows. That it has none, or cannot tell, is no error: much else is known of it.
pub fn status(ssh: &Ssh) -> Result<Answer> {
    let script = format!(
        "printf {}; [ ! -x {AGENT} ] || [ ! -r /{SETTINGS} ] || {AGENT} status --json 2>&1\n",
        MARK.replace('\n', "\\\\n")
    );
    let said = ssh.ask(&script, MAX_ANSWER)?;
    let said = String::from_utf8_lossy(&said);
    let Some((_, said)) = said.split_once(MARK) else {
        return Ok(Answer::Unknown("unexpected response".to_owned()));
    };
    if said.trim().is_empty() {
        return Ok(Answer::NoAgent);
    }
    Ok(match serde_json::from_str::<Status>(said) {
        Ok(status) if status.version == VERSION => Answer::Status(Box::new(status)),
        Ok(status) => Answer::Unknown(format!("expected version {VERSION}, found {}", status.version)),
        Err(_) => Answer::Unknown(harmless_line(said.lines().next().unwrap_or_default())),
    })
}
