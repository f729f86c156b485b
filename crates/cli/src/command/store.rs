//! `hoopy store`.

use hoopy_base::size;

use crate::args::{Global, StoreCommand};
use crate::error::{Exit, Result};
use crate::output::{note, print, print_json};

pub fn run(global: &Global, command: &StoreCommand) -> Result<Exit> {
    let StoreCommand::Verify { json } = command;
    let dir = super::store_dir(global)?;
    let waiting = || note(format!("waiting for builds that use {}", dir.display()));
    let verified = hoopy_store::verify(&dir, &waiting)?;
    // Unpacked layers have no digest that could be checked; the next script unpacks them again.
    let cleared = super::sandbox(&dir).map(|sandbox| sandbox.clear(&[])).transpose()?.flatten();
    if *json {
        print_json(&verified)?;
    } else {
        for path in &verified.removed {
            print(format!("damaged, and removed: {}\n", path.display()))?;
        }
        if !global.quiet {
            let (bytes, files) = (size::show(verified.bytes), verified.checked);
            print(format!("checked   {bytes} ({files} files)\ndamaged   {}\n", verified.removed.len()))?;
            if let Some((layers, bytes)) = cleared.filter(|(layers, _)| *layers > 0) {
                let bytes = size::show(bytes);
                print(format!("unpacked  {layers} layers ({bytes}), removed: they have no checksum\n"))?;
            }
        }
    }
    Ok(if verified.removed.is_empty() { Exit::Success } else { Exit::Failed })
}
