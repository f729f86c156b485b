//! A system directory as git has it at a revision, or as it is on the disk.
//!
//! Asked of the `git` program, so that whatever it can name can be named: tags, `HEAD~1`, `main@{yesterday}`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_base::digest::ContentId;
use hoopy_base::input::read_up_to;
use hoopy_lock::Lock;

use super::{DiffError, Entry, Side};
use crate::image::root::FileType;

/// The revision that is the directory as it is.
const AS_IT_IS: &str = ".";

/// What hoopy itself writes there, and is no part of the system.
const OWN: [&[u8]; 2] = [b"images/", b"vendor/"];

/// A system directory is configuration; contents are held until both sides are compared.
const MAX_TOTAL: u64 = 1 << 30;

/// The system directory `dir` at `revision`; `.` is as it is.
///
/// # Errors
/// [`DiffError`] when git does not know it, or its lock is none.
pub fn revision(dir: &Path, revision: &str) -> Result<Side, DiffError> {
    let label = if revision == AS_IT_IS { dir.display().to_string() } else { revision.to_owned() };
    let mut files = match revision {
        AS_IT_IS => on_disk(dir)?,
        _ => committed(dir, revision)?,
    };
    files.retain(|path, _| !OWN.iter().any(|own| path.starts_with(own)));
    // The first lock that is there; those of other architectures are beside it.
    let is_lock =
        |path: &Vec<u8>| path.starts_with(b"hoopy") && path.ends_with(b".lock") && !path.contains(&b'/');
    let locks: Vec<Vec<u8>> = files.keys().filter(|path| is_lock(path)).cloned().collect();
    let own = locks.iter().find(|path| *path == b"hoopy.lock").or(locks.first());
    let lock =
        own.and_then(|path| files.get(path)).map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    files.retain(|path, _| !locks.contains(path));
    let mut side = Side::known(&label, files);
    side.is_directory = true;
    if let Some(text) = lock {
        let lock = Lock::parse(Path::new(&format!("{label}:hoopy.lock")), &text)?;
        let locked = Side::lock(&lock, &label);
        (side.packages, side.facts) = (locked.packages, locked.facts);
    }
    Ok(side)
}

type Files = BTreeMap<Vec<u8>, (Entry, Vec<u8>)>;

fn entry(kind: FileType, mode: u32, bytes: Vec<u8>) -> (Entry, Vec<u8>) {
    let is_link = kind == FileType::Symlink;
    let text = is_link.then(|| String::from_utf8_lossy(&bytes).into_owned());
    let size = if is_link { 0 } else { bytes.len() as u64 };
    let digest = (!is_link).then(|| ContentId::of(&bytes));
    (Entry { kind, mode, owner: None, size, text, digest, place: None }, bytes)
}

fn committed(dir: &Path, revision: &str) -> Result<Files, DiffError> {
    // What starts with a dash would be an option.
    if revision.starts_with('-') {
        return Err(DiffError::NoSide { text: revision.to_owned(), dir: dir.to_owned() });
    }
    let args = ["ls-tree", "-r", "-z", revision, "--", "."];
    let listing = git(dir, &args)?;
    let mut listed = Vec::new();
    for line in listing.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
        let mut halves = line.splitn(2, |&byte| byte == b'\t');
        let (head, path) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        let head = String::from_utf8_lossy(head).into_owned();
        let mut words = head.split(' ');
        let (mode, id) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        let (kind, mode) = match mode {
            "100755" => (FileType::File, 0o755),
            "120000" => (FileType::Symlink, 0o777),
            // A commit of another repository has no content here.
            "160000" => continue,
            _ => (FileType::File, 0o644),
        };
        listed.push((path.to_vec(), kind, mode, id.to_owned()));
    }
    let ids: Vec<&str> = listed.iter().map(|(.., id)| id.as_str()).collect();
    let blobs = blobs(dir, &ids)?;
    Ok(listed
        .into_iter()
        .zip(blobs)
        .map(|((path, kind, mode, _), bytes)| (path, entry(kind, mode, bytes)))
        .collect())
}

/// The contents of these objects, in their order.
fn blobs(dir: &Path, ids: &[&str]) -> Result<Vec<Vec<u8>>, DiffError> {
    let failed = |message: String| DiffError::Git {
        args: "cat-file --batch".to_owned(),
        dir: dir.to_owned(),
        message,
    };
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let (Some(mut questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("no pipe".to_owned()));
    };
    let asked: String = ids.iter().map(|id| format!("{id}\n")).collect();
    let read = std::thread::scope(|scope| {
        // Beside the reading, or both would wait on a full pipe.
        scope.spawn(move || questions.write_all(asked.as_bytes()));
        read_blobs(BufReader::new(answers), ids.len())
    });
    let _ = child.wait();
    read.map_err(|e| failed(e.to_string()))
}

fn read_blobs(mut answers: impl io::BufRead, count: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let mut total = 0_u64;
    for _ in 0..count {
        let mut head = String::new();
        (&mut answers).take(1024).read_line(&mut head)?;
        let size: Option<u64> = head.trim_end().rsplit(' ').next().and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| io::Error::other(format!("unexpected answer: {head:?}")))?;
        total = total.saturating_add(size);
        if total > MAX_TOTAL {
            return Err(io::Error::other("more than 1 GiB: no system directory"));
        }
        let mut bytes = Vec::new();
        (&mut answers).take(size).read_to_end(&mut bytes)?;
        (&mut answers).take(1).read_to_end(&mut Vec::new())?;
        all.push(bytes);
    }
    Ok(all)
}

/// What git tracks, or would.
fn on_disk(dir: &Path) -> Result<Files, DiffError> {
    let listing = git(dir, &["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."])?;
    let mut files = Files::new();
    let mut total = 0;
    for path in listing.split(|&byte| byte == 0).filter(|path| !path.is_empty()) {
        let place = dir.join(std::ffi::OsStr::from_bytes(path));
        let failed = |source| DiffError::Read { label: place.display().to_string(), source };
        let Ok(meta) = fs::symlink_metadata(&place) else { continue };
        if OWN.iter().any(|own| path.starts_with(own)) || !(meta.is_file() || meta.is_symlink()) {
            continue;
        }
        let found = if meta.is_symlink() {
            let target = fs::read_link(&place).map_err(failed)?;
            entry(FileType::Symlink, 0o777, target.as_os_str().as_bytes().to_vec())
        } else {
            // git keeps the user's right to execute, and no more.
            let mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            let content = read_up_to(&place, MAX_TOTAL - total).map_err(failed)?;
            total += content.len() as u64;
            entry(FileType::File, mode, content)
        };
        files.insert(path.to_vec(), found);
    }
    Ok(files)
}

fn git(dir: &Path, args: &[&str]) -> Result<Vec<u8>, DiffError> {
    let failed = |message: String| DiffError::Git { args: args.join(" "), dir: dir.to_owned(), message };
    let out =
        Command::new("git").arg("-C").arg(dir).args(args).output().map_err(|e| failed(e.to_string()))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    Err(failed(String::from_utf8_lossy(&out.stderr).trim_end().to_owned()))
}
