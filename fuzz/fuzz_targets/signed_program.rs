//! An EFI program with signatures: the digest, each signature, and what a TPM would measure.
#![no_main]

use std::io::Cursor;

use hoopy_trust::authenticode::{Scan, verify};
use hoopy_trust::measure::predict;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut file = Cursor::new(bytes);
    if let Ok(scan) = Scan::of(&mut file) {
        for signature in verify(&scan).into_iter().flatten() {
            assert!(signature.is_trusted_by(signature.signer()));
        }
    }
    let _ = predict(&mut file);
});
