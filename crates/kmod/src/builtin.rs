//! What is built into the kernel: `modules.builtin` names it, `modules.builtin.modinfo` has what it says of itself.
//!
//! Source of the formats: Linux `Documentation/kbuild/kbuild.rst`.

use crate::index::Index;
use crate::{Error, text};

const LIST: &str = "modules.builtin";
const INFO: &str = "modules.builtin.modinfo";

/// `modules.builtin.bin`: the names.
pub fn names(list: &[u8]) -> Result<Vec<u8>, Error> {
    let mut index = Index::default();
    for line in list.split_inclusive(|b| *b == b'\n') {
        let path =
            line.strip_suffix(b".ko\n").filter(|path| path.first().is_some_and(u8::is_ascii_alphabetic));
        let bad = || {
            let line = line.escape_ascii().to_string();
            Error::List { list: LIST, line, expected: "a path that ends with .ko" }
        };
        let path = text::checked(path.ok_or_else(bad)?, || LIST.to_owned())?;
        index.add(text::module_name(path), b"", 0);
    }
    index.write()
}

/// `modules.builtin.alias.bin`: by which names it is asked for.
pub fn aliases(info: &[u8]) -> Result<Vec<u8>, Error> {
    let mut index = Index::default();
    for text in info.split_inclusive(|b| *b == 0) {
        let said =
            text.strip_suffix(b"\0").and_then(|text| Some((text, text.iter().position(|b| *b == b'.')?)));
        let (name, said) = said.and_then(|(text, dot)| text.split_at_checked(dot)).ok_or_else(|| {
            let line = text.escape_ascii().to_string();
            Error::List { list: INFO, line, expected: "a module's name, a dot, and what it says" }
        })?;
        text::checked(name, || INFO.to_owned())?;
        if let Some(alias) = said.strip_prefix(b".alias=") {
            let alias = text::checked(alias, || INFO.to_owned())?;
            let unmatched = || Error::Text { place: INFO.into(), text: alias.escape_ascii().to_string() };
            index.add(text::normal_alias(alias).ok_or_else(unmatched)?, name, 0);
        }
    }
    index.write()
}
