//! One page that shows where the megabytes are: no network, no library, readable without its script.
//!
//! What a file takes compressed is its share of its segment: nobody knows it better, since a segment is compressed
//! as a whole.

use std::collections::{BTreeMap, HashSet};

use hoopy_base::markup::escaped;
use hoopy_base::size::show;
use hoopy_uki::manifest::in_short;
use serde::Serialize;

use super::describe::Description;
use super::root::Kind;
use super::{Image, Packages};

/// The page, with places for what it shows.
const TEMPLATE: &str = include_str!("page.html");

/// How many files of a directory are shown one by one; the smaller ones are one together. A page stays within some
/// megabytes so.
const MAX_CHILDREN: usize = 200;

/// A rectangle.
#[derive(Debug, Default, Serialize)]
struct Block {
    /// Name.
    n: String,
    /// Bytes in the file.
    c: u64,
    /// Bytes unpacked.
    u: u64,
    /// What is in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    k: Vec<Block>,
}

/// A directory of blocks as it grows.
#[derive(Debug, Default)]
struct Growing {
    compressed: u64,
    unpacked: u64,
    below: BTreeMap<String, Growing>,
}

/// The page of `image`, which is called `name`.
pub fn render(image: &Image, description: &Description, name: &str) -> String {
    let mut blocks = Block { n: name.to_owned(), c: description.size, u: 0, k: Vec::new() };
    let of_initramfs = [".initrd", ".ucode"];
    for part in description.sections.iter().filter(|part| !of_initramfs.contains(&part.name.as_str())) {
        blocks.k.push(Block { n: part.name.clone(), c: part.size, u: part.size, k: Vec::new() });
    }
    blocks.k.extend(segments(image));
    blocks.u = blocks.k.iter().map(|block| block.u).sum();
    // Headers, padding, signatures.
    let rest = blocks.c.saturating_sub(blocks.k.iter().map(|block| block.c).sum());
    if rest > 0 {
        blocks.k.push(Block { n: "headers and padding".to_owned(), c: rest, u: rest, k: Vec::new() });
        blocks.u += rest;
    }
    blocks.k.sort_by_key(|block| std::cmp::Reverse(block.c));
    let json = serde_json::to_string(&blocks).unwrap_or_default().replace('<', "\\u003c");
    // The texts of the image come last: nothing in them is taken for a place.
    let mut page = String::with_capacity(TEMPLATE.len() + json.len() + 65536);
    for piece in TEMPLATE.split("{{") {
        let Some((place, rest)) = piece.split_once("}}") else {
            page += piece;
            continue;
        };
        match place {
            "name" => page += &escaped(name),
            "facts" => page += &facts(description),
            "segments" => page += &table(description),
            "packages" => page += &packages(description),
            "data" => page += &json,
            _ => {}
        }
        page += rest;
    }
    page
}

fn segments(image: &Image) -> Vec<Block> {
    let packages = Packages::of(image);
    let mut growing: Vec<Growing> = image.segments.iter().map(|_| Growing::default()).collect();
    let mut seen = HashSet::new();
    image.root.walk(image.root.top(), &mut |path, id, node| {
        let Kind::File(content) = node.kind else { return };
        let place = content.segment as usize;
        let Some((segment, top)) = image.segments.get(place).zip(growing.get_mut(place)) else { return };
        if content.size == 0 || !seen.insert(id) {
            return;
        }
        let share = u128::from(segment.size) * u128::from(content.size) / u128::from(segment.unpacked.max(1));
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        // What is of one package need not say so again.
        let owner = if segment.origins.len() == 1 { None } else { packages.owner(path) };
        let first = owner.map(|package| package.label().into_bytes());
        let names = first.as_deref().into_iter().chain(path.split(|&byte| byte == b'/'));
        top.add(names, share, content.size);
    });
    let named = image.segments.iter().zip(growing).enumerate();
    let block = |(index, (segment, growing)): (usize, (&super::split::Segment, Growing))| {
        let name = match segment.origins.as_slice() {
            [] => format!("segment {}", index + 1),
            origins => in_short(origins),
        };
        let mut block = growing.block(name);
        let rest = (segment.size.saturating_sub(block.c), segment.unpacked.saturating_sub(block.u));
        block.k.push(Block {
            n: "names, links, what is replaced".to_owned(),
            c: rest.0,
            u: rest.1,
            k: Vec::new(),
        });
        Block { c: segment.size, u: segment.unpacked, ..block }
    };
    named.map(block).collect()
}

impl Growing {
    fn add<'p>(&mut self, names: impl Iterator<Item = &'p [u8]>, compressed: u64, unpacked: u64) {
        let mut at = self;
        at.grow(compressed, unpacked);
        for name in names {
            at = at.below.entry(String::from_utf8_lossy(name).into_owned()).or_default();
            at.grow(compressed, unpacked);
        }
    }

    fn grow(&mut self, compressed: u64, unpacked: u64) {
        self.compressed += compressed;
        self.unpacked += unpacked;
    }

    /// A chain of directories that hold one thing each is one block.
    fn block(self, name: String) -> Block {
        let Self { compressed, unpacked, mut below } = self;
        if below.len() == 1
            && let Some((only, inner)) = below.pop_first()
        {
            let is_file = inner.below.is_empty();
            let joined = if name.is_empty() { only } else { format!("{name}/{only}") };
            return if is_file {
                Block { n: joined, c: compressed, u: unpacked, k: Vec::new() }
            } else {
                inner.block(joined)
            };
        }
        let mut all: Vec<Block> = below.into_iter().map(|(name, inner)| inner.block(name)).collect();
        all.sort_by_key(|block| std::cmp::Reverse(block.u));
        if all.len() > MAX_CHILDREN {
            let small = all.split_off(MAX_CHILDREN);
            let sum = |of: fn(&Block) -> u64| small.iter().map(of).sum();
            let n = format!("{} smaller ones", small.len());
            all.push(Block { n, c: sum(|b| b.c), u: sum(|b| b.u), k: Vec::new() });
        }
        Block { n: name, c: compressed, u: unpacked, k: all }
    }
}

fn facts(d: &Description) -> String {
    let mut rows =
        vec![("Kind", d.kind.name().to_owned()), ("Size", show(d.size)), ("SHA-256", d.sha256.to_string())];
    rows.extend(d.machine.map(|machine| ("Machine", machine.to_owned())));
    rows.extend(d.os_release.get("PRETTY_NAME").map(|name| ("System", name.clone())));
    rows.extend(d.kernel.clone().map(|kernel| ("Kernel", kernel)));
    rows.extend(d.command_line.clone().map(|text| ("Command line", text)));
    rows.push(("Files", format!("{}, {} unpacked", d.tree.files, show(d.tree.bytes))));
    rows.extend(d.problems.iter().map(|problem| ("Problem", problem.clone())));
    rows.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value))).collect()
}

fn table(d: &Description) -> String {
    let row = |(nth, s): (usize, &super::split::Segment)| {
        let what = if s.origins.is_empty() { "—".to_owned() } else { escaped(&s.origins.join(", ")) };
        let codec = s.codec.name();
        format!(
            "<tr><td>{}</td><td>{what}</td><td>{codec}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            nth + 1,
            show(s.size),
            show(s.unpacked),
            s.entries
        )
    };
    d.segments.iter().enumerate().map(row).collect()
}

fn packages(d: &Description) -> String {
    let mut sorted: Vec<_> = d.packages.iter().collect();
    sorted.sort_by_key(|package| std::cmp::Reverse(package.installed_size));
    let row = |p: &&super::packages::Package| {
        let size = show(p.installed_size);
        format!("<tr><td>{}</td><td>{}</td><td>{size}</td></tr>\n", escaped(&p.name), escaped(&p.version))
    };
    sorted.iter().map(row).collect()
}
