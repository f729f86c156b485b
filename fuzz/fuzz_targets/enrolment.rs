//! What enrols keys and lets secrets open: signature lists, updates of variables, certificates, signed policies.
#![no_main]

use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::{MAX_LISTS, SignatureLists, Update};
use hoopy_trust::key::PublicKey;
use hoopy_trust::policy::PolicySignatures;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Each entry is written as a list of its own, and so many are read.
    if let Some(lists) = SignatureLists::parse(bytes).ok().filter(|lists| lists.entries.len() <= MAX_LISTS) {
        assert_eq!(SignatureLists::parse(&lists.to_bytes()).as_ref(), Ok(&lists));
    }
    let _ = Update::content(bytes);
    if let Ok(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.der(), bytes);
    }
    let _ = Certificate::from_pem(bytes);
    let _ = PublicKey::from_pem(bytes);
    let _ = PolicySignatures::parse(bytes);
});
