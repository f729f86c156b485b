//! The files with which firmware enrolls the keys of a system directory.
//!
//! ```text
//! db.auth   db's certificates: the directory's, and Microsoft's    signed by KEK
//! KEK.auth  likewise                                               signed by PK
//! PK.auth   the directory's platform key alone                     signed by PK, itself
//! ```
//!
//! systemd-boot enrols them in this order from `loader/keys/auto/` of the EFI system partition, where the firmware is in
//! setup mode; when PK is in, signatures are enforced. All of them are public.

use jiff::Timestamp;

use crate::CertifiedSigner;
use crate::certificate::{Certificate, CertificateError};
use crate::firmware::{Entry, OWNER, SignatureLists, Update, UpdateError, Variable, microsoft};

/// Whose certificates are enrolled beside the directory's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Microsoft's: option ROMs and other systems go on working.
    Microsoft,
    /// None.
    None,
}

/// The keys that are enrolled.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment<'a> {
    /// Signs the lists of PK and KEK.
    pub pk: CertifiedSigner<'a>,
    /// Signs the list of db.
    pub kek: CertifiedSigner<'a>,
    /// What may be started: the directory's certificates, the one that signs now first.
    pub db: &'a [Certificate],
    /// Who else.
    pub others: Others,
    /// Firmware takes lists that are newer than those that it has.
    pub time: Timestamp,
}

/// The files cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// A list could not be signed.
    #[error("the list of keys for {variable}: {source}", variable = .variable.name())]
    Update {
        /// Of which variable.
        variable: Variable,
        /// Why.
        source: UpdateError,
    },
    /// A certificate that comes with the program.
    #[error("Microsoft's certificates: {0}")]
    Microsoft(#[from] CertificateError),
}

impl Enrolment<'_> {
    /// The lists, in the order in which they are enrolled, and who signs each.
    fn lists(&self) -> Result<[(Variable, SignatureLists, CertifiedSigner<'_>); 3], EnrolmentError> {
        let with_others = |variable, own: &[&Certificate]| {
            let others = match self.others {
                Others::Microsoft => microsoft::of(variable)?,
                Others::None => Vec::new(),
            };
            let own = own.iter().map(|certificate| (OWNER, *certificate));
            let others = others.iter().map(|certificate| (microsoft::OWNER, certificate));
            Ok::<_, CertificateError>(SignatureLists::of(own.chain(others)))
        };
        let pk = SignatureLists::of([(OWNER, self.pk.certificate())]);
        Ok([
            (Variable::Db, with_others(Variable::Db, &self.db.iter().collect::<Vec<_>>())?, self.kek),
            (Variable::Kek, with_others(Variable::Kek, &[self.kek.certificate()])?, self.pk),
            (Variable::Pk, pk, self.pk),
        ])
    }

    /// The files, by the variable that each is for, in the order in which they are enrolled.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub fn files(&self) -> Result<Vec<(Variable, Vec<u8>)>, EnrolmentError> {
        let file = |(variable, lists, by)| {
            let update = Update { variable, time: self.time, append: false, lists };
            let signed = update.signed(by);
            signed
                .map(|bytes| (variable, bytes))
                .map_err(|source| EnrolmentError::Update { variable, source })
        };
        self.lists()?.into_iter().map(file).collect()
    }
}

/// What `db` of a machine should hold, which has `found` now: the owner's lists, and what else is there but for `retired`. Nothing
/// else is removed, since what it signed may be needed. Not even what has the owner of hoopy's entries: they have one and the
/// same in all systems, and a machine may start those of several.
pub fn db_of_machine(
    own: &SignatureLists,
    found: &SignatureLists,
    retired: &[Certificate],
) -> SignatureLists {
    let is_own = |entry: &Entry| own.entries.iter().any(|known| known.data == entry.data);
    let is_retired = |entry: &Entry| retired.iter().any(|retired| retired.der() == entry.data);
    let others = found.entries.iter().filter(|e| !is_own(e) && !is_retired(e));
    SignatureLists { entries: own.entries.iter().chain(others).cloned().collect() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::key::PrivateKey;

    #[test]
    fn microsofts_certificates_are_enrolled_unless_they_are_not_wanted() {
        let time: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let key = PrivateKey::generate().unwrap();
        let certificate = |name| Certificate::self_signed(name, time, &key).unwrap();
        let [pk, kek, db] = ["PK", "KEK", "db"].map(certificate);
        let signer = |certificate| CertifiedSigner::new(certificate, &key).unwrap();
        let own = [db];
        let enrolment =
            Enrolment { pk: signer(&pk), kek: signer(&kek), db: &own, others: Others::Microsoft, time };
        let subjects = |enrolment: &Enrolment<'_>| -> Vec<(Variable, usize, String)> {
            let files = enrolment.files().unwrap().into_iter();
            let read = |(variable, bytes): (Variable, Vec<u8>)| {
                let lists = Update::content(&bytes).unwrap();
                let first = lists.certificates().next().unwrap().subject();
                (variable, lists.entries.len(), first)
            };
            files.map(read).collect()
        };
        let of = |variable, count, first: &str| (variable, count, first.to_owned());
        let expected =
            [of(Variable::Db, 6, "CN=db"), of(Variable::Kek, 3, "CN=KEK"), of(Variable::Pk, 1, "CN=PK")];
        assert_eq!(subjects(&enrolment), expected);
        let alone = Enrolment { others: Others::None, ..enrolment };
        assert!(subjects(&alone).iter().all(|(_, count, _)| *count == 1));
    }

    #[test]
    fn a_machine_keeps_what_others_put_into_db_and_loses_the_key_that_was_retired() {
        let time: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let certificate =
            |name| Certificate::self_signed(name, time, &PrivateKey::generate().unwrap()).unwrap();
        let [old, new, by_hand, older, vendor, neighbour] =
            ["old", "new", "old, from the menu", "older", "vendor", "another system's db"].map(certificate);
        let theirs = uuid::Uuid::from_u128(7);
        let found = SignatureLists::of([
            (OWNER, &old),
            (theirs, &vendor),
            (theirs, &by_hand),
            (OWNER, &older),
            (OWNER, &neighbour),
        ]);
        let own = SignatureLists::of([(OWNER, &new)]);
        let retired = [old.clone(), by_hand, older];
        let db = db_of_machine(&own, &found, &retired);
        assert_eq!(db, SignatureLists::of([(OWNER, &new), (theirs, &vendor), (OWNER, &neighbour)]));
        assert_eq!(db_of_machine(&own, &db, &retired), db, "done once");
        let both = SignatureLists::of([(OWNER, &new), (OWNER, &old)]);
        assert_eq!(db_of_machine(&both, &found, &[]).entries.len(), 6);
    }
}
