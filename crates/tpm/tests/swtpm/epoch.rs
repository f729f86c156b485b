//! Secrets that older images, and older copies, open no more: whoever has them has root on the machine, and is the TPM's owner.

use hoopy_tpm::Bound;
use hoopy_tpm::counter::INDEX;

use super::*;

fn bound(epoch: u32, counter: u64) -> Option<Bound> {
    Some(Bound { epoch, counter })
}

fn index() -> String {
    format!("{INDEX:#x}")
}

/// The counter, as an attacker with tpm2-tools makes it.
fn made_anew(swtpm: &Swtpm, attributes: &str) {
    swtpm.tool("tpm2_nvdefine", &[&index(), "-C", "o", "-s", "8", "-a", attributes]);
}

const AS_OURS: &str = "ownerwrite|ownerread|no_da|nt=counter";

#[test]
fn a_secret_opens_for_images_of_its_epoch_and_seven_more() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let mut tpm = swtpm.booted();
    let counter = tpm.raise_counter().unwrap();
    let sealed = tpm.seal(SECRET, &owner.public(), bound(2, counter)).unwrap();
    let kept = Sealed::parse(&sealed.to_bytes()).unwrap();
    assert_eq!(kept, sealed);
    for epoch in [2, 3, 9] {
        // As an image has them: one that everybody knows, and one for the epoch.
        let signed = [owner.signed_image(), owner.image_of_epoch(epoch)];
        assert_eq!(*tpm.unseal(&kept, &owner.public(), &signed).unwrap(), SECRET);
    }
    let said = |error: TpmError| error.to_string();
    for epoch in [0, 1] {
        let signed = owner.image_of_epoch(epoch);
        let refused =
            said(tpm.unseal(&kept, &owner.public(), &[owner.signed_image(), signed.clone()]).unwrap_err());
        assert!(
            refused.contains(&format!(
                "this image is of epoch {epoch}, and the secret was sealed for epoch 2 or later"
            )),
            "{refused}"
        );
        // Where nothing is looked at first, the TPM refuses: PolicyOR, no such branch.
        let refused = tpm.unseal_by_tpm(&kept, &owner.public(), &signed).unwrap_err();
        assert!(refused.to_string().starts_with("TPM2_PolicyOR failed"), "{refused}");
    }
    let signed = owner.image_of_epoch(10);
    let refused = said(tpm.unseal(&kept, &owner.public(), std::slice::from_ref(&signed)).unwrap_err());
    assert!(refused.contains("expected an image of 2 to 9"), "{refused}");
    assert!(tpm.unseal_by_tpm(&kept, &owner.public(), &signed).is_err());
}

#[test]
fn a_signature_for_one_epoch_is_none_for_another() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let mut tpm = swtpm.booted();
    let counter = tpm.raise_counter().unwrap();
    let sealed = tpm.seal(SECRET, &owner.public(), bound(2, counter)).unwrap();
    let renumbered = SignedPolicy { epoch: 2, ..owner.image_of_epoch(1) };
    let refused = tpm.unseal(&sealed, &owner.public(), &[renumbered]).unwrap_err();
    assert_eq!(code(&refused), 0x2DB, "{refused}");
}

#[test]
fn once_the_counter_was_raised_an_old_copy_opens_for_no_image() {
    let (mut swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = owner.image_of_epoch(1);
    let mut tpm = swtpm.booted();
    let counter = tpm.ready_counter().unwrap();
    assert_eq!(tpm.ready_counter().unwrap(), counter);
    let old = tpm.seal(SECRET, &owner.public(), bound(1, counter)).unwrap();
    let new = tpm.seal(SECRET, &owner.public(), bound(1, counter + 1)).unwrap();
    assert_eq!(tpm.raise_counter().unwrap(), counter + 1);
    swtpm.reset();
    let mut tpm = swtpm.booted();
    let refused = tpm.unseal(&old, &owner.public(), std::slice::from_ref(&signed)).unwrap_err();
    let expected = format!("value of the TPM's counter (expected {counter}, found {})", counter + 1);
    assert!(refused.to_string().contains(&expected), "{refused}");
    let refused = tpm.unseal_by_tpm(&old, &owner.public(), &signed).unwrap_err();
    assert!(refused.to_string().starts_with("TPM2_PolicyNV failed: the TPM answered 0x126"), "{refused}");
    assert_eq!(*tpm.unseal(&new, &owner.public(), &[signed]).unwrap(), SECRET);
}

#[test]
fn a_counter_that_is_removed_and_made_anew_starts_above_all_its_values() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = owner.image_of_epoch(1);
    let mut tpm = swtpm.booted();
    let first = tpm.raise_counter().unwrap();
    let old = tpm.seal(SECRET, &owner.public(), bound(1, first)).unwrap();
    let last = tpm.raise_counter().unwrap();
    let current = tpm.seal(SECRET, &owner.public(), bound(1, last)).unwrap();
    drop(tpm);
    swtpm.tool("tpm2_nvundefine", &["-C", "o", &index()]);
    let mut tpm = Tpm::new(swtpm.connect());
    assert_eq!(tpm.counter().unwrap(), None);
    let refused = tpm.unseal(&current, &owner.public(), std::slice::from_ref(&signed)).unwrap_err();
    assert!(refused.to_string().contains("found no counter"), "{refused}");
    assert!(tpm.unseal_by_tpm(&current, &owner.public(), &signed).is_err());
    drop(tpm);
    made_anew(&swtpm, AS_OURS);
    // It has no value before it is raised once.
    let mut tpm = Tpm::new(swtpm.connect());
    assert_eq!(tpm.counter().unwrap(), None);
    assert!(tpm.unseal_by_tpm(&old, &owner.public(), &signed).is_err());
    drop(tpm);
    for _ in 0..3 {
        swtpm.tool("tpm2_nvincrement", &["-C", "o", &index()]);
        let mut tpm = Tpm::new(swtpm.connect());
        assert!(tpm.counter().unwrap().unwrap() > last);
        for sealed in [&old, &current] {
            let refused = tpm.unseal_by_tpm(sealed, &owner.public(), &signed).unwrap_err();
            assert_eq!(code(&refused), 0x126, "{refused}");
        }
    }
    // The owner seals again, for the counter that is there.
    let mut tpm = Tpm::new(swtpm.connect());
    let counter = tpm.ready_counter().unwrap();
    let sealed = tpm.seal(SECRET, &owner.public(), bound(1, counter)).unwrap();
    assert_eq!(*tpm.unseal(&sealed, &owner.public(), &[signed]).unwrap(), SECRET);
}

/// An index of another kind takes any value that is written to it, and has another name.
#[test]
fn an_index_of_another_kind_with_the_right_value_opens_nothing() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = owner.image_of_epoch(1);
    let mut tpm = swtpm.booted();
    let old_value = tpm.raise_counter().unwrap();
    let old = tpm.seal(SECRET, &owner.public(), bound(1, old_value)).unwrap();
    tpm.raise_counter().unwrap();
    tpm.remove_counter().unwrap();
    drop(tpm);
    fs::write(swtpm.dir.path().join("value"), old_value.to_be_bytes()).unwrap();
    made_anew(&swtpm, "ownerwrite|ownerread|no_da");
    swtpm.tool("tpm2_nvwrite", &["-C", "o", "-i", "value", &index()]);
    let mut tpm = Tpm::new(swtpm.connect());
    for fault in
        [tpm.counter().unwrap_err(), tpm.raise_counter().unwrap_err(), tpm.ready_counter().unwrap_err()]
    {
        assert!(matches!(fault, TpmError::OtherIndex(INDEX)), "{fault}");
    }
    let refused = tpm.unseal(&old, &owner.public(), std::slice::from_ref(&signed)).unwrap_err();
    assert!(
        refused.to_string().contains("expected hoopy's counter at the TPM's NV index 0x1824859"),
        "{refused}"
    );
    let refused = tpm.unseal_by_tpm(&old, &owner.public(), &signed).unwrap_err();
    assert_eq!(code(&refused), 0x99D, "{refused}");
    tpm.remove_counter().unwrap();
    assert!(tpm.ready_counter().unwrap() > old_value);
}

/// One that is ours but for a password changes nothing: the owner's counts.
#[test]
fn a_counter_with_a_password_of_somebody_elses_is_read_all_the_same() {
    let swtpm = Swtpm::new();
    swtpm.tool("tpm2_nvdefine", &[&index(), "-C", "o", "-s", "8", "-a", AS_OURS, "-p", "theirs"]);
    let mut tpm = swtpm.booted();
    let counter = tpm.ready_counter().unwrap();
    drop(tpm);
    let read = swtpm.tool("tpm2_nvread", &["-C", "o", &index(), "-o", "value"]);
    assert_eq!(fs::read(swtpm.dir.path().join("value")).unwrap(), counter.to_be_bytes(), "{read}");
}

#[test]
fn what_was_sealed_before_there_were_epochs_opens_for_images_of_every_epoch() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let sealed = swtpm.booted().seal(SECRET, &owner.public(), None).unwrap();
    assert!(sealed.to_bytes().starts_with(b"hoopy-tpm-1\n") && sealed.bound().is_none());
    let mut tpm = Tpm::new(swtpm.connect());
    for signed in [vec![owner.signed_image()], vec![owner.signed_image(), owner.image_of_epoch(3)]] {
        assert_eq!(*tpm.unseal(&sealed, &owner.public(), &signed).unwrap(), SECRET);
    }
}

#[test]
fn the_policy_is_the_one_that_tpm2_tools_compute() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let mut tpm = swtpm.booted();
    let counter = tpm.raise_counter().unwrap();
    let secure_boot = tpm.pcr(7).unwrap();
    let value = |name: &str, bytes: &[u8]| fs::write(swtpm.dir.path().join(name), bytes).unwrap();
    value("counter", &counter.to_be_bytes());
    value("pcr7", &secure_boot);
    value("pub", &fs::read(owner.path("pub")).unwrap());
    value("approved", &[0; 32]);
    drop(tpm);
    let load = ["-C", "o", "-G", "rsa", "-u", "pub", "-a", "userwithauth|sign", "-c", "key", "-n", "name"];
    swtpm.tool("tpm2_loadexternal", &load);
    let mut branches = Vec::new();
    for epoch in 0..8 {
        let branch = format!("branch{epoch}");
        value("qualifier", &qualifier(epoch));
        swtpm.tool("tpm2_startauthsession", &["-S", "trial"]);
        let authorize = ["-S", "trial", "-i", "approved", "-n", "name", "-L", &branch, "-q", "qualifier"];
        swtpm.tool("tpm2_policyauthorize", if epoch == 0 { &authorize[..8] } else { &authorize });
        swtpm.tool("tpm2_flushcontext", &["trial"]);
        branches.push(branch);
    }
    swtpm.tool("tpm2_startauthsession", &["-S", "trial"]);
    swtpm.tool("tpm2_policyor", &["-S", "trial", "-L", "policy", &format!("sha256:{}", branches.join(","))]);
    swtpm.tool("tpm2_policynv", &["-S", "trial", "-C", "o", "-i", "counter", "-L", "policy", &index(), "eq"]);
    swtpm.tool("tpm2_policypcr", &["-S", "trial", "-l", "sha256:7", "-f", "pcr7", "-L", "policy"]);
    let theirs = fs::read(swtpm.dir.path().join("policy")).unwrap();
    assert_eq!(theirs, owner.public().policy(bound(0, counter).as_ref(), &secure_boot));
}
