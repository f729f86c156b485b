//! `hoopy logs`.

use std::io::Write as _;

use hoopy_base::terminal::harmless;
use hoopy_ship::deploy::{Ssh, logs};

use super::host;
use crate::args::{Global, Logs};
use crate::error::{Exit, Result};
use crate::output::Stream;

pub fn run(global: &Global, own: &Logs) -> Result<Exit> {
    let host = host::find(own.host.as_deref(), None, global)?;
    let ssh = Ssh::connect(&host.name, &super::ssh())?;
    let mut out = Stream::default();
    let read = logs::read(&ssh, own.lines, own.follow, &mut |line| out.write_all(harmless(line).as_bytes()));
    if !out.has_failed() {
        read?;
    }
    out.finish()?;
    Ok(Exit::Success)
}
