//! Sealing and opening with swtpm's TPM; tpm2-tools and openssl are the oracles.

#![allow(clippy::unwrap_used, reason = "tests")]

mod epoch;

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use hoopy_testkit::swtpm::{Swtpm, output};
use hoopy_tpm::device::PcrValue;
use hoopy_tpm::policy::qualifier;
use hoopy_tpm::{PolicyKey, Sealed, SignedPolicy, Tpm, TpmError};

const SECRET: &[u8] = b"AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";

/// What an image and firmware measured, as far as these tests go.
const IMAGE: [u8; 32] = [0x11; 32];
const SECURE_BOOT: [u8; 32] = [0x77; 32];

/// What these tests do with a TPM.
trait Machine {
    /// After a boot of the image with Secure Boot on.
    fn booted(&self) -> Tpm<TcpStream> {
        self.measured(&SECURE_BOOT)
    }

    fn measured(&self, secure_boot: &[u8; 32]) -> Tpm<TcpStream>;
    fn bus(&self, change: Option<usize>) -> Tpm<Bus>;
}

impl Machine for Swtpm {
    fn measured(&self, secure_boot: &[u8; 32]) -> Tpm<TcpStream> {
        let mut tpm = Tpm::new(self.connect());
        tpm.extend(7, secure_boot).unwrap();
        tpm.extend(11, &IMAGE).unwrap();
        tpm
    }

    fn bus(&self, change: Option<usize>) -> Tpm<Bus> {
        Tpm::new(Bus { stream: self.connect(), seen: Vec::new(), change })
    }
}

/// An owner's key, made and used by openssl.
struct Owner {
    dir: tempfile::TempDir,
}

impl Owner {
    fn new() -> Self {
        let owner = Self { dir: tempfile::tempdir().unwrap() };
        owner.openssl(&[
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            "key",
        ]);
        owner.openssl(&["pkey", "-in", "key", "-pubout", "-out", "pub"]);
        owner
    }

    fn openssl(&self, args: &[&str]) {
        output(Command::new("openssl").args(args).current_dir(self.dir.path()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn public(&self) -> PolicyKey {
        PolicyKey::from_pem(&fs::read(self.path("pub")).unwrap()).unwrap()
    }

    /// Signs what a TPM's policy session says of PCR 11, for an epoch.
    fn signed(&self, policy: [u8; 32], epoch: u32) -> SignedPolicy {
        fs::write(self.path("policy"), [&policy[..], &qualifier(epoch)].concat()).unwrap();
        self.openssl(&["dgst", "-sha256", "-sign", "key", "-out", "signature", "policy"]);
        SignedPolicy { policy, epoch, signature: fs::read(self.path("signature")).unwrap() }
    }

    /// The policy of the image, as tpm2-tools compute it, signed.
    fn signed_image(&self) -> SignedPolicy {
        self.image_of_epoch(0)
    }

    fn image_of_epoch(&self, epoch: u32) -> SignedPolicy {
        let trial = Swtpm::new();
        let value = trial.booted().pcr(11).unwrap();
        self.signed_value(&trial, value, epoch)
    }

    fn signed_value(&self, trial: &Swtpm, value: PcrValue, epoch: u32) -> SignedPolicy {
        fs::write(trial.dir.path().join("pcr"), value).unwrap();
        trial.tool("tpm2_startauthsession", &["-S", "session"]);
        trial.tool("tpm2_policypcr", &["-S", "session", "-l", "sha256:11", "-f", "pcr", "-L", "policy"]);
        trial.tool("tpm2_flushcontext", &["session"]);
        self.signed(fs::read(trial.dir.path().join("policy")).unwrap().try_into().unwrap(), epoch)
    }
}

fn code(error: &TpmError) -> u32 {
    match error {
        TpmError::Refused { code, .. } => code.0,
        other => panic!("{other}"),
    }
}

#[test]
fn a_secret_opens_at_the_next_boot_of_a_signed_image() {
    let (mut swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = [owner.signed_image()];
    let sealed = swtpm.booted().seal(SECRET, &owner.public(), None).unwrap();
    swtpm.reset();
    let kept = Sealed::parse(&sealed.to_bytes()).unwrap();
    let mut tpm = swtpm.booted();
    // More often than there is room for what is not freed.
    for _ in 0..5 {
        assert_eq!(*tpm.unseal(&kept, &owner.public(), &signed).unwrap(), SECRET);
    }
}

#[test]
fn secrets_of_every_size_that_a_tpm_takes_open_again() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = [owner.signed_image()];
    let mut tpm = swtpm.booted();
    for size in [1, 15, 16, 17, 128] {
        let secret = vec![0xA5; size];
        let sealed = tpm.seal(&secret, &owner.public(), None).unwrap();
        assert_eq!(*tpm.unseal(&sealed, &owner.public(), &signed).unwrap(), secret);
    }
    assert!(matches!(tpm.seal(&[0; 129], &owner.public(), None), Err(TpmError::SecretSize(129))));
    assert!(matches!(tpm.seal(&[], &owner.public(), None), Err(TpmError::SecretSize(0))));
}

#[test]
fn pcrs_are_those_that_tpm2_tools_read() {
    let swtpm = Swtpm::new();
    let value = swtpm.booted().pcr(11).unwrap();
    swtpm.tool("tpm2_pcrread", &["sha256:11", "-o", "value"]);
    assert_eq!(fs::read(swtpm.dir.path().join("value")).unwrap(), value);
}

#[test]
fn the_phase_after_secrets_and_an_image_that_is_not_signed_open_nothing() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = owner.signed_image();
    let mut tpm = swtpm.booted();
    let sealed = tpm.seal(SECRET, &owner.public(), None).unwrap();
    tpm.extend(11, &[0x22; 32]).unwrap();
    let refused = tpm.unseal(&sealed, &owner.public(), std::slice::from_ref(&signed)).unwrap_err();
    assert!(matches!(refused, TpmError::NotSigned(_)), "{refused}");
    // Where nothing is looked at first, the TPM refuses: PolicyAuthorize, another policy than the approved one.
    let refused = tpm.unseal_by_tpm(&sealed, &owner.public(), &signed).unwrap_err();
    assert_eq!(code(&refused) & 0xBF, 0x84, "{refused}");
}

#[test]
fn a_foreign_key_is_refused() {
    let (swtpm, [owner, other]) = (Swtpm::new(), [Owner::new(), Owner::new()]);
    let mut tpm = swtpm.booted();
    let sealed = tpm.seal(SECRET, &owner.public(), None).unwrap();
    let signed = other.signed_image();
    let refused = tpm.unseal(&sealed, &other.public(), std::slice::from_ref(&signed)).unwrap_err();
    assert!(matches!(refused, TpmError::OtherPolicyKey), "{refused}");
    let refused = tpm.unseal_by_tpm(&sealed, &other.public(), &signed).unwrap_err();
    assert_eq!(code(&refused), 0x99D, "{refused}");
}

#[test]
fn a_foreign_signature_is_refused() {
    let (swtpm, [owner, other]) = (Swtpm::new(), [Owner::new(), Owner::new()]);
    let mut tpm = swtpm.booted();
    let sealed = tpm.seal(SECRET, &owner.public(), None).unwrap();
    let refused = tpm.unseal(&sealed, &owner.public(), &[other.signed_image()]).unwrap_err();
    assert_eq!(code(&refused), 0x2DB, "{refused}");
    // What failed has been freed.
    for _ in 0..4 {
        assert_eq!(*tpm.unseal(&sealed, &owner.public(), &[owner.signed_image()]).unwrap(), SECRET);
    }
}

/// With PCR 11 alone this attack works: another kernel, Secure Boot off, and the image's public digests extended by hand.
#[test]
fn a_replay_of_pcr_11_without_secure_boot_is_refused() {
    let (mut swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = owner.signed_image();
    let sealed = swtpm.booted().seal(SECRET, &owner.public(), None).unwrap();
    swtpm.reset();
    let mut tpm = swtpm.measured(&[0x70; 32]);
    let refused = tpm.unseal(&sealed, &owner.public(), std::slice::from_ref(&signed)).unwrap_err();
    assert!(matches!(refused, TpmError::SecureBootChanged { .. }), "{refused}");
    let refused = tpm.unseal_by_tpm(&sealed, &owner.public(), &signed).unwrap_err();
    assert_eq!(code(&refused), 0x99D, "{refused}");
    assert!(
        refused.to_string().contains("TPM2_Unseal failed: the TPM answered 0x99d (policy check failed"),
        "{refused}"
    );
}

/// What goes over the bus, and a hand that may change it.
struct Bus {
    stream: TcpStream,
    seen: Vec<u8>,
    /// Changes the answers of this many bytes or more.
    change: Option<usize>,
}

impl Write for Bus {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.seen.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Bus {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.seen.extend(&buffer[..count]);
        // TPM2_Unseal's answer: header, size, then the secret with its own size.
        if self.change == Some(count) {
            buffer[20] ^= 1;
        }
        Ok(count)
    }
}

#[test]
fn who_listens_on_the_bus_does_not_see_the_secret() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = [owner.signed_image()];
    drop(swtpm.booted());
    let mut tpm = swtpm.bus(None);
    let sealed = tpm.seal(SECRET, &owner.public(), None).unwrap();
    assert_eq!(*tpm.unseal(&sealed, &owner.public(), &signed).unwrap(), SECRET);
    let seen = tpm.into_stream().seen;
    assert!(seen.len() > 2000, "{}", seen.len());
    for piece in SECRET.windows(16) {
        assert!(!seen.windows(16).any(|window| window == piece), "{}", String::from_utf8_lossy(piece));
    }
}

#[test]
fn an_answer_that_was_changed_on_the_bus_is_refused() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let signed = [owner.signed_image()];
    let sealed = swtpm.booted().seal(SECRET, &owner.public(), None).unwrap();
    // Header, size of the parameters, the secret; nonce, attributes, HMAC.
    let answer = 10 + 4 + 2 + SECRET.len() + 2 + 32 + 1 + 2 + 32;
    let refused = swtpm.bus(Some(answer)).unseal(&sealed, &owner.public(), &signed).unwrap_err();
    assert!(matches!(refused, TpmError::Forged), "{refused}");
}

#[test]
fn another_tpm_opens_nothing() {
    let (owner, [first, second]) = (Owner::new(), [Swtpm::new(), Swtpm::new()]);
    let sealed = first.booted().seal(SECRET, &owner.public(), None).unwrap();
    let refused = second.booted().unseal(&sealed, &owner.public(), &[owner.signed_image()]).unwrap_err();
    assert!(matches!(refused, TpmError::OtherTpm), "{refused}");
}

#[test]
fn what_is_not_a_sealed_secret_or_a_policy_key_is_refused() {
    let (swtpm, owner) = (Swtpm::new(), Owner::new());
    let bytes = swtpm.booted().seal(SECRET, &owner.public(), None).unwrap().to_bytes();
    for end in 0..bytes.len() {
        assert!(matches!(Sealed::parse(&bytes[..end]), Err(TpmError::NotSealed(_))), "{end}");
    }
    assert!(matches!(Sealed::parse(&[&bytes[..], b"x"].concat()), Err(TpmError::NotSealed(_))));
    let pem = fs::read(owner.path("key")).unwrap();
    assert!(matches!(PolicyKey::from_pem(&pem), Err(TpmError::PolicyKey)));
}
