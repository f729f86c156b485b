//! `hoopy diff`.

use std::path::Path;
use std::process::ExitCode;

use hoopy::config::size::show;
use hoopy::diff::{self, Became, DiffError, Difference, FileChange, How, PackageChange, Side};

use crate::args::Diff;
use crate::error::DIFFERS;
use crate::ui::{Colour, put_coloured, put_json};

pub fn run(own: &Diff) -> anyhow::Result<ExitCode> {
    let (old, new) = (side(&own.old, &own.dir)?, side(&own.new, &own.dir)?);
    let difference = diff::compare(&old, &new, own.patch)?;
    if own.json {
        put_json(&difference)?;
    } else {
        put_coloured(&text(&difference, own.all))?;
    }
    let told = own.exit_code && !difference.is_none();
    Ok(ExitCode::from(if told { DIFFERS } else { 0 }))
}

/// A file as what it is, and all else as a revision. A machine by name, whose image is fetched, would be a third.
fn side(text: &str, dir: &Path) -> Result<Side, DiffError> {
    let path = Path::new(text);
    let known = |e: DiffError| match e {
        // Neither is there: what was meant is not known.
        DiffError::Git { .. } if text != "." && !path.exists() && dir.exists() => {
            DiffError::NoSide { text: text.to_owned(), dir: dir.to_owned() }
        }
        other => other,
    };
    if path.is_file() { Side::file(path) } else { diff::revision(dir, text).map_err(known) }
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
        // Sizes that look the same are told in full.
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
