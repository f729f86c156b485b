//! `hoopy secret set` and `rm`.

use std::io::{self, IsTerminal as _};

use hoopy_secrets::Plaintext;
use hoopy_secrets::cipher::MAX_PLAINTEXT;

use crate::args::Global;
use crate::command::owner::Terminal;
use crate::error::{CommandError, Context as _, Result};
use crate::output::note;

pub fn set(global: &Global, text: &str) -> Result<()> {
    let (secrets, path) = (super::open()?, super::path(text)?);
    if io::stdin().is_terminal() && !global.quiet {
        note("type the secret, and end it with Ctrl-D on a new line");
    }
    let secret = Plaintext::read(io::stdin().lock(), MAX_PLAINTEXT).context("cannot read standard input")?;
    if secret.as_bytes().is_empty() {
        return Err(CommandError::usage("expected a secret on standard input, found nothing"));
    }
    let file = path.file(&secrets.dir);
    let replaced = file.exists();
    secrets.set(&path, &secret, &Terminal)?;
    if !global.quiet {
        let done = if replaced { "replaced" } else { "wrote" };
        note(format!("{done} {}", file.display()));
        if let Some(plain) = plain(&path) {
            note(format!(
                "warning: {plain} is there too, in the clear: `hoopy secret import {plain}` moves it"
            ));
        }
    }
    Ok(())
}

/// The same file in `root/`, if it is there.
fn plain(path: &hoopy_secrets::SecretPath) -> Option<String> {
    let plain = format!("root/{}", path.on_machine()?);
    std::path::Path::new(&plain).exists().then_some(plain)
}

pub fn remove(global: &Global, text: &str) -> Result<()> {
    let (secrets, path) = (super::open()?, super::path(text)?);
    secrets.remove(&path)?;
    if !global.quiet {
        note(format!("removed {}", path.file(&secrets.dir).display()));
    }
    Ok(())
}
