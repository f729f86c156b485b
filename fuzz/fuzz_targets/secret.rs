//! Files below `secrets/`, and those with recipients and identities: what is read is bounded, and a path never leads out.
#![no_main]

use hoopy_secrets::cipher::{decrypt, stanzas};
use hoopy_secrets::owner::recipients_of;
use hoopy_secrets::{Identities, MachineIdentity, NoPrompt, Plaintext, Recipients, SecretPath};

/// The identity of age's own test vectors.
const IDENTITY: &str = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let identity = MachineIdentity::parse(&Plaintext::new(IDENTITY.into())).expect("an identity");
    let _ = decrypt(bytes, &Identities::of_machine(&identity));
    let _ = stanzas(bytes);
    let _ = MachineIdentity::parse(&Plaintext::new(bytes.to_vec()));
    let _ = Identities::default().add_file(bytes, "fuzz", &NoPrompt);
    let _ = recipients_of(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(recipients) = Recipients::parse(text) {
        let again: Vec<&str> = recipients.iter().map(|recipient| recipient.as_str()).collect();
        let again = Recipients::parse(&again.join("\n")).expect("what was parsed");
        assert_eq!(again.digest(), recipients.digest());
    }
    if let Ok(path) = text.parse::<SecretPath>() {
        assert!(path.as_str().split('/').all(|name| !matches!(name, "" | "." | "..")));
    }
});
