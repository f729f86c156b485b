//! PAX records: `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record, so that a value may hold any byte,
//! newlines too (a capability attribute does).

use super::{Entry, TarError};

/// What extended headers said of the next entry.
#[derive(Debug, Default)]
pub struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    /// A sparse file, in any of GNU tar's three formats for that (`GNU.sparse.*`), and its name in the newer two, where `path` is one
    /// that no file has.
    pub sparse: bool,
    pub sparse_name: Option<Vec<u8>>,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extended {
    /// Reads the records of one extended header.
    pub fn parse(&mut self, mut bytes: &[u8]) -> Result<(), TarError> {
        while !bytes.is_empty() {
            let space =
                bytes.iter().position(|&b| b == b' ').ok_or(TarError::Pax("a record without a length"))?;
            let length =
                decimal(&bytes[..space]).ok_or(TarError::Pax("a record whose length is not a number"))?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let record =
                bytes.get(space + 1..length).ok_or(TarError::Pax("a record longer than its header"))?;
            let record = record.strip_suffix(b"\n").ok_or(TarError::Pax("a record without a newline"))?;
            let equals =
                record.iter().position(|&b| b == b'=').ok_or(TarError::Pax("a record without a value"))?;
            self.record(&record[..equals], &record[equals + 1..])?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value).ok_or(TarError::Pax("a size that is not a number"))?),
            b"GNU.sparse.name" => {
                self.sparse = true;
                self.sparse_name = Some(value.to_vec());
            }
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => self.records.push((key.to_vec(), value.to_vec())),
        }
        Ok(())
    }

    /// Puts what the records say into `entry`. A record nobody knows is passed over, as the format asks.
    pub fn apply(self, entry: &mut Entry) -> Result<(), TarError> {
        for (key, value) in self.records {
            let number = |what| {
                decimal(value.split(|&b| b == b'.').next().unwrap_or_default()).ok_or(TarError::Pax(what))
            };
            let id = |what| u32::try_from(number(what)?).map_err(|_| TarError::Pax(what));
            match key.as_slice() {
                b"uid" => entry.uid = id("a uid that is not a number")?,
                b"gid" => entry.gid = id("a gid that is not a number")?,
                b"mtime" => entry.mtime = number("a time that is not a number")?,
                b"uname" => entry.uname = String::from_utf8_lossy(&value).into_owned(),
                b"gname" => entry.gname = String::from_utf8_lossy(&value).into_owned(),
                b"APK-TOOLS.checksum.SHA1" => {
                    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(&value).ok();
                    let bytes = bytes.and_then(|b| b.try_into().ok());
                    entry.sha1 = Some(bytes.ok_or(TarError::Pax("a checksum that is not a SHA-1"))?);
                }
                key => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        entry.xattrs.insert(name.to_vec(), value);
                    }
                }
            }
        }
        Ok(())
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends one record. Its length counts its own digits.
pub fn put(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend(length.to_string().as_bytes());
    out.push(b' ');
    out.extend(key);
    out.push(b'=');
    out.extend(value);
    out.push(b'\n');
}
