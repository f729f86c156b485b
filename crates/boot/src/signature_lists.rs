//! The signature lists of a firmware's variables (PK, KEK, db, dbx), cut into their entries. What an entry is, is for others to
//! understand.
//!
//! ```text
//! list   type GUID | list size u32 | header size u32 | entry size u32 | header | entry*
//! entry  owner GUID | certificate, or digest
//! ```
//!
//! Source of the format: UEFI 2.10, section 32.4.1.

/// Three sizes behind the type.
pub const HEADER_LEN: usize = 28;

/// `EFI_CERT_X509_GUID`, as it lies there.
pub const X509: [u8; 16] =
    [0xA1, 0x59, 0xC0, 0xA5, 0xE4, 0x94, 0xA7, 0x4A, 0x87, 0xB5, 0xAB, 0x15, 0x5C, 0x2B, 0xF0, 0x72];

/// An owner's GUID.
const OWNER_LEN: usize = 16;

/// Bytes that are no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Too few for a header.
    Truncated,
    /// Sizes that do not fit each other, or what is there.
    Sizes {
        /// The list's.
        list: u32,
        /// Its header's.
        header: u32,
        /// An entry's.
        entry: u32,
    },
}

/// A list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    /// What its entries are: a GUID, as it lies there.
    pub kind: [u8; 16],
    body: &'a [u8],
    each: usize,
}

impl<'a> List<'a> {
    /// The first list of `bytes`, and what follows it.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Fault> {
        let number = |at: usize| bytes.get(at..)?.first_chunk().map(|field| u32::from_le_bytes(*field));
        let fields = || Some((*bytes.first_chunk()?, number(16)?, number(20)?, number(24)?));
        let (kind, list, header, entry) = fields().ok_or(Fault::Truncated)?;
        let cut = || {
            let (whole, rest) = bytes.split_at_checked(list as usize)?;
            let body = whole.get(HEADER_LEN..)?.get(header as usize..)?;
            let each = entry as usize;
            (each > OWNER_LEN && body.len() % each == 0).then_some((Self { kind, body, each }, rest))
        };
        cut().ok_or(Fault::Sizes { list, header, entry })
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.body.len() / self.each
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Its entries: who put each there, as it lies there, and what it is.
    pub fn entries(&self) -> impl Iterator<Item = ([u8; 16], &'a [u8])> + use<'a> {
        let entry = |entry: &'a [u8]| entry.split_first_chunk().map(|(owner, data)| (*owner, data));
        self.body.chunks_exact(self.each).filter_map(entry)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn list(entry: u32, data: &[u8]) -> Vec<u8> {
        let mut list = X509.to_vec();
        [HEADER_LEN as u32 + data.len() as u32, 0, entry]
            .iter()
            .for_each(|number| list.extend(number.to_le_bytes()));
        list.extend(data);
        list
    }

    #[test]
    fn lists_behind_each_other_are_cut_into_entries() {
        let bytes = [list(20, &[7; 40]), list(17, &[9; 17])].concat();
        let (first, rest) = List::first(&bytes).unwrap();
        assert_eq!((first.kind, first.len(), first.is_empty()), (X509, 2, false));
        assert!(first.entries().all(|(owner, data)| owner == [7; 16] && data == [7; 4]));
        let (second, rest) = List::first(rest).unwrap();
        assert_eq!((second.entries().count(), rest.len()), (1, 0));
        assert_eq!(List::first(rest), Err(Fault::Truncated));
        assert_eq!(List::first(&list(16, &[0; 16])), Err(Fault::Sizes { list: 44, header: 0, entry: 16 }));
    }

    proptest! {
        #[test]
        fn every_list_makes_what_is_left_shorter(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 0..200_u32) {
            let mut bytes = bytes;
            if let Some(field) = bytes.get_mut(16..20) {
                field.copy_from_slice(&size.to_le_bytes());
            }
            if let Ok((list, rest)) = List::first(&bytes) {
                prop_assert!(rest.len() + HEADER_LEN <= bytes.len());
                prop_assert_eq!(list.entries().count(), list.len());
            }
        }
    }
}
