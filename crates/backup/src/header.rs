//! The header of a tar entry, as POSIX.1-2001 has it ("ustar Interchange Format"). What does not fit is in a pax header
//! before it ([`super::pax`]).

/// Headers and contents are in blocks of this size.
pub const BLOCK: usize = 512;

/// The largest number of the eleven octal digits of a size.
pub const MAX_SIZE: u64 = 0o777_7777_7777;

/// The largest number of the seven octal digits of other fields.
pub const MAX_NUMBER: u64 = 0o777_7777;

/// The longest name, and the longest target of a link.
pub const MAX_NAME: usize = 100;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of an earlier file.
    Hardlink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A pipe.
    Fifo,
    /// The pax header of the next entry.
    Pax,
}

/// Each kind and its flag.
const KINDS: [(Kind, u8); 8] = [
    (Kind::File, b'0'),
    (Kind::Hardlink, b'1'),
    (Kind::Symlink, b'2'),
    (Kind::Character, b'3'),
    (Kind::Block, b'4'),
    (Kind::Directory, b'5'),
    (Kind::Fifo, b'6'),
    (Kind::Pax, b'x'),
];

/// An entry without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its path in the archive.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// The number of its user.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
    /// Bytes of its content.
    pub size: u64,
    /// When it was changed, in seconds since 1970.
    pub modified: u64,
    /// The target of a link.
    pub target: Vec<u8>,
    /// The numbers of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Header {
    /// An empty entry of this kind.
    pub fn new(path: &[u8], kind: Kind) -> Self {
        let (path, target, attributes) = (path.to_vec(), Vec::new(), Vec::new());
        let (mode, user, group, size, modified, device) = (0o600, 0, 0, 0, 0, (0, 0));
        Self { path, kind, mode, user, group, size, modified, target, device, attributes }
    }

    /// The block; numbers and names that are too large are cut, since the pax header has them.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = block.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        let cut = |bytes: &[u8]| bytes.get(..MAX_NAME).unwrap_or(bytes).to_vec();
        let octal = |number: u64| format!("{:07o}\0", number.min(MAX_NUMBER));
        put(0, &cut(&self.path));
        put(100, octal(self.mode.into()).as_bytes());
        put(108, octal(self.user.into()).as_bytes());
        put(116, octal(self.group.into()).as_bytes());
        put(124, format!("{:011o}\0", self.size.min(MAX_SIZE)).as_bytes());
        put(136, format!("{:011o}\0", self.modified.min(MAX_SIZE)).as_bytes());
        put(148, b"        ");
        put(
            156,
            &KINDS.iter().filter(|(kind, _)| *kind == self.kind).map(|(_, flag)| *flag).collect::<Vec<_>>(),
        );
        put(157, &cut(&self.target));
        put(257, b"ustar\x0000");
        put(329, octal(self.device.0.into()).as_bytes());
        put(337, octal(self.device.1.into()).as_bytes());
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        if let Some(place) = block.get_mut(148..156) {
            place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        block
    }

    /// Decodes a block; the error says what was found where a header must be.
    pub fn decode(block: &[u8; BLOCK]) -> Result<Self, String> {
        let field = |at: usize, size: usize| block.get(at..at + size).unwrap_or_default();
        let number =
            |at, size| octal(field(at, size)).ok_or_else(|| format!("a header with a bad number at {at}"));
        let small = |at, size| {
            number(at, size)
                .and_then(|n| u32::try_from(n).map_err(|_| format!("a number that is too large at {at}")))
        };
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, &b)| if (148..156).contains(&at) { 32 } else { b.into() })
            .sum();
        if field(257, 5) != b"ustar" || number(148, 8)? != sum {
            return Err("no header of tar".to_owned());
        }
        let flag = field(156, 1).first().copied().unwrap_or_default();
        let kind = KINDS.iter().find(|(_, known)| *known == flag).map(|(kind, _)| *kind);
        let mut path = text(field(0, MAX_NAME)).to_vec();
        let prefix = text(field(345, 155));
        if !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
        Ok(Self {
            path,
            kind: kind.ok_or_else(|| format!("an entry of the kind {:?}", char::from(flag)))?,
            mode: small(100, 8)?,
            user: small(108, 8)?,
            group: small(116, 8)?,
            size: number(124, 12)?,
            modified: number(136, 12)?,
            target: text(field(157, MAX_NAME)).to_vec(),
            device: (small(329, 8)?, small(337, 8)?),
            attributes: Vec::new(),
        })
    }
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text(field)).ok()?.trim_matches(' ');
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}
