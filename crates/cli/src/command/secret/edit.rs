//! `hoopy secret edit`: the secret lies in a file in memory for as long as the editor runs, for this user alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_secrets::Plaintext;
use hoopy_secrets::cipher::MAX_PLAINTEXT;
use hoopy_secrets::directory::SecretsError;

use crate::args::{Global, Keys};
use crate::command::owner::{self, Terminal};
use crate::error::{CommandError, Context as _, Result};
use crate::output::note;

/// Filesystems in memory, where a desktop and most servers have one.
const IN_MEMORY: [&str; 2] = ["/dev/shm", "/run/shm"];

pub fn run(global: &Global, text: &str, keys: &Keys) -> Result<()> {
    let (secrets, path) = (super::open()?, super::path(text)?);
    let before = match secrets.open(&path, &owner::identities(&keys.identity, &secrets.dir)?) {
        Ok(secret) => secret,
        Err(SecretsError::Missing { .. }) => Plaintext::new(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let dir = tempfile::Builder::new().prefix("hoopy-").tempdir_in(memory()?);
    let dir = dir.context("cannot create a directory for the editor")?;
    // Editors keep copies beside the file: the directory is for this user alone.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700))
        .context("cannot protect the editor's directory")?;
    let name = Path::new(path.as_str()).file_name().unwrap_or_default();
    let file = dir.path().join(name);
    let edited = edit(&file, &before);
    wipe(dir.path());
    let after = edited?;
    if after == before {
        if !global.quiet {
            note(format!("unchanged: {}", path.file(&secrets.dir).display()));
        }
        return Ok(());
    }
    secrets.set(&path, &after, &Terminal)?;
    if !global.quiet {
        note(format!("wrote {}", path.file(&secrets.dir).display()));
    }
    Ok(())
}

fn memory() -> Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let dirs = runtime.into_iter().chain(IN_MEMORY.map(PathBuf::from));
    let found = dirs.filter(|dir| dir.is_dir()).find(|dir| tempfile::tempfile_in(dir).is_ok());
    found.ok_or_else(|| {
        CommandError::failed("no filesystem in memory for the editor: expected XDG_RUNTIME_DIR or /dev/shm")
            .hint("use `hoopy secret show PATH` and `hoopy secret set PATH`")
    })
}

fn edit(file: &Path, before: &Plaintext) -> Result<Plaintext> {
    let cannot = || format!("cannot write {}", file.display());
    let mut created = fs::OpenOptions::new().write(true).create_new(true).open(file).context(cannot())?;
    created.write_all(before.as_bytes()).context(cannot())?;
    drop(created);
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|set| !set.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    // As git does it: the variable may have arguments.
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{editor} \"$@\""), "sh"]).arg(file);
    let status = command.status().context(format!("cannot start the editor {editor:?}"))?;
    if !status.success() {
        return Err(CommandError::failed(format!("the editor {editor:?} failed: {status}")));
    }
    let edited = fs::File::open(file).context(format!("cannot read {}", file.display()))?;
    Plaintext::read(edited, MAX_PLAINTEXT).context(format!("cannot read {}", file.display()))
}

/// Overwrites what the editor left: its pages may be given to others before they are used again.
fn wipe(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let size = entry.metadata().map_or(0, |meta| meta.len());
        if let Ok(mut file) = fs::OpenOptions::new().write(true).open(entry.path()) {
            let zeros = vec![0; usize::try_from(size).unwrap_or_default().min(MAX_PLAINTEXT)];
            let _ = file.write_all(&zeros);
        }
    }
}
