//! Writes the files that depmod writes.
//!
//! Source of the formats: depmod(8), modules.dep(5), modprobe.d(5); the order of lines is depmod's own.

use std::io::Write as _;

use crate::index::Index;
use crate::order::{Exports, dependencies, exports, sorted};
use crate::{Error, File, Lists, Module, builtin, text};

/// How many buckets kmod's table of symbols has: its order shows in `modules.symbols`.
const BUCKETS: u32 = 2048;

/// What depmod writes, sorted.
pub const NAMES: [&str; 11] = [
    "modules.alias",
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep",
    "modules.dep.bin",
    "modules.devname",
    "modules.softdep",
    "modules.symbols",
    "modules.symbols.bin",
    "modules.weakdep",
];

/// What depmod writes into `lib/modules/VERSION` for these modules: the files of [`NAMES`], in their order.
///
/// # Errors
/// [`Error`], where only depmod itself can tell.
pub fn files(modules: Vec<Module>, lists: &Lists<'_>) -> Result<Vec<File>, Error> {
    let modules = sorted(modules, lists.order)?;
    let exports = exports(&modules);
    let needed = dependencies(&modules, &exports)?;
    let (dep, dep_bin) = dep(&modules, &needed)?;
    let (symbols, symbols_bin) = symbols(&modules, &exports)?;
    let soft = said(&modules, "softdep", "# Soft dependencies extracted from modules themselves.\n");
    let weak = said(&modules, "weakdep", "# Weak dependencies extracted from modules themselves.\n");
    let contents = [
        alias(&modules),
        alias_bin(&modules)?,
        builtin::aliases(lists.builtin_modinfo)?,
        builtin::names(lists.builtin)?,
        dep,
        dep_bin,
        devname(&modules)?,
        soft,
        symbols,
        symbols_bin,
        weak,
    ];
    Ok(NAMES.into_iter().zip(contents).map(|(name, content)| File { name, content }).collect())
}

fn dep(modules: &[Module], needed: &[Vec<usize>]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut text, mut index) = (Vec::new(), Index::default());
    for (place, (module, needed)) in modules.iter().zip(needed).enumerate() {
        let start = text.len();
        text.extend(&module.path);
        text.push(b':');
        for other in needed.iter().filter_map(|other| modules.get(*other)) {
            text.push(b' ');
            text.extend(&other.path);
        }
        index.add(module.name.clone(), text.get(start..).unwrap_or_default(), place);
        text.push(b'\n');
    }
    Ok((text, index.write()?))
}

/// Each module's own aliases, with its place.
fn aliases(modules: &[Module]) -> impl Iterator<Item = (usize, &Module, &[u8])> {
    modules.iter().enumerate().flat_map(|(place, module)| {
        module.info.iter().filter_map(move |said| Some((place, module, said.strip_prefix(b"alias=")?)))
    })
}

fn alias(modules: &[Module]) -> Vec<u8> {
    let mut file = b"# Aliases extracted from modules themselves.\n".to_vec();
    for (_, module, alias) in aliases(modules) {
        line(&mut file, [b"alias", alias, &module.name]);
    }
    file
}

fn alias_bin(modules: &[Module]) -> Result<Vec<u8>, Error> {
    let mut index = Index::default();
    for (place, module, alias) in aliases(modules) {
        let unmatched = || {
            let place = module.path.escape_ascii().to_string();
            Error::Text { place, text: alias.escape_ascii().to_string() }
        };
        index.add(text::normal_alias(alias).ok_or_else(unmatched)?, &module.name, place);
    }
    index.write()
}

/// What modules say under `key`, below a title.
fn said(modules: &[Module], key: &str, title: &str) -> Vec<u8> {
    let mut file = title.as_bytes().to_vec();
    for module in modules {
        let values =
            module.info.iter().filter_map(|said| said.strip_prefix(key.as_bytes())?.strip_prefix(b"="));
        values.for_each(|value| line(&mut file, [key.as_bytes(), &module.name, value]));
    }
    file
}

fn symbols(modules: &[Module], exports: &Exports<'_>) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let mut sorted: Vec<(u32, &[u8], usize)> =
        exports.iter().map(|(name, owner)| (text::superfast(name) % BUCKETS, *name, *owner)).collect();
    sorted.sort_unstable();
    let mut file = b"# Aliases for symbols, used by symbol_request().\n".to_vec();
    let mut index = Index::default();
    for (_, name, owner) in sorted {
        let Some(module) = modules.get(owner) else { continue };
        let key = [b"symbol:", name].concat();
        line(&mut file, [b"alias", &key, &module.name]);
        index.add(key, &module.name, owner);
    }
    Ok((file, index.write()?))
}

/// Device nodes that load a module when they are opened: of a module with a name and a number for one. Where
/// there is none, the file is empty.
fn devname(modules: &[Module]) -> Result<Vec<u8>, Error> {
    let mut file = Vec::new();
    let mut done = None;
    let (mut current, mut name, mut number) = (None, None, None);
    for (place, module, alias) in aliases(modules) {
        if current != Some(place) {
            (current, name, number) = (Some(place), None, None);
        }
        if done == Some(place) {
            continue;
        }
        if let Some(given) = alias.strip_prefix(b"devname:") {
            name = Some(given);
        } else {
            number = device(alias, &module.path)?.or(number);
        }
        if let (Some(name), Some((kind, major, minor))) = (name, number) {
            if file.is_empty() {
                file.extend(b"# Device nodes to trigger on-demand module loading.\n");
            }
            // Into memory.
            let _ = write!(file, "{} {} ", module.name.escape_ascii(), name.escape_ascii());
            let _ = writeln!(file, "{kind}{major}:{minor}");
            done = Some(place);
        }
    }
    Ok(file)
}

/// The device that an alias means: `char-major-10-229`. Where it says all minors, or something else, it means none.
fn device(alias: &[u8], path: &[u8]) -> Result<Option<(char, u32, u32)>, Error> {
    let kinds: [(&[u8], char); 2] = [(b"char-major-", 'c'), (b"block-major-", 'b')];
    let found = kinds.iter().find_map(|(start, kind)| Some((alias.strip_prefix(*start)?, *kind)));
    let Some((numbers, kind)) = found else { return Ok(None) };
    let mut numbers = numbers.splitn(2, |b| *b == b'-');
    let mut next = || std::str::from_utf8(numbers.next()?).ok();
    let (major, minor) = (next(), next());
    if minor == Some("*") || minor.is_none() {
        return Ok(None);
    }
    let plain = |text: Option<&str>| text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
    let unclear =
        || Error::Text { place: path.escape_ascii().to_string(), text: alias.escape_ascii().to_string() };
    let (major, minor) = plain(major).zip(plain(minor)).ok_or_else(unclear)?;
    Ok(Some((kind, major, minor)))
}

/// Words with spaces between them.
fn line(file: &mut Vec<u8>, words: [&[u8]; 3]) {
    let [first, second, third] = words;
    file.extend(first);
    file.push(b' ');
    file.extend(second);
    file.push(b' ');
    file.extend(third);
    file.push(b'\n');
}
