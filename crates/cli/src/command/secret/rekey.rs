//! `hoopy secret rekey`.

use hoopy_secrets::rekey::{Options, rekey};

use crate::args::{Global, Rekey};
use crate::command::owner::{self, Terminal};
use crate::error::Result;
use crate::output::note;

pub fn run(global: &Global, own: &Rekey) -> Result<()> {
    let mut secrets = super::open()?;
    let options = Options { all: own.all, machine: own.machine };
    let identities = owner::identities(&own.keys.identity, &secrets.dir)?;
    let done = rekey(&mut secrets, &identities, options, &Terminal)?;
    if global.quiet {
        return Ok(());
    }
    for file in &done.written {
        note(format!("encrypted {}", file.display()));
    }
    note(format!("{} encrypted anew, {} unchanged", done.written.len(), done.unchanged));
    if own.machine {
        note(
            "deploy an image with the new secrets only after `hoopy secret enroll HOST` gave the machine its new identity",
        );
    }
    if !done.written.is_empty() {
        note("what git has of the old files stays in its history: whoever could open them still can");
    }
    Ok(())
}
