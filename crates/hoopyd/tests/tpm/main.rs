//! The identity that a TPM opens: swtpm's TPM, keys and signatures as hoopy makes them, and a directory for the machine's root.

#![allow(clippy::unwrap_used, reason = "tests")]

mod epoch;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::rc::Rc;

use data_encoding::HEXLOWER;
use hoopy_boot::secrets::{IDENTITY, Map, Open, PCR_SIGNATURES, SEALED_IDENTITY, Sealing, VERSION};
use hoopy_secrets::MachineIdentity;
use hoopy_testkit::swtpm::Swtpm;
use hoopy_tpm::Tpm;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::{OWNER, SignatureLists, microsoft};
use hoopy_trust::key::PrivateKey;
use hoopy_trust::measure::PcrValue;
use hoopy_trust::policy::PolicySignatures;
use hoopyd::error::AgentError;
use hoopyd::identity;
use hoopyd::tpm::{Kept, Machine};
use sha2::{Digest as _, Sha256};

/// What firmware measured into PCR 7.
const ENFORCED: [u8; 32] = [0x77; 32];
const DBX_UPDATED: [u8; 32] = [0x78; 32];
const SWITCHED_OFF: [u8; 32] = [0x70; 32];

/// What the stub measured of images.
const IMAGE: [u8; 32] = [0x11; 32];
const NEXT_IMAGE: [u8; 32] = [0x12; 32];

struct Scene {
    root: tempfile::TempDir,
    persist: tempfile::TempDir,
    swtpm: Swtpm,
    identity: MachineIdentity,
    map: Map,
    policy: Rc<PrivateKey>,
    db: Certificate,
}

impl Scene {
    /// A machine that was flashed with its identity, and whose firmware has the owner's keys.
    fn new() -> Self {
        let (policy, identity) = (Rc::new(PrivateKey::generate().unwrap()), MachineIdentity::generate());
        let time = "2026-11-28T00:00:00Z".parse().unwrap();
        let db = Certificate::self_signed("nas db", time, &PrivateKey::generate().unwrap()).unwrap();
        let sealing = Sealing {
            policy_key: policy.public().to_pem().unwrap(),
            certificate: HEXLOWER.encode(&Sha256::digest(db.der())),
            epoch: 0,
        };
        let map = Map {
            version: VERSION,
            open: Open::Tpm,
            device: None,
            sealing: Some(sealing),
            recipient: identity.recipient().as_str().to_owned(),
            files: Vec::new(),
            volumes: Vec::new(),
        };
        let [root, persist] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let scene = Self { root, persist, swtpm: Swtpm::new(), identity, map, policy, db };
        scene.firmware("SetupMode", &[0]);
        scene.firmware("SecureBoot", &[1]);
        scene.trusts(&[&scene.db]);
        identity::keep(scene.persist.path(), std::slice::from_ref(&scene.identity)).unwrap();
        scene
    }

    fn firmware(&self, name: &str, value: &[u8]) {
        let vendor = if name == "db" {
            "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
        } else {
            "8be4df61-93ca-11d2-aa0d-00e098032b8c"
        };
        let dir = self.root.path().join("sys/firmware/efi/efivars");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{name}-{vendor}")), [&[7, 0, 0, 0], value].concat()).unwrap();
    }

    /// The firmware's db has these certificates, and Microsoft's.
    fn trusts(&self, certificates: &[&Certificate]) {
        let theirs = microsoft::all().unwrap();
        let theirs = theirs.iter().map(|certificate| (microsoft::OWNER, certificate));
        let ours = certificates.iter().map(|certificate| (OWNER, *certificate));
        self.firmware("db", &SignatureLists::of(theirs.chain(ours)).to_bytes());
    }

    /// Switches the machine on with an image that the key has signed for.
    fn start(
        &mut self,
        image: [u8; 32],
        secure_boot: [u8; 32],
        signer: Option<&PrivateKey>,
    ) -> Tpm<TcpStream> {
        self.swtpm.reset();
        let mut tpm = Tpm::new(self.swtpm.connect());
        tpm.extend(7, &secure_boot).unwrap();
        tpm.extend(11, &image).unwrap();
        if let Some(signer) = signer {
            let epoch = self.map.sealing.as_ref().unwrap().epoch;
            let signed = PolicySignatures::of(&PcrValue::ZERO.extended(&image), epoch, signer).unwrap();
            fs::create_dir_all(self.root.path().join(".extra")).unwrap();
            fs::write(self.root.path().join(PCR_SIGNATURES), signed.to_bytes()).unwrap();
        }
        tpm
    }

    fn machine(&self, tpm: Tpm<TcpStream>) -> Machine<'_, TcpStream> {
        Machine { root: self.root.path(), sealing: self.map.sealing.as_ref().unwrap(), tpm }
    }

    fn mount(&self) -> impl Fn(bool) -> Result<PathBuf, AgentError> {
        let path = self.persist.path().to_owned();
        move |_| Ok(path.clone())
    }

    /// Boots, and gives the recipient of the identity that was opened, or why there is none.
    fn boots(&mut self, image: [u8; 32], secure_boot: [u8; 32]) -> Result<String, String> {
        let policy = Rc::clone(&self.policy);
        let tpm = self.start(image, secure_boot, Some(&policy));
        self.opens(tpm)
    }

    fn opens(&self, tpm: Tpm<TcpStream>) -> Result<String, String> {
        let opened = self.machine(tpm).at_boot(&self.map, None, self.mount());
        let opened = opened.map_err(|error| error.to_string())?;
        assert!(opened.not_raised.is_none(), "{:?}", opened.not_raised);
        Ok(opened.identities[0].recipient().as_str().to_owned())
    }

    fn boots_well(&mut self, image: [u8; 32]) {
        assert_eq!(self.boots(image, ENFORCED), Ok(self.map.recipient.clone()));
    }

    /// What `hoopy secret enroll` does on the machine that runs.
    fn enroll(&self, identity: &MachineIdentity, forget: bool) -> Result<(), String> {
        let mut machine = self.machine(Tpm::new(self.swtpm.connect()));
        let done = machine.enroll(std::slice::from_ref(identity), forget, self.mount());
        done.map_err(|error| error.to_string())
    }

    /// The image is of an epoch.
    fn of_epoch(&mut self, epoch: u32) -> &mut Self {
        self.map.sealing.as_mut().unwrap().epoch = epoch;
        self
    }

    /// What the health check does after a good boot.
    fn is_good(&self) -> bool {
        self.machine(Tpm::new(self.swtpm.connect())).raise(self.mount()).unwrap()
    }

    fn sealed_file(&self) -> PathBuf {
        self.persist.path().join(SEALED_IDENTITY)
    }

    fn lies_in_the_clear(&self) -> bool {
        self.persist.path().join(IDENTITY).exists()
    }

    fn is_sealed(&self) -> bool {
        self.persist.path().join(SEALED_IDENTITY).exists()
    }
}

#[test]
fn the_first_boot_seals_the_identity_and_later_boots_of_every_signed_image_open_it() {
    let mut scene = Scene::new();
    let secret = String::from_utf8(scene.identity.line().as_bytes().to_vec()).unwrap();
    let plain = scene.persist.path().join(IDENTITY);
    let other_name = scene.persist.path().join("other-name");
    fs::hard_link(&plain, &other_name).unwrap();
    scene.boots_well(IMAGE);
    assert!(scene.is_sealed() && !scene.lies_in_the_clear());
    assert!(fs::read(other_name).unwrap().iter().all(|&byte| byte == 0), "its bytes were overwritten");
    scene.boots_well(IMAGE);
    scene.boots_well(NEXT_IMAGE);
    let kept = fs::read_to_string(scene.persist.path().join(SEALED_IDENTITY)).unwrap();
    assert!(!kept.contains(&secret) && kept.contains(&scene.map.recipient));
    assert!(!scene.root.path().join(".extra").exists());
}

#[test]
fn once_the_identity_was_given_the_tpm_gives_it_to_nobody() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let policy = Rc::clone(&scene.policy);
    scene.boots_well(IMAGE);
    // Whoever has root now brings the image's signature, which is public.
    let signed = PolicySignatures::of(&PcrValue::ZERO.extended(&IMAGE), 0, &*policy).unwrap();
    fs::create_dir_all(scene.root.path().join(".extra")).unwrap();
    fs::write(scene.root.path().join(PCR_SIGNATURES), signed.to_bytes()).unwrap();
    let refused = scene.opens(Tpm::new(scene.swtpm.connect())).unwrap_err();
    assert!(refused.contains("boot has passed the phase in which secrets can be opened"), "{refused}");
}

#[test]
fn a_boot_that_opens_nothing_closes_the_tpm_as_well() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let tpm = scene.start(IMAGE, ENFORCED, None);
    let before = PcrValue::ZERO.extended(&IMAGE);
    assert!(scene.opens(tpm).is_err());
    let after = Tpm::new(scene.swtpm.connect()).pcr(11).unwrap();
    assert_eq!(after, *before.measured(b"hoopy:after-secrets").as_bytes());
}

#[test]
fn nothing_is_sealed_unless_firmware_enforces_the_owners_certificate() {
    let mut scene = Scene::new();
    let other = Certificate::self_signed(
        "other",
        "2026-11-28T00:00:00Z".parse().unwrap(),
        &PrivateKey::generate().unwrap(),
    )
    .unwrap();
    let refused = |scene: &mut Scene, reason: &str| {
        let said = scene.boots(IMAGE, SWITCHED_OFF).unwrap_err();
        assert!(said.contains(reason), "{said}");
        assert!(scene.lies_in_the_clear() && !scene.is_sealed());
        let said = scene.enroll(&scene.identity, false).unwrap_err();
        assert!(said.contains(reason), "{said}");
    };
    scene.firmware("SecureBoot", &[0]);
    refused(&mut scene, "Secure Boot is off: switch it on in the firmware's menu");
    scene.firmware("SetupMode", &[1]);
    refused(&mut scene, "the firmware is in setup mode");
    scene.firmware("SetupMode", &[0]);
    scene.firmware("SecureBoot", &[1]);
    scene.trusts(&[&other]);
    refused(&mut scene, "the firmware's db does not have the certificate trust/db.crt");
    fs::remove_dir_all(scene.root.path().join("sys/firmware/efi")).unwrap();
    refused(&mut scene, "needs UEFI firmware");
}

#[test]
fn an_image_that_the_policy_key_has_not_signed_seals_nothing_and_opens_nothing() {
    let mut scene = Scene::new();
    let other = PrivateKey::generate().unwrap();
    let tpm = scene.start(IMAGE, ENFORCED, None);
    let refused = scene.opens(tpm).unwrap_err();
    assert!(refused.contains("the image has no signature for PCR 11"), "{refused}");
    assert!(scene.lies_in_the_clear() && !scene.is_sealed());
    scene.boots_well(IMAGE);
    let tpm = scene.start(NEXT_IMAGE, ENFORCED, None);
    assert!(scene.opens(tpm).is_err());
    let tpm = scene.start(NEXT_IMAGE, ENFORCED, Some(&other));
    let refused = scene.opens(tpm).unwrap_err();
    assert!(refused.contains("TPM2_VerifySignature failed"), "{refused}");
    scene.boots_well(NEXT_IMAGE);
}

#[test]
fn with_secure_boot_off_the_machine_stays_locked_and_says_so() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    scene.firmware("SecureBoot", &[0]);
    let refused = scene.boots(IMAGE, SWITCHED_OFF).unwrap_err();
    assert!(refused.contains("Secure Boot is off: switch it on"), "{refused}");
    // Whoever runs another kernel says whatever they like; the TPM compares PCR 7.
    scene.firmware("SecureBoot", &[1]);
    let refused = scene.boots(IMAGE, SWITCHED_OFF).unwrap_err();
    assert!(refused.contains("Secure Boot is not as it was when the secret was sealed"), "{refused}");
    scene.boots_well(IMAGE);
}

#[test]
fn after_firmware_has_changed_its_lists_one_command_seals_the_identity_again() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let refused = scene.boots(IMAGE, DBX_UPDATED).unwrap_err();
    assert!(refused.contains("hoopy secret enroll HOST seals the identity again"), "{refused}");
    scene.enroll(&scene.identity, false).unwrap();
    assert_eq!(scene.boots(NEXT_IMAGE, DBX_UPDATED), Ok(scene.map.recipient.clone()));
}

#[test]
fn another_tpm_opens_nothing_until_the_identity_is_sealed_there() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    scene.swtpm = Swtpm::new();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(
        refused.contains("sealed in another TPM") && refused.contains("hoopy secret enroll"),
        "{refused}"
    );
    scene.enroll(&scene.identity, false).unwrap();
    scene.boots_well(IMAGE);
}

#[test]
fn a_power_cut_between_sealing_and_removing_leaves_nothing_in_the_clear_after_the_next_boot() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    identity::keep(scene.persist.path(), std::slice::from_ref(&scene.identity)).unwrap();
    scene.boots_well(IMAGE);
    assert!(!scene.lies_in_the_clear());
    scene.boots_well(IMAGE);
}

#[test]
fn a_power_cut_while_the_plain_identity_is_removed_does_not_lock_the_machine() {
    let mut scene = Scene::new();
    let line = scene.identity.line().as_bytes().to_vec();
    scene.boots_well(IMAGE);
    let half = [&vec![0; line.len() / 2], &line[line.len() / 2..]].concat();
    for rest in [vec![0; line.len()], Vec::new(), half] {
        let file = scene.persist.path().join(IDENTITY);
        fs::write(&file, rest).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        scene.boots_well(IMAGE);
        assert!(!scene.lies_in_the_clear());
    }
}

#[test]
fn an_identity_with_a_mode_that_is_too_wide_is_named_and_not_removed() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    identity::keep(scene.persist.path(), std::slice::from_ref(&scene.identity)).unwrap();
    let file = scene.persist.path().join(IDENTITY);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("expected mode 0600 of root, found 0644"), "{refused}");
    assert!(scene.lies_in_the_clear());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    scene.boots_well(IMAGE);
    assert!(!scene.lies_in_the_clear());
}

#[test]
fn what_is_sealed_goes_on_opening_after_a_boot_that_cannot_seal() {
    let mut scene = Scene::new();
    let other = PrivateKey::generate().unwrap();
    scene.boots_well(IMAGE);
    for signer in [None, Some(&other)] {
        identity::keep(scene.persist.path(), std::slice::from_ref(&scene.identity)).unwrap();
        let tpm = scene.start(IMAGE, ENFORCED, signer);
        assert!(scene.opens(tpm).is_err() && scene.lies_in_the_clear());
    }
    fs::remove_file(scene.persist.path().join(IDENTITY)).unwrap();
    scene.boots_well(IMAGE);
}

#[test]
fn firmware_that_does_not_measure_secure_boot_gets_nothing_sealed() {
    let mut scene = Scene::new();
    scene.swtpm.reset();
    let mut tpm = Tpm::new(scene.swtpm.connect());
    tpm.extend(11, &IMAGE).unwrap();
    let signed = PolicySignatures::of(&PcrValue::ZERO.extended(&IMAGE), 0, &*scene.policy).unwrap();
    fs::create_dir_all(scene.root.path().join(".extra")).unwrap();
    fs::write(scene.root.path().join(PCR_SIGNATURES), signed.to_bytes()).unwrap();
    let refused = scene.opens(tpm).unwrap_err();
    assert!(refused.contains("the firmware measures nothing of Secure Boot into this TPM"), "{refused}");
    assert!(scene.lies_in_the_clear() && !scene.is_sealed());
    let refused = scene.enroll(&scene.identity, false).unwrap_err();
    assert!(refused.contains("PCR 7 is still 0000"), "{refused}");
}

#[test]
fn a_tpm_with_an_owner_password_or_without_sha_256_is_named_with_what_to_do() {
    let mut scene = Scene::new();
    scene.swtpm.tool("tpm2_changeauth", &["-c", "owner", "theirs"]);
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("another system has set a password for the TPM's owner"), "{refused}");
    assert!(scene.lies_in_the_clear());
    scene.swtpm.tool("tpm2_changeauth", &["-c", "owner", "-p", "theirs"]);
    scene.boots_well(IMAGE);
    scene.swtpm.tool("tpm2_pcrallocate", &["sha256:none+sha384:all"]);
    scene.swtpm.reset();
    let refused = scene.opens(Tpm::new(scene.swtpm.connect())).unwrap_err();
    assert!(refused.contains("no PCR bank of SHA-256: switch it on"), "{refused}");
}

#[test]
fn a_new_identity_is_for_the_next_image_and_the_old_one_for_those_to_fall_back_to() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let (old, new) = (scene.map.recipient.clone(), MachineIdentity::generate());
    scene.enroll(&new, false).unwrap();
    scene.map.recipient = new.recipient().as_str().to_owned();
    scene.boots_well(NEXT_IMAGE);
    scene.map.recipient = old.clone();
    scene.boots_well(IMAGE);
    scene.enroll(&new, true).unwrap();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains(&old) && refused.contains(new.recipient().as_str()), "{refused}");
    assert_eq!(Kept::read(scene.persist.path()).unwrap().sealed.len(), 1);
}

#[test]
fn a_file_that_is_damaged_or_missing_is_named_with_what_to_type() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let file = scene.persist.path().join(SEALED_IDENTITY);
    let whole = fs::read_to_string(&file).unwrap();
    let cut = whole.replace("aG9vcHktdHBt", "aG9vcHktdHBn");
    assert_ne!(cut, whole);
    for text in ["", "{", "[]", &cut, &"x".repeat(70_000)] {
        fs::write(&file, text).unwrap();
        let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
        assert!(refused.contains(SEALED_IDENTITY) && refused.contains("hoopy secret enroll"), "{refused}");
    }
    fs::remove_file(&file).unwrap();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("found none: hoopy secret enroll HOST"), "{refused}");
}

/// What `hoopy run --secure-boot --tpm` rehearses.
#[test]
fn an_identity_from_outside_is_sealed_at_the_first_boot_and_again_in_a_fresh_tpm() {
    let mut scene = Scene::new();
    fs::remove_file(scene.persist.path().join(IDENTITY)).unwrap();
    for _ in 0..2 {
        let policy = Rc::clone(&scene.policy);
        let tpm = scene.start(IMAGE, ENFORCED, Some(&policy));
        let handed = Some(vec![scene.identity.clone()]);
        let opened = scene.machine(tpm).at_boot(&scene.map, handed, scene.mount()).unwrap();
        assert!(opened.not_raised.is_none());
        scene.boots_well(IMAGE);
        scene.swtpm = Swtpm::new();
    }
}
