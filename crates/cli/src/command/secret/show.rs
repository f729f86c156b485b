//! `hoopy secret show` and `list`.

use std::io::{self, IsTerminal as _};

use hoopy_secrets::path::Use;
use serde::Serialize;

use crate::args::Keys;
use crate::command::owner;
use crate::error::Result;
use crate::output::{print, print_bytes, print_json};

pub fn show(text: &str, keys: &Keys) -> Result<()> {
    let (secrets, path) = (super::open()?, super::path(text)?);
    let secret = secrets.open(&path, &owner::identities(&keys.identity, &secrets.dir)?)?;
    if io::stdout().is_terminal() {
        // A terminal gets nothing that it would act on; a pipe gets every byte as it is.
        print(String::from_utf8_lossy(secret.as_bytes()))
    } else {
        print_bytes(secret.as_bytes())
    }
}

/// What `list --json` prints of each secret.
#[derive(Serialize)]
struct Listed {
    path: String,
    file: String,
    opened_by: &'static str,
}

pub fn list(json: bool) -> Result<()> {
    let secrets = super::open()?;
    let listed: Vec<Listed> = secrets
        .paths
        .iter()
        .map(|path| Listed {
            path: path.to_string(),
            file: path.file(&secrets.dir).display().to_string(),
            opened_by: match path.purpose() {
                Use::File | Use::Unlock => "owner and machine",
                Use::Trust => "owner",
            },
        })
        .collect();
    if json {
        return print_json(&listed);
    }
    let width = listed.iter().map(|one| one.path.chars().count()).max().unwrap_or_default();
    print(listed.iter().map(|one| format!("{:<width$}  {}\n", one.path, one.opened_by)).collect::<String>())
}
