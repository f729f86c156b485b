//! The few sections of an ELF object that are asked for.
//!
//! Little-endian objects of both classes are read; all that hoopy builds for are such.

use object::LittleEndian;
use object::elf::{FileHeader32, FileHeader64, Sym32, Sym64};
use object::pod::{Pod, slice_from_all_bytes};
use object::read::elf::{FileHeader, SectionHeader as _, Sym};

/// Why an object is refused. Where depmod would pass over something, this refuses.
pub type Refusal = &'static str;

/// How wide an object's addresses are, which decides how it is laid out.
#[derive(Debug, Clone, Copy)]
pub enum Class {
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

/// A symbol: its name's offset in the string table, and whether another object must have it.
#[derive(Debug, Clone, Copy)]
pub struct Symbol {
    /// Where in `.strtab` its name begins.
    pub name: usize,
    /// Whether it is defined elsewhere (`SHN_UNDEF`).
    pub undefined: bool,
}

impl Class {
    /// Of the object with these bytes.
    pub fn of(bytes: &[u8]) -> Result<Self, Refusal> {
        match bytes.get(..6) {
            Some([0x7f, b'E', b'L', b'F', 1, 1]) => Ok(Self::Bits32),
            Some([0x7f, b'E', b'L', b'F', 2, 1]) => Ok(Self::Bits64),
            _ => Err("expected a little-endian ELF object"),
        }
    }

    /// The contents of the first section of each of these names; empty where there is none.
    pub fn sections<'a, const N: usize>(
        self,
        bytes: &'a [u8],
        wanted: [&[u8]; N],
    ) -> Result<[&'a [u8]; N], Refusal> {
        match self {
            Self::Bits32 => sections::<FileHeader32<LittleEndian>, N>(bytes, wanted),
            Self::Bits64 => sections::<FileHeader64<LittleEndian>, N>(bytes, wanted),
        }
    }

    /// The symbols of a symbol table, but the first, which is none.
    pub fn symbols(self, table: &[u8]) -> Result<Vec<Symbol>, Refusal> {
        match self {
            Self::Bits32 => symbols::<Sym32<LittleEndian>>(table),
            Self::Bits64 => symbols::<Sym64<LittleEndian>>(table),
        }
    }

    /// How long the checksum before each name in `__versions` is: a word (`include/linux/module.h` of the kernel,
    /// `struct modversion_info`).
    pub fn word(self) -> usize {
        match self {
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }
}

fn sections<'a, H: FileHeader<Endian = LittleEndian>, const N: usize>(
    bytes: &'a [u8],
    wanted: [&[u8]; N],
) -> Result<[&'a [u8]; N], Refusal> {
    let header = H::parse(bytes).map_err(|_| "cut short in the header, or of another version")?;
    // The counts for more sections than 16 bits can tell are not for depmod.
    if header.e_shnum(LittleEndian) == 0 || header.e_shstrndx(LittleEndian).index().is_none() {
        return Err("no section of names");
    }
    let headers =
        header.section_headers(LittleEndian, bytes).map_err(|_| "no section headers, or cut short")?;
    let names = header.section_strings(LittleEndian, bytes, headers).map_err(|_| "no section of names")?;
    let mut found: [Option<&'a [u8]>; N] = [None; N];
    // The first header is of no section.
    for section in headers.iter().skip(1) {
        // One that is wrong makes depmod refuse the object, whichever it is.
        let name = section.name(LittleEndian, names).map_err(|_| "a section without a name")?;
        let content = section.data(LittleEndian, bytes).map_err(|_| "a section beyond the end")?;
        let place = wanted.iter().position(|wanted| *wanted == name);
        let Some(slot) = place.and_then(|place| found.get_mut(place)) else { continue };
        slot.get_or_insert(content);
    }
    Ok(found.map(Option::unwrap_or_default))
}

fn symbols<S: Sym<Endian = LittleEndian> + Pod>(table: &[u8]) -> Result<Vec<Symbol>, Refusal> {
    let entries = slice_from_all_bytes::<S>(table).map_err(|()| "half a symbol")?;
    let symbol = |entry: &S| Symbol {
        name: entry.st_name(LittleEndian) as usize,
        undefined: entry.is_undefined(LittleEndian),
    };
    Ok(entries.iter().skip(1).map(symbol).collect())
}
