//! The members of a tar archive as they lie in it, to be copied into another one byte by byte.

use anyhow::Context as _;

const BLOCK: usize = 512;

/// A member with all of its headers.
pub struct Member<'a> {
    /// Its path, without a leading `./`.
    pub name: String,
    /// Headers, content and padding.
    pub bytes: &'a [u8],
    /// The content.
    pub content: &'a [u8],
}

/// The members up to the archive's end.
pub fn members(tar: &[u8]) -> anyhow::Result<Vec<Member<'_>>> {
    let (mut found, mut at, mut start, mut long) = (Vec::new(), 0, 0, None);
    while let Some(head) = tar.get(at..at + BLOCK).filter(|head| head.iter().any(|&byte| byte != 0)) {
        let size = number(head.get(124..136).unwrap_or_default())?;
        let content = tar.get(at + BLOCK..at + BLOCK + size).context("an archive that is cut short")?;
        at += BLOCK + size.next_multiple_of(BLOCK);
        match head.get(156) {
            // GNU tar's: the next member's name, or the target of its link
            Some(b'L') => long = Some(text(content)),
            Some(b'K') => {}
            _ => {
                let name = long.take().unwrap_or_else(|| text(head.get(..100).unwrap_or_default()));
                let bytes = tar.get(start..at).context("an archive that is cut short")?;
                let name = name.trim_start_matches("./").to_owned();
                // The root itself is the container engine's.
                if !name.is_empty() {
                    found.push(Member { name, bytes, content });
                }
                start = at;
            }
        }
    }
    Ok(found)
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

fn number(field: &[u8]) -> anyhow::Result<usize> {
    let text = text(field);
    usize::from_str_radix(text.trim(), 8).with_context(|| format!("a size of {text:?} in an archive"))
}
