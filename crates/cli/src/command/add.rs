//! `hoopy add`.

use hoopy_build::config::Overrides;

use super::{edit, packages};
use crate::args::{Change, Global};
use crate::error::{Exit, Result};

pub fn run(global: &Global, own: &Change) -> Result<Exit> {
    let system = super::system(super::HERE.as_ref(), global, Overrides::default())?;
    edit::edit(global, own, system, |file, text| packages::added(file, text, &own.packages))
}
