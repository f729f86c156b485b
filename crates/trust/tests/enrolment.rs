//! Updates of variables beside those of efitools and sbsigntool.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use hoopy_trust::firmware::{
    Accepted, EntryKind, Mode, NotAccepted, OWNER, SecureBoot, SignatureLists, Update, UpdateError, Variable,
    microsoft,
};
use proptest::prelude::*;

fn update(variable: Variable, append: bool) -> Update {
    let lists = SignatureLists::of([(OWNER, &db().certificate)]);
    Update { variable, time: time("2026-11-28T12:34:56.789Z"), append, lists }
}

#[test]
fn lists_are_those_of_cert_to_efi_sig_list() {
    let desk = Desk::new();
    desk.put_pair("db", db());
    desk.ok("cert-to-efi-sig-list", &format!("-g {OWNER} db.crt db.esl"));
    assert_eq!(SignatureLists::of([(OWNER, &db().certificate)]).to_bytes(), desk.read("db.esl"));
}

#[test]
fn lists_of_several_certificates_are_read_by_sig_list_to_certs() {
    let desk = Desk::new();
    let microsoft = microsoft::of(Variable::Db).unwrap();
    let all = std::iter::once((OWNER, &db().certificate));
    let all = all.chain(microsoft.iter().map(|certificate| (microsoft::OWNER, certificate)));
    desk.put("db.esl", SignatureLists::of(all).to_bytes());
    desk.ok("sig-list-to-certs", "db.esl out");
    assert_eq!(desk.read("out-0.der"), db().certificate.der());
    assert_eq!(desk.read("out-5.der"), microsoft[4].der());
}

/// The bytes of a file with those of its signature left out, since tools put more certificates or attributes there.
fn signed_part(file: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let len = u32::from_le_bytes(file[16..20].try_into().unwrap()) as usize;
    (file[..16].to_vec(), file[16 + len..].to_vec())
}

/// The `SignedData` of an update, in a `ContentInfo` for OpenSSL.
fn content_info(file: &[u8]) -> Vec<u8> {
    let len = u32::from_le_bytes(file[16..20].try_into().unwrap()) as usize;
    let signed = &file[40..16 + len];
    let mut info = vec![0x30, 0x82, 0, 0, 0x06, 0x09];
    info.extend([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02, 0xA0, 0x82]);
    info.extend((signed.len() as u16).to_be_bytes());
    info.extend(signed);
    let len = (info.len() - 4) as u16;
    info[2..4].copy_from_slice(&len.to_be_bytes());
    info
}

#[test]
fn updates_are_signed_over_what_sign_efi_sig_list_signs() {
    for (variable, append, flags) in [
        (Variable::Db, false, ""),
        (Variable::Db, true, "-a"),
        (Variable::Kek, false, ""),
        (Variable::Pk, false, ""),
    ] {
        let desk = Desk::new();
        desk.put_pair("other", other());
        let update = update(variable, append);
        desk.put("list.esl", update.lists.to_bytes());
        let name = variable.name();
        // Their clock is local, and their time has no fractions. `-o` writes what is to be signed.
        let time = ["-t", "2026-11-28 12:34:56"];
        let mut command = std::process::Command::new("sign-efi-sig-list");
        command.current_dir(desk.path("")).env("TZ", "UTC").args(flags.split_whitespace()).args(time);
        let names = ["-k", "other.key", "-c", "other.crt", name, "list.esl", "theirs.auth"];
        assert!(command.args(names).output().unwrap().status.success());
        let ours = update.signed(other().signer()).unwrap();
        assert_eq!(signed_part(&ours), signed_part(&desk.read("theirs.auth")), "{name} {flags}");

        command = std::process::Command::new("sign-efi-sig-list");
        command.current_dir(desk.path("")).env("TZ", "UTC").args(flags.split_whitespace()).args(time);
        assert!(command.args(["-o", name, "list.esl", "message"]).output().unwrap().status.success());
        desk.put("signature.p7", content_info(&ours));
        let verify =
            "smime -verify -binary -inform DER -in signature.p7 -content message -CAfile other.crt -noverify";
        desk.ok("openssl", &format!("{verify} -out /dev/null"));
        assert_eq!(Update::content(&ours).unwrap(), update.lists);
    }
}

#[test]
fn the_digest_algorithm_is_where_firmware_looks_for_it() {
    let update = update(Variable::Db, false).signed(other().signer()).unwrap();
    // edk2 compares these bytes at this place, and refuses the update where they differ.
    assert_eq!(update[40 + 13..40 + 22], [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]);
}

#[test]
fn the_same_update_and_key_give_the_same_bytes() {
    let update = update(Variable::Db, false);
    assert_eq!(update.signed(other().signer()).unwrap(), update.signed(other().signer()).unwrap());
    let empty = Update { lists: SignatureLists::default(), ..update.clone() };
    assert_eq!(Update::content(&empty.signed(other().signer()).unwrap()).unwrap().entries, []);
    let early = Update { time: time("1970-01-01T00:00:00Z"), ..update };
    assert!(matches!(early.signed(other().signer()), Err(UpdateError::Time(_))));
}

#[test]
fn microsofts_keys_are_listed_as_in_debians_firmware() {
    let firmware = std::fs::read("/usr/share/OVMF/OVMF_VARS_4M.ms.fd").unwrap();
    let kek = microsoft::of(Variable::Kek).unwrap();
    let list = SignatureLists::of([(microsoft::OWNER, &kek[0])]).to_bytes();
    assert!(firmware.windows(list.len()).any(|bytes| bytes == list));
}

fn enrolled(mode: Mode) -> SecureBoot {
    let db = SignatureLists::of([(OWNER, &db().certificate)]);
    SecureBoot {
        mode,
        pk: SignatureLists::default(),
        kek: SignatureLists::default(),
        db,
        dbx: SignatureLists::default(),
    }
}

#[test]
fn firmware_starts_what_db_signed_and_says_why_it_refuses_the_rest() {
    let firmware = enrolled(Mode::Enforcing);
    let accepted = firmware.accepts(&scan(&signed(&stub(), db()))).unwrap();
    assert!(matches!(accepted, Accepted::Signature { signer, .. } if *signer == db().certificate));
    assert_eq!(firmware.accepts(&scan(&stub())), Err(NotAccepted::Unsigned));
    let refusal = firmware.accepts(&scan(&signed(&stub(), other()))).unwrap_err().to_string();
    let expected =
        "it is signed by CN=Other db: expected a signature under one of db's certificates: CN=Test db";
    assert_eq!(refusal, expected);
    let twice = signed(&signed(&stub(), other()), db());
    assert!(firmware.accepts(&scan(&twice)).is_ok());
    let mut changed = signed(&stub(), db());
    changed[0x1000] ^= 1;
    assert!(matches!(firmware.accepts(&scan(&changed)), Err(NotAccepted::Refused(_))));
    for mode in [Mode::Setup, Mode::Off] {
        assert_eq!(enrolled(mode).accepts(&scan(&stub())), Ok(Accepted::NotChecked(mode)));
    }
}

#[test]
fn digests_of_certificates_in_dbx_revoke_these() {
    let desk = Desk::new();
    let mut firmware = enrolled(Mode::Enforcing);
    let twice = scan(&signed(&signed(&stub(), db()), other()));
    desk.put_pair("other", other());
    for bits in [256, 384, 512] {
        desk.ok("cert-to-efi-hash-list", &format!("-g {OWNER} -s {bits} other.crt other.esl"));
        let list = desk.read("other.esl");
        firmware.dbx = SignatureLists::parse(&list).unwrap();
        assert_eq!(
            firmware.accepts(&twice),
            Err(NotAccepted::RevokedSigner("CN=Other db".to_owned())),
            "{bits}"
        );
        assert_eq!(firmware.dbx.to_bytes(), list, "{bits}");
        assert!(firmware.accepts(&scan(&signed(&stub(), db()))).is_ok(), "{bits}");
    }
}

#[test]
fn what_is_in_dbx_is_refused_whoever_signed_it() {
    let mut firmware = enrolled(Mode::Enforcing);
    let twice = scan(&signed(&signed(&stub(), db()), other()));
    firmware.dbx = SignatureLists::of([(OWNER, &other().certificate)]);
    assert_eq!(firmware.accepts(&twice), Err(NotAccepted::RevokedSigner("CN=Other db".to_owned())));
    let digest = |scan: &hoopy_trust::authenticode::Scan| hoopy_trust::firmware::Entry {
        owner: OWNER,
        kind: EntryKind::Digest(scan.digest),
        data: scan.digest.to_vec(),
    };
    firmware.dbx = SignatureLists { entries: vec![digest(&twice)] };
    assert!(matches!(firmware.accepts(&twice), Err(NotAccepted::RevokedDigest(_))));
    let mut firmware = enrolled(Mode::Enforcing);
    firmware.db.entries.push(digest(&scan(&stub())));
    assert_eq!(firmware.accepts(&scan(&stub())), Ok(Accepted::Digest));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..2000_usize) {
        let mut file = update(Variable::Db, false).signed(other().signer()).unwrap();
        file.truncate(at);
        let _ = Update::content(&file);
        let _ = Update::content(&bytes);
        let _ = SignatureLists::parse(&bytes);
    }
}
