//! `.sbat`: a table (CSV) of the parts in an image, each with its generation, by which shim revokes.
//!
//! An image has one, so that the stub's, the kernel's and ours become one table: its first line is the version
//! of the format, and no line stands there twice.
//!
//! Source of the format: shim `SBAT.md`.

/// What every table starts with.
const VERSION: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";

/// One table of the lines of all of these, in their order.
pub fn merge<'a>(tables: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = vec![VERSION.as_bytes()];
    for line in tables.into_iter().flat_map(|table| table.split(|&byte| matches!(byte, b'\n' | 0))) {
        let line = line.trim_ascii();
        let is_version = line.starts_with(b"sbat,");
        if !line.is_empty() && !is_version && !lines.contains(&line) {
            lines.push(line);
        }
    }
    let mut table = lines.join(&b'\n');
    table.push(b'\n');
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn tables_become_one_with_each_line_once() {
        let stub = b"sbat,1,SBAT Version,sbat,1,https://example.org\nsystemd,1,A,systemd,252,https://b\n\0\0";
        let ours = b"sbat,1,x\nsystemd,1,A,systemd,252,https://b\nhoopy,1,H,hoopy,1,https://h";
        let merged = String::from_utf8(merge([stub.as_slice(), ours])).unwrap();
        assert_eq!(
            merged,
            format!("{VERSION}\nsystemd,1,A,systemd,252,https://b\nhoopy,1,H,hoopy,1,https://h\n")
        );
    }
}
