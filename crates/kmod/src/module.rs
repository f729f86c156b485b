//! One kernel module: its metadata, the symbols that it exports and those that it needs.
//!
//! ```text
//! .modinfo            key=value NUL ...                        what it says of itself
//! .symtab, .strtab    __crc_NAME: it exports NAME; undefined symbols: what it needs
//! __ksymtab_strings   NAME NUL ...                             what it exports, where checksums are not in the table
//! __versions          (checksum, NAME padded with NUL to 64 bytes in all)*   what it was built against
//! ```
//!
//! Source of the format: Linux `include/linux/module.h`, `moduleparam.h` and `export.h`, `scripts/mod/modpost.c`.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memchr;

use crate::elf::{Class, Refusal};
use crate::{Error, text};

/// Most that a module may take unpacked: several times the largest of a distribution's (amdgpu, with its relocations).
const MAX_UNPACKED: usize = 128 << 20;

/// What a byte of a deflate stream can become at most: two bits a match of 258 bytes (RFC 1951), a little less.
const MAX_RATIO: usize = 1032;

/// The window of any deflate stream (RFC 1951): 2^15 bytes.
const WINDOW_BITS: u8 = 15;

/// How long an entry of `__versions` is, on every architecture.
const VERSION_LEN: usize = 64;

/// What a module's exported symbols begin with in its symbol table.
const CHECKSUM: &[u8] = b"__crc_";

/// What is to be known of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Where it is, below `lib/modules/VERSION`.
    pub(crate) path: Vec<u8>,
    /// What it is called.
    pub(crate) name: Vec<u8>,
    /// What it says of itself that an index has: `alias`, `softdep` and `weakdep`, each with its `=` and value.
    pub(crate) info: Strings,
    /// The symbols that it has for others.
    pub(crate) exports: Strings,
    /// The symbols that it needs.
    pub(crate) needs: Strings,
}

/// Strings end to end, none with a NUL: modules have tens of thousands of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Strings(Vec<u8>);

impl Strings {
    fn push(&mut self, text: &[u8]) {
        self.0.extend(text);
        self.0.push(0);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        terminated(&self.0)
    }
}

/// The strings of a section of strings, empty ones left out.
fn terminated(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    section.split(|b| *b == 0).filter(|text| !text.is_empty())
}

/// The string that begins at `at`.
fn string(table: &[u8], at: usize) -> Option<&[u8]> {
    let rest = table.get(at..)?;
    rest.get(..memchr(0, rest)?)
}

/// Whether depmod takes a file of this name for a module.
pub fn is_module(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    [".ko", ".ko.gz", ".ko.xz", ".ko.zst"].iter().any(|ending| name.ends_with(ending.as_bytes()))
}

impl Module {
    /// Reads the module whose file at `path`, below `lib/modules/VERSION`, has these bytes. `room` is room to unpack
    /// it in, to be given again for the next.
    ///
    /// # Errors
    /// [`Error`], where only depmod itself can tell.
    pub fn read(path: &[u8], file: &[u8], room: &mut Vec<u8>) -> Result<Self, Error> {
        let place = || path.escape_ascii().to_string();
        text::checked(path, || "a path".to_owned())?;
        let object = if path.ends_with(b".ko.gz") {
            let size = inflate(file, room).map_err(|source| Error::Inflate { path: place(), source })?;
            room.get(..size).unwrap_or_default()
        } else if path.ends_with(b".ko") {
            file
        } else {
            return Err(Error::Compression { path: place() });
        };
        if object.len() > MAX_UNPACKED {
            return Err(Error::TooLarge { what: place(), most: MAX_UNPACKED });
        }
        let module = Self::of_object(path, object).map_err(|what| Error::Elf { path: place(), what })?;
        let texts = module.info.iter().chain(module.exports.iter()).chain(module.needs.iter());
        texts.map(|text| text::checked(text, place)).try_for_each(|text| text.map(|_| ()))?;
        Ok(module)
    }

    fn of_object(path: &[u8], object: &[u8]) -> Result<Self, Refusal> {
        let class = Class::of(object)?;
        let wanted: [&[u8]; 5] = [b".modinfo", b"__ksymtab_strings", b"__versions", b".symtab", b".strtab"];
        let [info, exported, versions, symbols, names] = class.sections(object, wanted)?;
        if symbols.is_empty() || names.is_empty() {
            return Err("no symbols");
        }
        let mut module = Self {
            path: path.to_vec(),
            name: text::module_name(path),
            info: Strings::default(),
            exports: Strings::default(),
            needs: Strings::default(),
        };
        let kept: [&[u8]; 3] = [b"alias=", b"softdep=", b"weakdep="];
        let said = terminated(info).filter(|text| kept.iter().any(|key| text.starts_with(key)));
        said.for_each(|text| module.info.push(text));
        for symbol in class.symbols(symbols)? {
            let start = names.get(symbol.name..).ok_or("a symbol's name beyond the end")?;
            // Most symbols are the module's own: their names need not be looked for an end.
            if !symbol.undefined && !start.starts_with(CHECKSUM) {
                continue;
            }
            let name = string(start, 0).ok_or("a symbol's name that does not end")?;
            match name.strip_prefix(CHECKSUM) {
                Some([]) => return Err("a checksum of no symbol"),
                Some(exported) => module.exports.push(exported),
                None => {}
            }
            if symbol.undefined && !name.is_empty() {
                module.needs.push(name);
            }
        }
        if module.exports.0.is_empty() {
            terminated(exported).for_each(|name| module.exports.push(name));
        }
        module.versions(versions, class.word())?;
        Ok(module)
    }

    /// What it was built against, after what it needs: most are there already, and once is enough.
    fn versions(&mut self, section: &[u8], word: usize) -> Result<(), Refusal> {
        if !section.len().is_multiple_of(VERSION_LEN) {
            return Err("half a version");
        }
        for entry in section.chunks_exact(VERSION_LEN) {
            let name = string(entry, word).ok_or("a version's name that does not end")?;
            if name.is_empty() {
                return Err("a version of no symbol");
            }
            self.needs.push(name);
        }
        Ok(())
    }
}

/// One gzip member and nothing after it, into the beginning of `room`; gives how much that is. In one go, so that
/// nothing is copied for what might follow.
fn inflate(file: &[u8], room: &mut Vec<u8>) -> io::Result<usize> {
    // The last four bytes are the size modulo 2^32 (RFC 1952): only a hint, and so bounded.
    let hint = file.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    let hint = hint.min(MAX_UNPACKED).min(file.len().saturating_mul(MAX_RATIO));
    // What is there stays: filling it for each module anew would cost more than unpacking does.
    room.resize(room.len().max(hint + 1), 0);
    let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let mut member = Decompress::new_gzip(WINDOW_BITS);
    loop {
        let (read, written) = (member.total_in() as usize, member.total_out() as usize);
        let rest = file.get(read..).unwrap_or_default();
        let free = room.get_mut(written..).unwrap_or_default();
        let status = member.decompress(rest, free, FlushDecompress::Finish)?;
        let now = (member.total_in() as usize, member.total_out() as usize);
        match status {
            Status::StreamEnd if now.0 < file.len() => return invalid("something follows the first member"),
            Status::StreamEnd => return Ok(now.1),
            // The caller says that it is too large.
            _ if now.1 > MAX_UNPACKED => return Ok(now.1),
            // The hint was wrong.
            _ if now.1 == room.len() => room.resize((2 * room.len()).min(MAX_UNPACKED + 1), 0),
            _ if now == (read, written) => return invalid("it is cut short"),
            _ => {}
        }
    }
}
