//! Programs are signed here and checked by sbverify, and the other way round.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::Cursor;

use common::*;
use hoopy_trust::authenticode::{LayoutError, Refusal, Scan, Signature, attach, verify};
use hoopy_trust::certificate::Certificate;
use hoopy_trust::{CertifiedSigner, signer::SignerError};
use hoopy_uki::is_whole;
use proptest::prelude::*;

fn checked(program: &[u8]) -> Vec<Result<Signature, Refusal>> {
    verify(&scan(program))
}

fn signers(program: &[u8]) -> Vec<String> {
    checked(program).into_iter().map(|found| found.unwrap().signer().subject()).collect()
}

#[test]
fn sbverify_accepts_what_is_signed_here() {
    let desk = Desk::new();
    desk.put_pair("db", db());
    for program in [stub(), boot_loader()] {
        desk.put("signed.efi", signed(&program, db()));
        assert!(desk.ok("sbverify", "--cert db.crt signed.efi").contains("Signature verification OK"));
    }
}

#[test]
fn sbverify_refuses_it_for_another_certificate() {
    let desk = Desk::new();
    desk.put_pair("other", other());
    desk.put("signed.efi", signed(&stub(), db()));
    assert!(!desk.run("sbverify", "--cert other.crt signed.efi").status.success());
}

#[test]
fn what_sbsign_signs_is_accepted_here() {
    let desk = Desk::new();
    desk.put_pair("db", db());
    desk.put("plain.efi", boot_loader());
    desk.ok("sbsign", "--key db.key --cert db.crt --output signed.efi plain.efi");
    let found = checked(&desk.read("signed.efi"));
    let [Ok(signature)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(signature.signer(), &db().certificate);
    assert!(signature.is_trusted_by(&db().certificate));
    assert!(!signature.is_trusted_by(&other().certificate));
}

#[test]
fn a_signature_is_added_to_one_of_sbsign() {
    let desk = Desk::new();
    desk.put_pair("db", db());
    desk.put_pair("other", other());
    desk.put("plain.efi", stub());
    desk.ok("sbsign", "--key other.key --cert other.crt --output once.efi plain.efi");
    desk.put("twice.efi", signed(&desk.read("once.efi"), db()));
    assert_eq!(signers(&desk.read("twice.efi")), ["CN=Other db", "CN=Test db"]);
    desk.ok("sbverify", "--cert other.crt twice.efi");
    desk.ok("sbverify", "--cert db.crt twice.efi");
}

#[test]
fn the_same_program_and_key_give_the_same_bytes_and_only_the_table_is_new() {
    let program = stub();
    let once = signed(&program, db());
    assert_eq!(once, signed(&program, db()));
    assert_eq!(once, signed(&once, db()), "signed once more");
    let layout = scan(&program).layout;
    let mut stripped = once.get(..program.len()).unwrap().to_vec();
    for range in [layout.checksum..layout.checksum + 4, layout.directory..layout.directory + 8] {
        let range = range.start as usize..range.end as usize;
        stripped[range.clone()].copy_from_slice(&program[range]);
    }
    assert_eq!(stripped, program);
}

#[test]
fn a_signed_program_is_whole() {
    let once = signed(&stub(), db());
    assert!(is_whole(&mut Cursor::new(&once)).unwrap());
    assert!(is_whole(&mut Cursor::new(signed(&once, other()))).unwrap());
    let odd = [stub(), b"odd".to_vec()].concat();
    assert!(is_whole(&mut Cursor::new(signed(&odd, db()))).unwrap());
}

#[test]
fn a_program_of_any_length_is_padded_as_sbverify_expects() {
    let desk = Desk::new();
    desk.put_pair("db", db());
    for trailing in [b"1".as_slice(), b"1234567", b"12345678"] {
        desk.put("signed.efi", signed(&[stub(), trailing.to_vec()].concat(), db()));
        desk.ok("sbverify", "--cert db.crt signed.efi");
        assert_eq!(signers(&desk.read("signed.efi")), ["CN=Test db"]);
    }
}

#[test]
fn a_signature_of_other_bytes_is_replaced_and_not_kept() {
    let mut changed = signed(&stub(), other());
    let last = scan(&changed).layout.end as usize - 1;
    changed[last] ^= 1;
    assert!(matches!(checked(&changed).as_slice(), [Err(Refusal::OtherProgram { .. })]));
    assert_eq!(signers(&signed(&changed, db())), ["CN=Test db"]);
}

#[test]
fn a_signature_counts_under_the_authority_that_its_certificates_lead_to() {
    let desk = Desk::new();
    let make = "-newkey rsa:2048 -nodes -sha256 -days 30";
    desk.ok("openssl", &format!("req -x509 {make} -subj /CN=Root -keyout root.key -out root.crt"));
    let below = |name: &str, by: &str| {
        let subject =
            format!("-subj /CN={name} -keyout {name}.key -out {name}.crt -CA {by}.crt -CAkey {by}.key");
        desk.ok("openssl", &format!("req -x509 {make} {subject} -addext basicConstraints=critical,CA:TRUE"));
    };
    below("Middle", "root");
    below("Leaf", "Middle");
    desk.put("plain.efi", stub());
    desk.ok("sbsign", "--key Leaf.key --cert Leaf.crt --addcert Middle.crt --output signed.efi plain.efi");
    let found = checked(&desk.read("signed.efi")).remove(0).unwrap();
    let trusts =
        |name: &str| found.is_trusted_by(&Certificate::from_pem(&desk.read(&format!("{name}.crt"))).unwrap());
    assert!(trusts("Leaf") && trusts("Middle") && trusts("root"));
    assert!(!found.is_trusted_by(&db().certificate));
}

#[test]
fn a_signature_that_the_key_did_not_make_is_forged() {
    let mut program = signed(&stub(), db());
    let table = scan(&program).table;
    let (_, body) = hoopy_uki::certificate::bodies(&table).next().unwrap();
    // The signature is what it ends with.
    let last = program.len() - table.len() + 8 + body.len() - 1;
    program[last] ^= 1;
    assert_eq!(checked(&program), [Err(Refusal::Forged { signer: "CN=Test db".to_owned() })]);
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let mixed = CertifiedSigner::new(&db().certificate, &other().key);
    assert!(matches!(mixed, Err(SignerError::OtherKey { certificate }) if certificate == "CN=Test db"));
}

#[test]
fn sections_with_a_gap_between_them_are_refused() {
    let mut program = stub();
    // The second line of the section table begins a block later, and is a block shorter.
    let headers = hoopy_uki::pe::Headers::parse(&program, program.len() as u64).unwrap();
    let at = headers.section_table + 40 + 16;
    let field = |program: &[u8], at: usize| u32::from_le_bytes(program[at..at + 4].try_into().unwrap());
    let (size, place) = (field(&program, at) - 512, field(&program, at + 4) + 512);
    program[at..at + 4].copy_from_slice(&size.to_le_bytes());
    program[at + 4..at + 8].copy_from_slice(&place.to_le_bytes());
    let refusal = Scan::of(&mut Cursor::new(&program)).unwrap_err();
    assert!(matches!(refusal, LayoutError::Gap { .. }), "{refusal}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_change_of_any_byte_is_found(at in 0.0..1.0_f64, bit in 0_u8..8) {
        let mut program = signed(&stub(), db());
        let layout = scan(&program).layout;
        let at = (at * layout.end as f64) as usize;
        program[at] ^= 1 << bit;
        let checksum = layout.checksum as usize..layout.checksum as usize + 4;
        let intact = |scan: Scan| matches!(verify(&scan).as_slice(), [Ok(_)]);
        let accepted = Scan::of(&mut Cursor::new(&program)).is_ok_and(intact);
        prop_assert_eq!(accepted, checksum.contains(&at));
    }

    #[test]
    fn a_damaged_signature_is_refused_or_the_same(at in 0.0..1.0_f64, byte: u8) {
        let mut program = signed(&stub(), db());
        let end = scan(&program).layout.end as usize;
        let at = end + (at * (program.len() - end) as f64) as usize;
        program[at] = byte;
        for found in Scan::of(&mut Cursor::new(&program)).iter().flat_map(verify).flatten() {
            // Whatever was damaged, nothing is trusted that this key has not signed.
            prop_assert!(!found.is_trusted_by(&other().certificate));
        }
    }
}

/// sbverify takes no good signature where a damaged one stands before it.
#[test]
fn a_damaged_signature_of_ones_own_is_replaced() {
    let desk = Desk::new();
    desk.put_pair("db", db());
    let mut damaged = signed(&stub(), db());
    // The RSA signature is the last thing in it, before up to 7 bytes of padding.
    let at = damaged.len() - 40;
    damaged[at] ^= 1;
    assert!(matches!(checked(&damaged).as_slice(), [Err(Refusal::Forged { .. })]), "{:?}", checked(&damaged));
    let again = signed(&damaged, db());
    assert_eq!(signers(&again), ["CN=Test db"]);
    desk.put("again.efi", again);
    desk.ok("sbverify", "--cert db.crt again.efi");
    assert_eq!(checked(&signed(&damaged, other())).len(), 2, "that of another stays");
}

#[test]
fn a_signature_too_many_is_refused_and_pushes_no_other_out() {
    let mut program = stub();
    for index in 0..16 {
        program = signed(&program, &Pair::new(&format!("signer {index}")));
    }
    assert_eq!(signers(&program).len(), 16);
    let db = db();
    let refusal = attach(&scan(&program), &[db.signer()]).unwrap_err().to_string();
    assert!(refusal.starts_with("17 signatures: expected at most 16"), "{refusal}");
}
