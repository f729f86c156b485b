//! Whether a machine's firmware will start an image: asked before anything is written, since one that it refuses does
//! not fall back by itself.

use std::fs::File;
use std::io::{Read, Seek};

use data_encoding::HEXLOWER;
use hoopy_trust::authenticode::Scan;
use hoopy_trust::firmware::{Mode, SecureBoot, Variable};

use super::error::DeployError;
use super::images::NewImage;
use super::machine::Machine;

/// That the firmware of `machine` starts `image`, where it checks signatures.
///
/// # Errors
/// [`DeployError::Unaccepted`], [`DeployError::Lists`], [`DeployError::Image`].
pub fn check(machine: &Machine, image: &NewImage) -> Result<(), DeployError> {
    if machine.enforces.is_none() {
        return Ok(());
    }
    let mut file =
        File::open(&image.path).map_err(|source| DeployError::Image { path: image.path.clone(), source })?;
    accepts(machine, &image.name, &mut file)
}

/// The same of any program, which messages call by this name.
///
/// # Errors
/// [`DeployError::Unaccepted`], [`DeployError::Lists`].
pub fn accepts(machine: &Machine, name: &str, program: &mut (impl Read + Seek)) -> Result<(), DeployError> {
    let Some(lists) = &machine.enforces else { return Ok(()) };
    let host = || machine.host.clone();
    let unreadable =
        |variable: Variable, why: String| DeployError::Lists { host: host(), variable: variable.name(), why };
    let [db, dbx] = [(Variable::Db, &lists.db), (Variable::Dbx, &lists.dbx)].map(|(variable, hex)| {
        HEXLOWER.decode(hex.as_bytes()).map_err(|e| unreadable(variable, e.to_string()))
    });
    let (db, dbx) = (db?, dbx?);
    let firmware = SecureBoot::read(Mode::Enforcing, |variable| match variable {
        Variable::Db => db.clone(),
        Variable::Dbx => dbx.clone(),
        // Which nobody asked for.
        Variable::Pk | Variable::Kek => Vec::new(),
    });
    let firmware = firmware.map_err(|(variable, e)| unreadable(variable, e.to_string()))?;
    let refused = |why: String| DeployError::Unaccepted { host: host(), image: name.to_owned(), why };
    let scan = Scan::of(program).map_err(|e| refused(e.to_string()))?;
    firmware.accepts(&scan).map(drop).map_err(|why| refused(why.to_string()))
}
