//! `hoopy restore`, and a backup on the disk of a machine that has not booted yet.

use std::io;
use std::path::Path;

use hoopy_backup::Contents;
use hoopy_base::count::counted;
use hoopy_base::terminal::harmless;
use hoopy_boot::secrets::AGENT;
use hoopy_build::config::System;
use hoopy_build::stack::secrets::{STATE, filesystem_for};
use hoopy_disk::fstab;
use hoopy_disk::populate;
use hoopy_secrets::directory::NAME;
use hoopy_ship::deploy::{Call, Ssh};
use hoopy_ship::disk::{DiskRestore, Lasting};

use super::backup;
use super::{host, owner};
use crate::args::{Global, Restore};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::note;

/// The most that the agent says.
const MAX_ANSWER: u64 = 64 << 10;

/// What the script says last where it succeeded.
const DONE: &str = "hoopy-done\n";

pub fn run(global: &Global, own: &Restore) -> Result<Exit> {
    owner::keep_to_itself();
    if own.host.is_none() && !own.file.exists() && !own.file.to_string_lossy().contains('/') {
        // `hoopy restore HOST` without a file.
        let message = format!("cannot open {}: there is no such file", own.file.display());
        let hint = "the one argument is the FILE: hoopy restore HOST FILE";
        return Err(CommandError::usage(message).hint(hint));
    }
    let identities = owner::identities(&own.keys.identity, &backup::secrets_dir())?;
    // All of it before the machine is asked: a wrong key or a damaged file changes nothing there.
    let contents = backup::verified(&own.file, &identities)?;
    let host = host::find(own.host.as_deref(), None, global)?;
    let ssh = Ssh::connect(&host.name, &super::ssh())?;
    let script = format!(
        "if [ ! -x {AGENT} ]; then echo 'no hoopyd: its image was built without `state`'; exit; fi\n\
         {AGENT} restore 2>&1 && echo hoopy-done\n"
    );
    let patience = ssh.limits().medium(own.file.metadata().map_or(0, |meta| meta.len()));
    let (mut reader, mut writer) = io::pipe().context("cannot make a pipe")?;
    let said = std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let call = Call { script: &script, limit: MAX_ANSWER, patience, until: None };
            ssh.run(&call, &mut |pipe| io::copy(&mut reader, pipe).map(|_| ()))
        });
        // A machine that takes no more says why.
        let copied = backup::copy(&own.file, &identities, &mut writer);
        drop(writer);
        let said = sent.join().map_err(|_| CommandError::failed("the connection ended early"))??;
        if said.ends_with(DONE.as_bytes()) { copied.map(|()| said) } else { Ok(said) }
    })?;
    let said = String::from_utf8_lossy(&said).into_owned();
    if !said.ends_with(DONE) {
        return Err(CommandError::failed(format!("{}: {}", ssh.host(), harmless(said.trim()))));
    }
    if !global.quiet {
        let Contents { manifest, files, .. } = &contents;
        note(format!(
            "{} has the backup of {} ({}), and restores it at its next boot: ssh {} reboot",
            host.name,
            manifest.name,
            counted(*files, "file"),
            host.name
        ));
    }
    Ok(Exit::Success)
}

/// Where the state of a system is kept, as its `fstab` says.
pub fn filesystem(system: &System, table: &[u8]) -> Result<hoopy_boot::secrets::Device> {
    if system.state.lines.is_empty() {
        return Err(CommandError::system("this system keeps no state: it has no file `state`")
            .hint("list what outlives a boot in the file `state`, one directory per line"));
    }
    let device = filesystem_for(&STATE, &fstab::parse(table), system.state.on.as_deref());
    device.map_err(|reason| CommandError::system(format!("state: {reason}")))
}

/// The backup for a new disk, where one of its partitions keeps the state.
pub fn on_disk(
    system: &System,
    table: &[u8],
    lasting: &Lasting,
    file: &Path,
    temp: &Path,
) -> Result<DiskRestore> {
    let device = filesystem(system, table)?;
    let (mount_point, kind) = (device.mount_point, device.filesystem);
    if !lasting.mounts.iter().any(|mount| mount.mount_point == mount_point) {
        return Err(CommandError::usage(format!("this disk gets no {mount_point}, which keeps the state"))
            .hint(format!("add --persist {mount_point}")));
    }
    if !populate::is_possible(&kind) {
        return Err(CommandError::failed(format!(
            "hoopy cannot put a backup into a new {kind} filesystem: expected ext2, ext3 or ext4"
        ))
        .hint("boot the new disk, and give it the backup with `hoopy restore HOST FILE`"));
    }
    let (file, contents) = backup::in_the_clear(file, &owner::usual_identities(&system.path(NAME))?, temp)?;
    if contents.manifest.name != system.name {
        note(format!(
            "warning: this is a backup of {}, and the disk is for {}",
            contents.manifest.name, system.name
        ));
    }
    Ok(DiskRestore { mount_point, file })
}
