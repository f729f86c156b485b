//! `hoopy remove`.

use hoopy_build::config::Overrides;

use super::{edit, packages};
use crate::args::{Change, Global};
use crate::error::{CommandError, Exit, Result};

pub fn run(global: &Global, own: &Change) -> Result<Exit> {
    let system = super::system(super::HERE.as_ref(), global, Overrides::default())?;
    edit::edit(global, own, system, |file, text| {
        let (text, missing) = packages::removed(file, text, &own.packages)?;
        match missing.first() {
            None => Ok(text),
            Some(name) => Err(CommandError::usage(format!("{name} is not in {}", file.display())).hint(
                format!("`hoopy why {name}` shows why a package is installed that `packages` does not list"),
            )),
        }
    })
}
