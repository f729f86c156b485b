//! `hoopy diff`.

use std::path::Path;

use hoopy_base::size::show;
use hoopy_inspect::diff::{self, Became, DiffError, Difference, FileChange, How, PackageChange, Side};
use hoopy_inspect::drift::DriftError;
use hoopy_ship::deploy::{MachineImages, Ssh};

use super::host::{self, Connection};
use crate::args::{Diff, Global};
use crate::error::{Exit, Result};
use crate::output::{Colour, print_coloured, print_json};
use crate::progress::Progress;

/// The prefix of a machine's name.
const MACHINE: &str = "ssh:";

pub fn run(global: &Global, own: &Diff) -> Result<Exit> {
    let (old, new) = (side(&own.old, global, own)?, side(&own.new, global, own)?);
    let difference = diff::compare(&old, &new, own.patch)?;
    if own.json {
        print_json(&difference)?;
    } else {
        print_coloured(&text(&difference, own.all))?;
    }
    Ok(if own.exit_code && !difference.is_none() { Exit::Differs } else { Exit::Success })
}

/// A file, or a machine (`ssh:NAME`, or USER@NAME where that is not a revision), or else a revision.
/// A bare name is never a machine: a mistyped revision must not lead to a connection.
fn side(text: &str, global: &Global, own: &Diff) -> Result<Side> {
    let (path, dir) = (Path::new(text), Path::new(super::HERE));
    if path.is_file() {
        return Ok(Side::file(path)?);
    }
    if let Some(host) = text.strip_prefix(MACHINE) {
        return machine(host, global, own);
    }
    match diff::revision(dir, text) {
        Err(DiffError::Git { .. }) if is_user_at(text) => machine(text, global, own),
        Err(DiffError::Git { .. }) if text != "." && !path.exists() && dir.exists() => {
            Err(DiffError::NoSide { text: text.to_owned(), dir: dir.to_owned() }.into())
        }
        other => Ok(other?),
    }
}

/// USER@NAME, but not git's `main@{1}` and `@`.
fn is_user_at(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(user, name)| !user.is_empty() && !name.is_empty() && !name.starts_with('{'))
}

/// What a machine runs.
fn machine(host: &str, global: &Global, own: &Diff) -> Result<Side> {
    let host = host::find(Some(host), own.esp.as_deref(), global)?;
    let ssh = Ssh::connect(&host.name, &super::ssh())?;
    let seen = MachineImages::ask(&ssh, host.esp.as_deref())?;
    let Some(name) = seen.machine.image.clone() else {
        return Err(DriftError::NoImage { host: host.name }.into());
    };
    let observer = &Progress::new(global.quiet || own.json);
    let mut side = host.running(&Connection { global, ssh: &ssh, until: None, observer }, &seen, true)?;
    side.label = format!("{} ({name})", host.name);
    Ok(side)
}

pub type Pieces = Vec<(Colour, String)>;

fn text(difference: &Difference, all: bool) -> Pieces {
    let mut out = Pieces::new();
    for fact in &difference.facts {
        let value = |text: &Option<String>| match (fact.what, text) {
            (_, None) => "none".to_owned(),
            ("size", Some(text)) => text.parse().map_or_else(|_| text.clone(), show),
            (_, Some(text)) => text.clone(),
        };
        let (old, new) = (value(&fact.old), value(&fact.new));
        // Sizes that look the same are shown in full.
        let (old, new) = match (&fact.old, &fact.new) {
            (Some(a), Some(b)) if old == new => (format!("{a} bytes"), format!("{b} bytes")),
            _ => (old, new),
        };
        out.push((Colour::Bold, format!("{:13}", fact.what)));
        out.push((Colour::Plain, format!("{old} -> {new}\n")));
    }
    difference.packages.iter().for_each(|change| out.extend(package(change)));
    let shown = difference.files.iter().filter(|file| all || file.package.is_none());
    shown.for_each(|change| file(change, &mut out));
    out
}

fn package(change: &PackageChange) -> Pieces {
    let (colour, word) = match change.how {
        How::In => (Colour::Green, "in"),
        How::Out => (Colour::Red, "out"),
        How::Up => (Colour::Yellow, "up"),
        How::Down => (Colour::Yellow, "down"),
        How::Rebuilt => (Colour::Yellow, "rebuilt"),
    };
    let versions: Vec<&str> = change.old.iter().chain(&change.new).map(String::as_str).collect();
    let versions = match versions.as_slice() {
        [old, new] if old != new => format!("{old} -> {new}"),
        [one, ..] => (*one).to_owned(),
        [] => String::new(),
    };
    let files = match change.files {
        0 => String::new(),
        1 => " (1 file)".to_owned(),
        n => format!(" ({n} files)"),
    };
    vec![(colour, format!("{word:9}")), (Colour::Plain, format!("{} {versions}{files}\n", change.name))]
}

/// What became of a file.
pub fn file(change: &FileChange, out: &mut Pieces) {
    let (colour, word) = match change.became {
        Became::Added => (Colour::Green, "added"),
        Became::Removed => (Colour::Red, "removed"),
        Became::Changed => (Colour::Yellow, "changed"),
    };
    let sizes = match (change.old_size, change.new_size) {
        (Some(old), Some(new)) if old != new => format!(" ({} -> {})", show(old), show(new)),
        (None, Some(size)) | (Some(size), None) => format!(" ({})", show(size)),
        _ => String::new(),
    };
    let other: Vec<&str> = change.what.iter().map(String::as_str).filter(|what| *what != "content").collect();
    let what = if other.is_empty() { String::new() } else { format!(": {}", other.join(", ")) };
    out.push((colour, format!("{word:9}")));
    out.push((Colour::Plain, format!("{}{sizes}{what}\n", change.path)));
    for line in change.patch.iter().flat_map(|patch| patch.split_inclusive('\n')) {
        let colour = match line.bytes().next() {
            _ if line.starts_with("---") || line.starts_with("+++") => Colour::Bold,
            Some(b'+') => Colour::Green,
            Some(b'-') => Colour::Red,
            Some(b'@') => Colour::Cyan,
            _ => Colour::Plain,
        };
        out.push((colour, line.to_owned()));
    }
}
