//! `hoopy secret import`: from `root/` into `secrets/`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::input;
use hoopy_build::working_tree::WorkingTree;
use hoopy_secrets::cipher::MAX_PLAINTEXT;
use hoopy_secrets::{Plaintext, SecretPath};
use hoopy_store::layer::EntryPath;

use crate::args::Global;
use crate::command::HERE;
use crate::command::owner::Terminal;
use crate::error::{CommandError, Context as _, Result};
use crate::output::note;

/// What a secret has where `[modes]` says nothing.
const DEFAULT_MODE: u32 = 0o600;

pub fn run(global: &Global, texts: &[String]) -> Result<()> {
    let secrets = super::open()?;
    // All of them are looked at before the first one is moved.
    let files = texts.iter().map(|text| file(text)).collect::<Result<Vec<_>>>()?;
    // What git has, its history has too
    let tree = WorkingTree::ask(Path::new(HERE)).answer();
    for (plain, path) in files {
        let cannot = |doing: &str| format!("cannot {doing} {}", plain.display());
        let mode = fs::metadata(&plain).context(cannot("read"))?.permissions().mode() & 0o7777;
        let read = input::open(&plain).and_then(|file| Plaintext::read(file, MAX_PLAINTEXT));
        secrets.set(&path, &read.context(cannot("read"))?, &Terminal)?;
        fs::remove_file(&plain).context(cannot("remove"))?;
        if global.quiet {
            continue;
        }
        note(format!("moved {} to {}", plain.display(), path.file(&secrets.dir).display()));
        // The execute bit and git's 0644 say nothing that was meant.
        if !matches!(mode, DEFAULT_MODE | 0o644 | 0o664) {
            note(format!(
                "its mode was {mode:04o}: to keep it, write `{:?} = \"{mode:04o}\"` under [modes] in hoopy.toml",
                path.as_str()
            ));
        }
        if EntryPath::new(path.as_str()).is_ok_and(|path| tree.tracks(&path)) {
            note(format!(
                "warning: git has {} in its history, in the clear: change the secret itself, and set the new one with `hoopy secret set {path}`",
                plain.display()
            ));
        }
    }
    Ok(())
}

/// The file in `root/`, and where it belongs.
fn file(text: &str) -> Result<(PathBuf, SecretPath)> {
    let below = text.strip_prefix("root/").unwrap_or(text).trim_start_matches('/');
    let path = super::path(below)?;
    let on_machine = path.on_machine().ok_or_else(|| {
        CommandError::usage(format!("{text}: expected a file below root/, found a name of hoopy's own"))
    })?;
    let plain = Path::new("root").join(on_machine);
    if plain.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        return Ok((plain, path));
    }
    Err(CommandError::system(format!("{}: expected a file, found none", plain.display())))
}
