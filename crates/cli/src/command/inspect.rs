//! `hoopy inspect`.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use hoopy_base::atomic::Readers;
use hoopy_base::destination;
use hoopy_base::size::show;
use hoopy_base::terminal::harmless_bytes;
use hoopy_boot::os_release;
use hoopy_inspect::image::describe::{Description, FileKind};
use hoopy_inspect::image::root::{Kind, Node};
use hoopy_inspect::image::split::{Limits, Segment};
use hoopy_inspect::image::{Image, InspectError, page};
use serde::Serialize;

use crate::args::{Global, Inspect, Look};
use crate::error::{Exit, Result};
use crate::output::{Stream, note, print, print_json};

pub fn run(global: &Global, own: &Inspect) -> Result<Exit> {
    match (&own.look, &own.image) {
        (Some(Look::Ls { image, path, recursive, json }), _) => {
            ls(&open(image)?, path.as_bytes(), *recursive, *json)
        }
        (Some(Look::Cat { image, path }), _) => cat(&open(image)?, path.as_bytes()),
        (Some(Look::Extract { image, paths, output }), _) => {
            let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
            extract(global, &open(image)?, &paths, output)
        }
        (None, Some(image)) => describe(global, own, &open(image)?),
        // clap requires one of them.
        (None, None) => Ok(Exit::Usage),
    }
}

fn open(path: &Path) -> std::result::Result<Image, InspectError> {
    Image::open(path, Limits::default())
}

fn describe(global: &Global, own: &Inspect, image: &Image) -> Result<Exit> {
    let description = image.describe()?;
    if let Some(file) = &own.html {
        let name = image.path.file_name().unwrap_or(OsStr::new("image")).to_string_lossy().into_owned();
        let page = page::render(image, &description, &name);
        Readers::of_file(&image.path)
            .and_then(|readers| destination::write(file, page.as_bytes(), readers))
            .map_err(|source| InspectError::Io { path: file.clone(), source })?;
        if !global.quiet && !destination::is_standard_output(file) {
            note(format!("wrote {}", file.display()));
        }
    }
    if own.json {
        print_json(&description)?;
    } else if own.html.is_none() {
        print(text(&description))?;
    }
    Ok(completeness(image))
}

/// Says where reading stopped, if it did; gives the exit code.
fn completeness(image: &Image) -> Exit {
    match &image.stopped {
        Some(stopped) => {
            note(format!("error: {}: {stopped}", image.path.display()));
            Exit::Failed
        }
        None => Exit::Success,
    }
}

fn text(d: &Description) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| out += &format!("{name:10}{value}\n");
    let machine = d.machine.map(|machine| format!(" for {machine}")).unwrap_or_default();
    line("kind", &format!("{}{machine}", d.kind.name()));
    line("size", &format!("{} ({} bytes)", show(d.size), d.size));
    line("sha256", &d.sha256.to_string());
    let name = d.os_release.get("PRETTY_NAME").or_else(|| d.os_release.get("NAME"));
    name.into_iter().for_each(|name| line("system", name));
    let machine = d.os_release.get(os_release::MACHINE).or_else(|| d.os_release.get("IMAGE_ID"));
    let image = machine.zip(d.os_release.get(os_release::VERSION));
    image.into_iter().for_each(|(id, version)| line("image", &format!("{id} {version}")));
    d.kernel.iter().for_each(|kernel| line("kernel", kernel));
    d.command_line.iter().for_each(|text| line("cmdline", text));
    for signature in &d.signatures {
        let signer = signature.signer.as_deref().unwrap_or("an unknown signer");
        match &signature.problem {
            None => line("signed", &format!("by {signer}")),
            Some(problem) => line("signed", &format!("NOT by {signer}: {problem}")),
        }
    }
    if d.signatures.is_empty() && d.kind != FileKind::Initramfs {
        line("signed", "no");
    }
    if let Some(measured) = &d.measured {
        let value =
            measured.pcr_11.clone().or_else(|| Some(format!("unknown: {}", measured.problem.as_ref()?)));
        value.iter().for_each(|value| line("PCR 11", value));
        if let Some(policy) = &measured.policy {
            let key = policy.key.as_deref().unwrap_or("an unknown key");
            match &policy.problem {
                None => {
                    let epoch = policy.epoch.map(|epoch| format!(" for epoch {epoch}")).unwrap_or_default();
                    line("policy", &format!("signed{epoch} by key {key}"));
                }
                Some(problem) => line("policy", &format!("NOT signed by {key}: {problem}")),
            }
        }
    }
    let t = &d.tree;
    if !d.segments.is_empty() {
        let what = format!(
            "{} files, {} directories, {} links, {} others; {} unpacked",
            t.files,
            t.directories,
            t.links,
            t.others,
            show(t.bytes)
        );
        line("tree", &what);
    }
    d.problems.iter().for_each(|problem| line("problem", problem));
    sections(d, &mut out);
    segments(d, &mut out);
    if !d.packages.is_empty() {
        out += &format!("\n{} packages\n", d.packages.len());
        out.extend(
            d.packages.iter().map(|p| format!("  {} {} ({})\n", p.name, p.version, show(p.installed_size))),
        );
    }
    out
}

fn sections(d: &Description, out: &mut String) {
    if d.sections.is_empty() {
        return;
    }
    *out += &format!("\n{} sections\n    offset        size  name      sha256\n", d.sections.len());
    for part in &d.sections {
        *out += &format!("  {:>8x} {:>11}  {:8}  {}\n", part.offset, part.size, part.name, part.sha256);
    }
}

fn segments(d: &Description, out: &mut String) {
    if d.segments.is_empty() {
        return;
    }
    *out += &format!(
        "\n{} segments\n    offset        size    unpacked  entries  codec  what\n",
        d.segments.len()
    );
    for segment in &d.segments {
        let Segment { offset, size, unpacked, entries, .. } = segment;
        let mut lines = wrapped(&segment.origins).into_iter();
        let (codec, first) = (segment.codec.name(), lines.next().unwrap_or_default());
        let row = format!("  {offset:>8x} {size:>11} {unpacked:>11} {entries:>8}  {codec:5}  {first}");
        *out += row.trim_end();
        out.push('\n');
        out.extend(lines.map(|line| format!("{:ORIGINS$}{line}\n", "")));
    }
}

/// Where the last column of the segments begins.
const ORIGINS: usize = 52;

/// Width of its lines, where several packages share a segment.
const WIDTH: usize = 60;

/// The names in lines, none of which is cut.
fn wrapped(names: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + name.len() <= WIDTH => *line += &format!(", {name}"),
            Some(line) => {
                line.push(',');
                lines.push(name.clone());
            }
            None => lines.push(name.clone()),
        }
    }
    lines
}

/// A file of a listing.
#[derive(Serialize)]
struct ListedFile {
    path: String,
    #[serde(rename = "type")]
    kind: char,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<(u32, u32)>,
}

fn ls(image: &Image, path: &[u8], recursive: bool, json: bool) -> Result<Exit> {
    let missing = || InspectError::NoSuchPath { image: image.path.clone(), path: path.to_vec() };
    let top = image.root.find(path).ok_or_else(missing)?;
    let node = image.root.node(top).ok_or_else(missing)?;
    let mut rows = Vec::new();
    if matches!(node.kind, Kind::Dir(_)) {
        image.root.walk(top, &mut |path, _, node| {
            if recursive || !path.contains(&b'/') {
                rows.push(listed(path, node));
            }
        });
    } else {
        rows.push(listed(path, node));
    }
    if json {
        print_json(&rows)?;
    } else {
        print(rows.iter().map(row).collect::<String>())?;
    }
    Ok(completeness(image))
}

fn listed(path: &[u8], node: &Node) -> ListedFile {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (size, target, device) = match &node.kind {
        Kind::File(content) => (content.size, None, None),
        Kind::Symlink(target) => (target.len() as u64, Some(lossy(target)), None),
        Kind::Char(major, minor) | Kind::Block(major, minor) => (0, None, Some((*major, *minor))),
        _ => (0, None, None),
    };
    let kind = match node.kind {
        Kind::Dir(_) => 'd',
        Kind::File(_) => '-',
        Kind::Symlink(_) => 'l',
        Kind::Char(..) => 'c',
        Kind::Block(..) => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
    };
    let &Node { uid, gid, mtime, mode, .. } = node;
    ListedFile { path: lossy(path), kind, mode: format!("{mode:04o}"), uid, gid, size, mtime, target, device }
}

fn row(file: &ListedFile) -> String {
    let size = file.device.map_or_else(|| file.size.to_string(), |(major, minor)| format!("{major},{minor}"));
    let target = file.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
    let owner = format!("{}:{}", file.uid, file.gid);
    format!("{}{} {owner:7} {size:>10} {}{target}\n", file.kind, file.mode, file.path)
}

fn cat(image: &Image, path: &[u8]) -> Result<Exit> {
    let content = image.content(path)?;
    let mut out = Stream::default();
    let copied = image.contents(vec![(content, ())], &mut |(), data| {
        if !io::stdout().is_terminal() {
            return io::copy(data, &mut out).map(drop);
        }
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        out.write_all(harmless_bytes(&bytes).as_bytes())
    });
    if !out.has_failed() {
        copied.map_err(|source| InspectError::Io { path: image.path.clone(), source })?;
    }
    out.finish()?;
    Ok(Exit::Success)
}

fn extract(global: &Global, image: &Image, paths: &[Vec<u8>], to: &Path) -> Result<Exit> {
    let done = image.extract(paths, to)?;
    if !global.quiet {
        for (path, what) in &done.left_out {
            let path = String::from_utf8_lossy(path);
            note(format!("warning: {path}: left out: {what}"));
        }
        note(format!("{} files, {}, in {}", done.count, show(done.bytes), to.display()));
    }
    Ok(completeness(image))
}
