//! `hoopyd backup`: all state as one archive, to whoever asked over ssh or to a directory of the machine; and
//! `hoopyd restore`, which takes one for the next boot.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hoopy_backup::{Contents, Manifest, Source, seal};
use hoopy_base::atomic::{Pending, Readers};
use hoopy_boot::state::{Directory, Map, RESTORE};
use hoopy_secrets::{NoPrompt, Recipients};
use rustix::fs::{Advice, fadvise};

use crate::error::AgentError;
use crate::snapshot::Snapshotter;
use crate::state::{self, Keep};
use crate::{hooks, mounts, time};

/// What the names of backups end in.
const ENDING: &str = ".tar.zst.age";

/// The image's own description.
const RELEASE: &str = "etc/hoopy-release";

/// Writes the archive to `out`, unencrypted: ssh carries it, and the owner's computer encrypts it.
///
/// # Errors
/// [`AgentError`]; the archive has no end then.
pub fn to_owner(root: &Path, out: impl Write) -> Result<(), AgentError> {
    let map = state::map(root)?;
    let left_out = left_out(root, &map)?;
    consistent(root, &map, |keep| archive(root, &map, keep, &left_out, BufWriter::new(out)).map(|_| ()))
}

/// A backup in the directory that the image names.
#[derive(Debug)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// What is mounted within the directories of the state, and is not in it.
    pub left_out: Vec<String>,
}

/// Writes an encrypted backup to the directory that the image names, reads it back, and removes the oldest beyond the number
/// to keep.
///
/// # Errors
/// [`AgentError`]; no backup is removed then.
pub fn to_directory(root: &Path) -> Result<Saved, AgentError> {
    let map = state::map(root)?;
    let Some(backup) = &map.backup else { return Err(AgentError::NoBackup) };
    let dir = root.join(backup.to.trim_start_matches('/'));
    let failed = |what| AgentError::io(what, dir.clone());
    let device = fs::metadata(&dir).map_err(failed("open"))?.dev();
    if root == Path::new("/") && fs::metadata(root).map_err(failed("open"))?.dev() == device {
        return Err(AgentError::Filesystem { on: backup.to.clone(), reason: "it lies in memory".to_owned() });
    }
    let recipients =
        Recipients::parse(&backup.recipients).map_err(|e| AgentError::Recipients(e.to_string()))?;
    let path = dir.join(format!("{}-{}{ENDING}", map.name, time::stamp(now())));
    let left_out = left_out(root, &map)?;
    consistent(root, &map, |keep| {
        seal(&path, &recipients, &NoPrompt, |out| archive(root, &map, keep, &left_out, out).map(|_| ()))
            .map(|_| ())
    })?;
    prune(&dir, &map.name, backup.keep)?;
    Ok(Saved { path, left_out })
}

/// Does `work` with the state: as a snapshot has it, which was made between the two calls of the programs of `backup.d`, or
/// else all of it between them.
fn consistent(
    root: &Path,
    map: &Map,
    work: impl FnOnce(&Keep) -> Result<(), AgentError>,
) -> Result<(), AgentError> {
    let keep = state::keep(root, map)?;
    let Some(snapshotter) = Snapshotter::of(root, &map.on)? else {
        return hooks::around(root, || work(&keep));
    };
    let snapshot = hooks::around(root, || snapshotter.take())?;
    work(&Keep::of(&snapshot.dir()))?;
    snapshot.remove()
}

/// What is mounted within the directories of the state, where they are used or where they are kept. A snapshot does not show
/// it.
fn left_out(root: &Path, map: &Map) -> Result<Vec<String>, AgentError> {
    let keep = state::keep(root, map)?;
    let mut found = Vec::new();
    for Directory { path, .. } in &map.directories {
        let place = keep.place(path);
        let kept = Path::new("/").join(place.strip_prefix(root).unwrap_or(&place));
        for at in [format!("/{path}"), kept.display().to_string()] {
            found.extend(mounts::below(root, &at).into_iter().map(|rest| format!("{path}/{rest}")));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn archive<W: Write>(
    root: &Path,
    map: &Map,
    keep: &Keep,
    left_out: &[String],
    out: W,
) -> Result<W, AgentError> {
    let mut sources = Vec::new();
    for directory in &map.directories {
        let (path, dir) = (directory.path.clone(), keep.place(&directory.path));
        match dir.is_dir() {
            true => sources.push(Source { path, dir }),
            false if directory.optional => {}
            false => return Err(AgentError::NoState(path)),
        }
    }
    let directories = sources.iter().map(|source| source.path.clone()).collect();
    let mut manifest = Manifest::new(&map.name, &image(root), now(), directories);
    manifest.left_out = left_out.to_vec();
    Ok(hoopy_backup::write(out, &manifest, &sources)?)
}

fn image(root: &Path) -> String {
    let text = fs::read_to_string(root.join(RELEASE)).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("IMAGE=")).unwrap_or_default().to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Removes the oldest backups of this machine, all but `keep`. Their names sort by time.
fn prune(dir: &Path, name: &str, keep: u32) -> Result<(), AgentError> {
    let failed = |what| AgentError::io(what, dir);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed("read"))? {
        let file = entry.map_err(failed("read"))?.file_name();
        let stamp =
            file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(ENDING));
        if stamp.is_some_and(time::is_stamp) {
            found.push(file);
        }
    }
    found.sort();
    let old = found.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    for file in found.iter().take(old) {
        fs::remove_file(dir.join(file)).map_err(failed("remove the oldest of"))?;
    }
    Ok(())
}

/// Takes the archive of `input` for the next boot, whole or not at all.
///
/// # Errors
/// [`AgentError`]; nothing is changed then.
pub fn restore(root: &Path, input: impl Read) -> Result<Contents, AgentError> {
    let map = state::map(root)?;
    let keep = state::keep(root, &map)?;
    let path = keep.at(RESTORE);
    let failed = |what| AgentError::io(what, path.clone());
    let mut pending = Pending::new_in(path.parent().unwrap_or(root)).map_err(failed("write"))?;
    let file: &mut File = pending.file();
    io::copy(&mut BufReader::new(input), file).map_err(failed("write"))?;
    file.sync_all().map_err(failed("write"))?;
    let _ = fadvise(&*file, 0, None, Advice::DontNeed);
    io::Seek::rewind(file).map_err(failed("read"))?;
    let contents = hoopy_backup::check(BufReader::new(file))?;
    pending.keep(&path, Readers::Owner).map_err(failed("write"))?;
    Ok(contents)
}
