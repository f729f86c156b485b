//! Pax headers (POSIX.1-2001, "pax Header Block"): what a header of tar has no room for, and extended attributes, as GNU tar
//! and others keep them (`SCHILY.xattr.NAME`).

use super::header::{Header, Kind, MAX_NAME, MAX_NUMBER, MAX_SIZE};

/// The largest that is read: the attributes of a file take 64 KiB each at most (xattr(7)), and it has few.
pub const MAX: u64 = 1 << 20;

/// What the names of extended attributes begin with.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// The records that an entry needs; nothing where its header holds all.
pub fn encode(header: &Header) -> Vec<u8> {
    let mut records = Vec::new();
    let is_plain = |name: &[u8]| name.len() <= MAX_NAME && name.is_ascii();
    let raw = |name: &[u8]| std::str::from_utf8(name).is_err();
    if raw(&header.path) || raw(&header.target) {
        record(&mut records, b"hdrcharset", b"BINARY");
    }
    for (key, name) in [(&b"path"[..], &header.path), (b"linkpath", &header.target)] {
        if !is_plain(name) {
            record(&mut records, key, name);
        }
    }
    let numbers = [
        (&b"size"[..], header.size, MAX_SIZE),
        (b"uid", header.user.into(), MAX_NUMBER),
        (b"gid", header.group.into(), MAX_NUMBER),
    ];
    for (key, number, most) in numbers {
        if number > most {
            record(&mut records, key, number.to_string().as_bytes());
        }
    }
    for (name, value) in &header.attributes {
        record(&mut records, &[ATTRIBUTE, name].concat(), value);
    }
    records
}

/// The header of the entry with these records.
pub fn header(records: &[u8]) -> Header {
    let mut header = Header::new(b"pax", Kind::Pax);
    header.size = records.len() as u64;
    header
}

/// `LENGTH KEY=VALUE`, where the length counts itself.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Applies the records before an entry to its header; an error is what is wrong with them.
pub fn apply(mut records: &[u8], header: &mut Header) -> Result<(), String> {
    let bad = || "a pax header that does not parse".to_owned();
    while !records.is_empty() {
        let space = records.iter().position(|&byte| byte == b' ').ok_or_else(bad)?;
        let length = records.get(..space).and_then(|digits| std::str::from_utf8(digits).ok());
        let length: usize = length.and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
        let record = records.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(bad)?;
        records = records.get(length..).unwrap_or_default();
        let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(bad)?;
        let (key, value) =
            (record.get(..equals).unwrap_or_default(), record.get(equals + 1..).unwrap_or_default());
        set(key, value, header).ok_or_else(bad)?;
    }
    Ok(())
}

fn set(key: &[u8], value: &[u8], header: &mut Header) -> Option<()> {
    let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
    match key {
        b"path" => header.path = value.to_vec(),
        b"linkpath" => header.target = value.to_vec(),
        b"size" => header.size = number()?,
        b"uid" => header.user = u32::try_from(number()?).ok()?,
        b"gid" => header.group = u32::try_from(number()?).ok()?,
        // Others say nothing that is kept.
        _ => {
            if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                header.attributes.push((name.to_vec(), value.to_vec()));
            }
        }
    }
    Some(())
}
