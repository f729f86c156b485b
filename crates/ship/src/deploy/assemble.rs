//! Has the machine put a file together on its partition, and change names there.

use super::error::DeployError;
use super::machine::Machine;
use super::place::Steps;
use super::remote::{self, script};
use super::ssh::{Call, Feed, Ssh};

const ASSEMBLE: &str = include_str!("remote/assemble.sh");
const PAIR: &str = include_str!("remote/pair.sh");
/// What the machine says while it works has no more bytes.
const MAX_SAID: u64 = 64 << 10;

/// A machine that says it has to copy more than this is not waited for any longer than for this.
const MAX_COPIED: u64 = 1 << 30;

/// A file that the machine puts together. Without one, all of this is empty.
#[derive(Default)]
pub(super) struct NewFile {
    /// In bytes.
    pub size: u64,
    /// Of all of it.
    pub sha256: String,
    /// Where its pieces come from, as `assemble.sh` wants it.
    pub plan: String,
    /// The image that the machine starts next; empty where that stays as it is.
    pub starts: String,
}

/// Has the machine put a file together, of which `feed` sends so many bytes, and change names; what it says.
pub(super) fn assemble(
    ssh: &Ssh,
    machine: &Machine,
    steps: &Steps,
    file: &NewFile,
    sent: u64,
    feed: &mut Feed<'_>,
) -> Result<String, DeployError> {
    let variables = [
        ("GIVEN", ""),
        ("ESP", machine.esp.as_str()),
        ("PLAN", file.plan.as_str()),
        ("SENT", &sent.to_string()),
        ("PART", steps.part.as_deref().unwrap_or_default()),
        ("SIZE", &file.size.to_string()),
        ("SHA256", &file.sha256),
        ("SLOT", steps.slot.as_ref().map_or("", |new| new.slot.directory())),
        ("PARTS", steps.slot.as_ref().map_or("", |new| new.parts.as_str())),
        ("FIRST", &steps.first.join("\n")),
        ("STEPS", &steps.lines()),
        ("STARTS", &file.starts),
    ];
    let script = match machine.pair {
        Some(_) => remote::pair_script(&variables, &remote::without_comments(&format!("{PAIR}{ASSEMBLE}"))),
        None => script(&variables, &remote::without_comments(ASSEMBLE)),
    };
    // Written, read back and digested; the one before is copied and compared.
    // What the machine says of its files is not to be trusted.
    let copied = machine.files.iter().map(|file| file.size).max().unwrap_or(0).min(MAX_COPIED);
    let patience = ssh.limits().medium(3 * (file.size + copied));
    let call = Call { script: &script, limit: MAX_SAID, patience, until: None };
    let said = ssh.run(&call, feed)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}
