//! `hoopy man`.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;

use crate::args::{Args, Man};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::print_bytes;

pub fn run(own: &Man) -> Result<Exit> {
    if let Some(dir) = &own.output {
        return write_all(dir);
    }
    let mut hoopy = Args::command();
    hoopy.build();
    let command = match &own.command {
        None => hoopy,
        Some(name) => hoopy.find_subcommand(name).cloned().ok_or_else(|| {
            CommandError::usage(format!("hoopy has no command {name}"))
                .hint("`hoopy --help` lists the commands")
        })?,
    };
    print_bytes(&page(command)?)?;
    Ok(Exit::Success)
}

fn write_all(dir: &Path) -> Result<Exit> {
    fs::create_dir_all(dir).context(format!("cannot create {}", dir.display()))?;
    let mut hoopy = Args::command();
    hoopy.build();
    let commands = hoopy.get_subcommands().filter(|command| command.get_name() != "help").cloned();
    for command in commands.chain([hoopy.clone()]) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let file = dir.join(format!("{name}.1"));
        hoopy_base::atomic::replace_file(&file, &page(command)?, hoopy_base::atomic::Readers::Umask)
            .context(format!("cannot write {}", file.display()))?;
    }
    Ok(Exit::Success)
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).context("cannot make the man page")?;
    Ok(text)
}
