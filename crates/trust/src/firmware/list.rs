//! Signature lists: certificates and digests, each with who put it there.
//!
//! `hoopy_boot::signature_lists` cuts them, for the machine as well. Entries of a list have one size, so each certificate has a list of its own. GUIDs are mixed-endian.

use hoopy_boot::signature_lists::{self, Fault, HEADER_LEN, List};
use uuid::Uuid;

use crate::authenticode::Signature;
use crate::certificate::Certificate;

/// Who put an entry there, for entries of hoopy's. One for all, so that the same keys give the same variables, and with
/// them the same PCR 7.
pub const OWNER: Uuid = Uuid::from_u128(0xf0a4bd9c_5b5c_4f3e_8d4e_3a1c6f686f70);

/// `EFI_CERT_X509_GUID`
const X509: Uuid = Uuid::from_bytes_le(signature_lists::X509);

/// `EFI_CERT_SHA256_GUID`
const SHA256: Uuid = Uuid::from_u128(0xc1c41626_504c_4092_aca9_41f936934328);

/// `EFI_CERT_X509_SHA256_GUID`, `EFI_CERT_X509_SHA384_GUID` and `EFI_CERT_X509_SHA512_GUID`, each with the length of its digest.
const X509_DIGESTS: [(Uuid, usize); 3] = [
    (Uuid::from_u128(0x3bd2a492_96c0_4079_b420_fcf98ef103ed), 32),
    (Uuid::from_u128(0x7076876e_80c2_4ee6_aad2_28b349a6865b), 48),
    (Uuid::from_u128(0x446dbf63_2502_4cda_bcfa_2465d2b0fe9d), 64),
];

/// The `EFI_TIME` behind such a digest. Firmware takes what was signed before it if a timestamp in the signature proves that.
/// Signatures of hoopy's have none, and none is read here, so that for what has one this may refuse what firmware takes.
const REVOCATION_TIME: usize = 16;

/// The most lists that are read: a dbx of today has two, a db some five.
pub const MAX_LISTS: usize = 256;

/// The most entries that are read: a dbx of today has some five hundred.
const MAX_ENTRIES: usize = 1 << 16;

/// A variable whose lists cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Sizes that do not fit each other, or the variable.
    #[error(
        "signature list at byte {offset}: list, header and entries of {list}, {header} and {entry} bytes do not fit each other, or the {left} bytes that are left"
    )]
    Sizes {
        /// Where it starts.
        offset: usize,
        /// Its size.
        list: u32,
        /// Its header's.
        header: u32,
        /// An entry's.
        entry: u32,
        /// To the end.
        left: usize,
    },
    /// The last one is cut.
    #[error("signature list at byte {offset}: {left} bytes are left, expected {HEADER_LEN} or more")]
    Truncated {
        /// Where it starts.
        offset: usize,
        /// To the end.
        left: usize,
    },
    /// More than any firmware has room for.
    #[error("more than {MAX_LISTS} signature lists, or {MAX_ENTRIES} entries")]
    TooMany,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A certificate with an RSA key.
    Certificate(Box<Certificate>),
    /// The SHA-256 of a program, as Authenticode has it.
    Digest([u8; 32]),
    /// The digest of what was signed of a certificate, which in `dbx` revokes it.
    CertificateDigest(Vec<u8>),
    /// Anything else, by its type: other digests, other keys.
    Other(Uuid),
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who put it there.
    pub owner: Uuid,
    /// What it is.
    pub kind: EntryKind,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// The lists of a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignatureLists {
    /// The entries of all lists, in their order.
    pub entries: Vec<Entry>,
}

impl SignatureLists {
    /// Reads the content of a variable.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        let mut entries = Vec::new();
        let mut lists = 0;
        let mut offset = 0;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            lists += 1;
            offset += list(rest, offset, &mut entries)?;
            if lists > MAX_LISTS || entries.len() > MAX_ENTRIES {
                return Err(ListError::TooMany);
            }
        }
        Ok(Self { entries })
    }

    /// Lists of these certificates, each by an owner.
    pub fn of<'a>(certificates: impl IntoIterator<Item = (Uuid, &'a Certificate)>) -> Self {
        let entry = |(owner, certificate): (Uuid, &Certificate)| Entry {
            owner,
            kind: EntryKind::Certificate(Box::new(certificate.clone())),
            data: certificate.der().to_vec(),
        };
        Self { entries: certificates.into_iter().map(entry).collect() }
    }

    /// As the content of a variable: a list for each entry.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in &self.entries {
            let kind = match &entry.kind {
                EntryKind::Certificate(_) => X509,
                EntryKind::Digest(_) => SHA256,
                EntryKind::CertificateDigest(digest) => certificate_digests(digest.len()),
                EntryKind::Other(kind) => *kind,
            };
            let size = 16 + entry.data.len() as u32;
            bytes.extend(kind.to_bytes_le());
            [HEADER_LEN as u32 + size, 0, size].iter().for_each(|size| bytes.extend(size.to_le_bytes()));
            bytes.extend(entry.owner.to_bytes_le());
            bytes.extend_from_slice(&entry.data);
        }
        bytes
    }

    /// The certificates among them.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Certificate(certificate) => Some(certificate.as_ref()),
            EntryKind::Digest(_) | EntryKind::CertificateDigest(_) | EntryKind::Other(_) => None,
        })
    }

    /// The certificate among them by which this signature counts.
    pub fn trusted(&self, signature: &Signature) -> Option<&Certificate> {
        self.certificates().find(|trusted| signature.is_trusted_by(trusted))
    }

    /// Whether they, as `dbx`, revoke it: they have a certificate on the way from the signer up, or its digest.
    pub fn revoke(&self, signature: &Signature) -> bool {
        self.trusted(signature).is_some() || signature.chain().iter().any(|one| self.has_digest_of(one))
    }

    /// Whether the digest of what was signed of this certificate is among them.
    fn has_digest_of(&self, certificate: &Certificate) -> bool {
        self.entries.iter().any(|entry| match &entry.kind {
            EntryKind::CertificateDigest(digest) => certificate.has_digest(digest),
            EntryKind::Certificate(_) | EntryKind::Digest(_) | EntryKind::Other(_) => false,
        })
    }

    /// Whether this digest is among them.
    pub fn has_digest(&self, digest: &[u8; 32]) -> bool {
        self.entries.iter().any(|entry| entry.kind == EntryKind::Digest(*digest))
    }
}

/// Reads the list at the start of `rest`; gives its length.
fn list(rest: &[u8], offset: usize, entries: &mut Vec<Entry>) -> Result<usize, ListError> {
    let left = rest.len();
    let (list, behind) = List::first(rest).map_err(|fault| match fault {
        Fault::Truncated => ListError::Truncated { offset, left },
        Fault::Sizes { list, header, entry } => ListError::Sizes { offset, list, header, entry, left },
    })?;
    if entries.len() + list.len() > MAX_ENTRIES {
        return Err(ListError::TooMany);
    }
    let kind = Uuid::from_bytes_le(list.kind);
    entries.extend(list.entries().map(|(owner, data)| Entry {
        owner: Uuid::from_bytes_le(owner),
        kind: entry_kind(kind, data),
        data: data.to_vec(),
    }));
    Ok(left - behind.len())
}

fn entry_kind(list: Uuid, data: &[u8]) -> EntryKind {
    match list {
        X509 => match Certificate::from_der(data) {
            Ok(certificate) => EntryKind::Certificate(Box::new(certificate)),
            // A key that is not RSA, or what firmware took and nobody can read.
            Err(_) => EntryKind::Other(list),
        },
        SHA256 => match data.try_into() {
            Ok(digest) => EntryKind::Digest(digest),
            Err(_) => EntryKind::Other(list),
        },
        other => {
            let digest = data.len().checked_sub(REVOCATION_TIME).and_then(|len| data.get(..len));
            match digest.filter(|digest| certificate_digests(digest.len()) == other) {
                Some(digest) => EntryKind::CertificateDigest(digest.to_vec()),
                None => EntryKind::Other(other),
            }
        }
    }
}

/// The type of a list of certificates' digests, by the length of a digest; nil for any other length, which no list has.
fn certificate_digests(len: usize) -> Uuid {
    X509_DIGESTS.iter().find(|(_, of)| *of == len).map_or(Uuid::nil(), |(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_written() {
        let certificates: Vec<_> = super::super::microsoft::all().unwrap();
        let mut lists = SignatureLists::of(certificates.iter().map(|certificate| (OWNER, certificate)));
        let kind = EntryKind::Digest([7; 32]);
        lists.entries.push(Entry { owner: Uuid::nil(), kind, data: vec![7; 32] });
        for len in [32, 48, 64] {
            let (kind, data) =
                (EntryKind::CertificateDigest(vec![5; len]), [vec![5; len], vec![0; 16]].concat());
            lists.entries.push(Entry { owner: OWNER, kind, data });
        }
        let kind = EntryKind::Other(Uuid::max());
        lists.entries.push(Entry { owner: OWNER, kind, data: vec![1] });
        assert_eq!(SignatureLists::parse(&lists.to_bytes()).unwrap(), lists);
        assert_eq!(SignatureLists::parse(&[]).unwrap(), SignatureLists::default());
        assert!(lists.has_digest(&[7; 32]));
    }

    #[test]
    fn several_digests_share_a_list() {
        let mut bytes = SHA256.to_bytes_le().to_vec();
        [28 + 96_u32, 0, 48].iter().for_each(|size| bytes.extend(size.to_le_bytes()));
        bytes.extend([3; 96]);
        let lists = SignatureLists::parse(&bytes).unwrap();
        assert_eq!(lists.entries.len(), 2);
        assert!(lists.has_digest(&[3; 32]));
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        let list = |sizes: [u32; 3]| {
            let mut bytes = X509.to_bytes_le().to_vec();
            sizes.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
            bytes.extend([0; 64]);
            SignatureLists::parse(&bytes)
        };
        for sizes in
            [[0, 0, 17], [92, 0, 0], [92, 0, 16], [92, 0, 63], [93, 0, 64], [92, 65, 64], [u32::MAX; 3]]
        {
            assert!(matches!(list(sizes), Err(ListError::Sizes { offset: 0, .. })), "{sizes:?}");
        }
        assert!(matches!(SignatureLists::parse(&[0; 27]), Err(ListError::Truncated { .. })));
        assert!(list([92, 0, 64]).is_ok());
    }
}
