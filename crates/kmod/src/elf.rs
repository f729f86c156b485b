//! The few sections of an ELF object that are asked for, within bounds.
//!
//! Source of the format: the System V ABI, chapter 4 (object files: ELF header, section header table, symbol table).
//! Little-endian objects of both classes are read; all that hoopy builds for are such.

/// Why an object is refused. Where depmod would pass over something, this refuses.
pub type Refusal = &'static str;

/// An object, and where its section headers are.
#[derive(Debug, Clone, Copy)]
pub struct Elf<'a> {
    bytes: &'a [u8],
    headers: &'a [u8],
    names: &'a [u8],
    layout: &'static Layout,
}

/// Where fields are, which the class decides.
#[derive(Debug)]
struct Layout {
    /// Of an address or an offset, in bytes.
    word: usize,
    section_table: usize,
    section_entry_size: usize,
    section_count: usize,
    section_names: usize,
    header_len: usize,
    offset: usize,
    size: usize,
    symbol_len: usize,
    symbol_section: usize,
}

/// Where a section header says what kind of section it is, in both classes.
const TYPE: usize = 4;

/// The kind of a section that takes no room in the file (`SHT_NOBITS`).
const NO_BITS: usize = 8;

const BITS_32: Layout = Layout {
    word: 4,
    section_table: 32,
    section_entry_size: 46,
    section_count: 48,
    section_names: 50,
    header_len: 40,
    offset: 16,
    size: 20,
    symbol_len: 16,
    symbol_section: 14,
};

const BITS_64: Layout = Layout {
    word: 8,
    section_table: 40,
    section_entry_size: 58,
    section_count: 60,
    section_names: 62,
    header_len: 64,
    offset: 24,
    size: 32,
    symbol_len: 24,
    symbol_section: 6,
};

/// A symbol: its name's offset in the string table, and whether another object must have it.
#[derive(Debug, Clone, Copy)]
pub struct Symbol {
    /// Where in `.strtab` its name begins.
    pub name: usize,
    /// Whether it is defined elsewhere (`SHN_UNDEF`).
    pub undefined: bool,
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn position(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    usize::try_from(number(bytes, at, len)?).ok()
}

impl<'a> Elf<'a> {
    /// Reads the header.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let layout = match bytes.get(..6) {
            Some([0x7f, b'E', b'L', b'F', 1, 1]) => &BITS_32,
            Some([0x7f, b'E', b'L', b'F', 2, 1]) => &BITS_64,
            _ => return Err("expected a little-endian ELF object"),
        };
        let half = |at| position(bytes, at, 2).ok_or("cut short in the header");
        let (count, strings) = (half(layout.section_count)?, half(layout.section_names)?);
        if half(layout.section_entry_size)? != layout.header_len {
            return Err("section headers of another size than the class has");
        }
        let table = position(bytes, layout.section_table, layout.word).ok_or("cut short in the header")?;
        // At most 65535 of at most 64 bytes: no overflow.
        let end = table.checked_add(count * layout.header_len).ok_or("section headers beyond the end")?;
        let headers = bytes.get(table..end).ok_or("section headers beyond the end")?;
        let mut elf = Self { bytes, headers, names: &[], layout };
        let header = elf.header(strings).ok_or("no section of names")?;
        elf.names = elf.content(header)?;
        if elf.names.last() != Some(&0) {
            return Err("section names that do not end");
        }
        Ok(elf)
    }

    fn header(&self, index: usize) -> Option<&'a [u8]> {
        self.headers.chunks_exact(self.layout.header_len).nth(index)
    }

    fn content(&self, header: &[u8]) -> Result<&'a [u8], Refusal> {
        let field = |at| position(header, at, self.layout.word).ok_or("a section beyond the end");
        let (offset, size) = (field(self.layout.offset)?, field(self.layout.size)?);
        let end = offset.checked_add(size).ok_or("a section beyond the end")?;
        self.bytes.get(offset..end).ok_or("a section beyond the end")
    }

    /// The contents of the first section of each of these names; empty where there is none.
    pub fn sections<const N: usize>(&self, wanted: [&[u8]; N]) -> Result<[&'a [u8]; N], Refusal> {
        let mut found: [Option<&'a [u8]>; N] = [None; N];
        // The first header is of no section.
        for header in self.headers.chunks_exact(self.layout.header_len).skip(1) {
            // One that is wrong makes depmod refuse the object, whichever it is.
            let name = position(header, 0, 4)
                .and_then(|at| self.names.get(at..))
                .ok_or("a section without a name")?;
            let empty = position(header, TYPE, 4) == Some(NO_BITS);
            let content = if empty { &[][..] } else { self.content(header)? };
            let place = wanted
                .iter()
                .position(|w| name.strip_prefix(*w).is_some_and(|rest| rest.first() == Some(&0)));
            let Some(slot) = place.and_then(|place| found.get_mut(place)) else { continue };
            if slot.is_none() {
                *slot = Some(content);
            }
        }
        Ok(found.map(Option::unwrap_or_default))
    }

    /// The symbols of a symbol table, but the first, which is none.
    pub fn symbols(&self, table: &'a [u8]) -> Result<impl Iterator<Item = Symbol> + 'a, Refusal> {
        let layout = self.layout;
        if !table.len().is_multiple_of(layout.symbol_len) {
            return Err("half a symbol");
        }
        Ok(table.chunks_exact(layout.symbol_len).skip(1).filter_map(|entry| {
            let undefined = number(entry, layout.symbol_section, 2)? == 0;
            Some(Symbol { name: position(entry, 0, 4)?, undefined })
        }))
    }

    /// How long the checksum before each name in `__versions` is: a word (`include/linux/module.h` of the kernel,
    /// `struct modversion_info`).
    pub fn word(&self) -> usize {
        self.layout.word
    }
}
