//! Names as depmod writes them.

use crate::Error;

/// Longest name or value: depmod's buffers are `PATH_MAX`, and the kernel's own bound on what asks for an alias is
/// far below this.
pub const MAX_TEXT: usize = 2048;

/// Printable ASCII of a bounded length, or the error that names `place`.
pub fn checked(text: &[u8], place: impl FnOnce() -> String) -> Result<&[u8], Error> {
    if text.len() <= MAX_TEXT && text.iter().all(|b| (0x20..0x7f).contains(b)) {
        return Ok(text);
    }
    let shown = text.get(..MAX_TEXT).unwrap_or(text);
    Err(Error::Text { place: place(), text: shown.escape_ascii().to_string() })
}

/// The name of the module at `path`: what stands before the first dot of its file name, dashes as underscores.
pub fn module_name(path: &[u8]) -> Vec<u8> {
    let file = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    let stem = file.split(|b| *b == b'.').next().unwrap_or(file);
    stem.iter().map(|b| if *b == b'-' { b'_' } else { *b }).collect()
}

/// An alias as it is looked up: dashes as underscores, but in brackets, where they are ranges. `None` where
/// brackets do not match.
pub fn normal_alias(alias: &[u8]) -> Option<Vec<u8>> {
    let mut inside = false;
    let mut normal = Vec::with_capacity(alias.len());
    for byte in alias {
        match (byte, inside) {
            (b'[', false) => inside = true,
            (b']', true) => inside = false,
            (b']', false) => return None,
            _ => {}
        }
        normal.push(if *byte == b'-' && !inside { b'_' } else { *byte });
    }
    (!inside).then_some(normal)
}

/// Paul Hsieh's SuperFastHash (<http://www.azillionmonkeys.com/qed/hash.html>) of ASCII text: the order of
/// `modules.symbols` is that of kmod's hash table.
pub fn superfast(text: &[u8]) -> u32 {
    let two = |pair: &[u8]| pair.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
    let mut hash = text.len() as u32;
    let mut fours = text.chunks_exact(4);
    for four in &mut fours {
        let (low, high) = four.split_at(2);
        hash = hash.wrapping_add(two(low));
        hash = (hash << 16) ^ (two(high) << 11) ^ hash;
        hash = hash.wrapping_add(hash >> 11);
    }
    match *fours.remainder() {
        [a, b, c] => {
            hash = hash.wrapping_add(two(&[a, b]));
            hash ^= hash << 16;
            hash ^= u32::from(c) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [a, b] => {
            hash = hash.wrapping_add(two(&[a, b]));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [a] => {
            hash = hash.wrapping_add(u32::from(a));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    for (left, right) in [(3, 5), (4, 17), (25, 6)] {
        hash ^= hash << left;
        hash = hash.wrapping_add(hash >> right);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_called_by_its_file_up_to_the_first_dot() {
        assert_eq!(module_name(b"kernel/crypto/twofish-x86_64.ko.gz"), b"twofish_x86_64");
        assert_eq!(module_name(b"a.b.ko"), b"a");
    }

    #[test]
    fn dashes_in_brackets_stay() {
        assert_eq!(normal_alias(b"usb:v1-2[0-9]-"), Some(b"usb:v1_2[0-9]_".to_vec()));
        assert_eq!((normal_alias(b"a]"), normal_alias(b"a[b")), (None, None));
    }
}
