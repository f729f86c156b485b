//! `hoopy unlock`.

use hoopy_boot::secrets::AGENT;
use hoopy_secrets::MachineIdentity;
use hoopy_ship::deploy::Ssh;

use super::secret::{self, tell};
use super::{host, open, owner};
use crate::args::{Global, Unlock};
use crate::error::{CommandError, Exit, Result};
use crate::output::note;

pub fn run(global: &Global, own: &Unlock) -> Result<Exit> {
    if own.passkey {
        return open::show(global, own.host.as_deref(), &open::UNLOCKING);
    }
    owner::keep_to_itself();
    let secrets = secret::open()?;
    let host = host::find(own.host.as_deref(), None, global)?;
    let identities = owner::identities(&own.keys.identity, &secrets.dir)?;
    // Decrypted before the machine is asked: a passphrase is typed, and then the waiting begins.
    let (command, input) = match &own.name {
        None => {
            let identity = secrets.machine_identity(&identities)?;
            (format!("{AGENT} unlock --identity"), MachineIdentity::file(&[identity]))
        }
        Some(name) => {
            let path = format!("unlock/{name}").parse::<hoopy_secrets::SecretPath>();
            let path = path.map_err(|error| CommandError::usage(error.to_string()))?;
            let name = hoopy_base::shell::quoted(name);
            (format!("{AGENT} unlock {name} --key"), secrets.open(&path, &identities)?)
        }
    };
    let ssh = Ssh::connect(&host.name, &super::ssh())?;
    tell(&ssh, &command, &input)?;
    if !global.quiet {
        note(match &own.name {
            None => format!("{} is unlocked", host.name),
            Some(name) => format!("{name} of {} is unlocked", host.name),
        });
    }
    Ok(Exit::Success)
}
