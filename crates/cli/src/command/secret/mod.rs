//! `hoopy secret`.

mod change;
mod edit;
mod enroll;
mod import;
mod init;
mod rekey;
mod show;

pub use enroll::tell;

use std::path::Path;

use hoopy_secrets::{SecretPath, Secrets};

use crate::args::{Global, SecretCommand};
use crate::error::{CommandError, Exit, Result};

pub fn run(global: &Global, command: &SecretCommand) -> Result<Exit> {
    super::owner::keep_to_itself();
    match command {
        SecretCommand::Init(own) => init::run(global, own)?,
        SecretCommand::Set { path } => change::set(global, path)?,
        SecretCommand::Edit { path, keys } => edit::run(global, path, keys)?,
        SecretCommand::Show { path, keys } => show::show(path, keys)?,
        SecretCommand::List { json } => show::list(*json)?,
        SecretCommand::Rm { path } => change::remove(global, path)?,
        SecretCommand::Rekey(own) => rekey::run(global, own)?,
        SecretCommand::Import { paths } => import::run(global, paths)?,
        SecretCommand::Enroll(own) => enroll::run(global, own)?,
    }
    Ok(Exit::Success)
}

/// The secrets of the system in the working directory.
pub fn open() -> Result<Secrets> {
    let here = Path::new(super::HERE);
    if !here.join("packages").is_file() {
        return Err(CommandError::system("not a system directory: it has no file `packages`")
            .hint("name the system: hoopy -C DIR secret ..."));
    }
    Secrets::read(here)?.ok_or_else(|| {
        CommandError::system("this system has no secrets/").hint("set it up with `hoopy secret init`")
    })
}

/// A secret's path, as it was typed.
fn path(text: &str) -> Result<SecretPath> {
    text.parse().map_err(|error: hoopy_secrets::path::BadPath| CommandError::usage(error.to_string()))
}
