//! `hoopy store`.

use std::process::ExitCode;

use hoopy_base::size;

use crate::args::{Global, StoreCommand};
use crate::error::FAILED;
use crate::ui::put_json;

pub fn run(global: &Global, command: &StoreCommand) -> anyhow::Result<ExitCode> {
    let StoreCommand::Verify { json } = command;
    let dir = super::store_dir(global)?;
    let waiting = || eprintln!("waiting for the builds that use {}", dir.display());
    let verified = hoopy_store::verify(&dir, &waiting)?;
    // Unpacked layers have no digest that could be checked; the next script unpacks them again.
    let cleared = super::sandbox(&dir).map(|sandbox| sandbox.clear(&[])).transpose()?.flatten();
    if *json {
        put_json(&verified)?;
    } else {
        for path in &verified.removed {
            println!("damaged, and removed: {}", path.display());
        }
        if !global.quiet {
            println!("checked   {} ({} files)", size::show(verified.bytes), verified.checked);
            println!("damaged   {}", verified.removed.len());
            if let Some((layers, bytes)) = cleared.filter(|(layers, _)| *layers > 0) {
                println!("unpacked  {layers} layers ({}), removed: they have no digest", size::show(bytes));
            }
        }
    }
    Ok(if verified.removed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
