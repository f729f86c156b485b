//! `hoopy secret enroll`: gives a machine its identity over ssh.

use hoopy_boot::secrets::AGENT;
use hoopy_secrets::{MachineIdentity, Plaintext};
use hoopy_ship::deploy::{Call, Ssh};

use crate::args::{Enroll, Global};
use crate::command::{host, owner};
use crate::error::{CommandError, Result};
use crate::output::note;

/// The most that the agent says.
const MAX_ANSWER: u64 = 64 << 10;

/// What a script says last where it succeeded: `ssh` passes no exit status on.
const DONE: &str = "hoopy-done\n";

pub fn run(global: &Global, own: &Enroll) -> Result<()> {
    let secrets = super::open()?;
    let host = host::find(own.host.as_deref(), None, global)?;
    let identity = secrets.machine_identity(&owner::identities(&own.keys.identity, &secrets.dir)?)?;
    let file = MachineIdentity::file(&[identity]);
    let ssh = Ssh::connect(&host.name, &crate::command::ssh())?;
    let forget = if own.forget { " --forget" } else { "" };
    // Whatever failed at boot for want of it is tried again.
    let more = format!(
        "unshare -m {AGENT} secrets && if [ -x /etc/init.d/hoopy-unlock ]; then unshare -m {AGENT} unlock; fi && rc-service -q hoopy-secrets start"
    );
    tell(&ssh, &format!("unshare -m {AGENT} enroll{forget} && {more}"), &file)?;
    if !global.quiet {
        note(format!("{} has its identity, and its secrets are open", host.name));
    }
    Ok(())
}

/// Runs a command of the agent with this on its standard input.
pub fn tell(ssh: &Ssh, command: &str, input: &Plaintext) -> Result<()> {
    let script = format!(
        "if [ ! -x {AGENT} ]; then echo 'its image has no agent: it was built without secrets/'; exit; fi\n\
         {{ {command}; }} 2>&1 && echo hoopy-done\n"
    );
    let patience = ssh.limits().search();
    let call = Call { script: &script, limit: MAX_ANSWER, patience, until: None };
    let said = ssh.run(&call, &mut |pipe| pipe.write_all(input.as_bytes()))?;
    let said = String::from_utf8_lossy(&said);
    match said.ends_with(DONE) {
        true => Ok(()),
        false => Err(CommandError::failed(format!("{}: {}", ssh.host(), said.trim()))),
    }
}
