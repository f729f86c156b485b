//! Public keys in every shape that apk reads; and what the real apk (`HOOPY_APK_ROOT`) signed with keys on curves.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use common::oracle::Oracle;
use hoopy_apk::index::{self, IndexError};
use hoopy_apk::signature::{KeyRing, SignatureError, SigningKey};
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};

const NAME: &str = "x.rsa.pub";

fn rsa() -> SigningKey {
    SigningKey::generate(NAME, 1024).unwrap()
}

/// The same key as PKCS#1: its envelope is 22 bytes long at this size.
fn pkcs1(pem: &str) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
    let inner = data_encoding::BASE64.encode(&der[22..]);
    format!("-----BEGIN RSA PUBLIC KEY-----\n{inner}\n-----END RSA PUBLIC KEY-----\n")
}

#[test]
fn a_key_is_read_in_every_shape_that_apk_reads() {
    let key = rsa();
    let pem = key.public_pem().unwrap();
    let index = index::write(&index::Index { description: "d".into(), records: vec![] }, &key).unwrap();
    let shapes = [
        ("as openssl writes it", pem.clone()),
        ("with blank lines after END", format!("{pem}\n  \n\n")),
        ("with blank lines before BEGIN", format!("\n\n{pem}")),
        ("without the last newline", pem.trim_end().to_owned()),
        ("with text around it", format!("The builder's key:\n{pem}and no more\n")),
        ("with the line ends of Windows", pem.replace('\n', "\r\n")),
        ("with a byte order mark", format!("\u{feff}{pem}")),
        ("indented", pem.replace("\nM", "\n  M")),
        ("as PKCS#1", pkcs1(&pem)),
    ];
    for (shape, text) in shapes {
        let mut ring = KeyRing::default();
        ring.add(NAME, text.as_bytes()).unwrap_or_else(|e| panic!("{shape}: {e}"));
        index::read(&index, &ring).unwrap_or_else(|e| panic!("{shape}: {e}"));
    }
}

#[test]
fn what_is_no_public_key_says_what_it_is() {
    let private = rsa().private_pem().unwrap();
    let cases = [
        ("junk", "no public key in PEM"),
        ("", "no public key in PEM"),
        (private.as_str(), "a private key"),
        ("-----BEGIN PUBLIC KEY-----\nnot base64!\n-----END PUBLIC KEY-----\n", "not base64"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "neither an RSA key nor one on the curves",
        ),
    ];
    for (text, expected) in cases {
        let error = KeyRing::default().add(NAME, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_that_is_no_key_is_named_where_something_is_signed_by_it() {
    let index = index::write(&index::Index { description: "d".into(), records: vec![] }, &rsa()).unwrap();
    let mut ring = KeyRing::default();
    ring.pass_over(NAME, "no public key in PEM");
    let error = index::read(&index, &ring).unwrap_err().to_string();
    assert!(error.contains("no keys: x.rsa.pub (no public key in PEM)"), "{error}");
}

/// The private and public PEM of a key on each curve.
fn curves() -> [(&'static str, String, String); 3] {
    macro_rules! pair {
        ($curve:ident, $name:literal) => {{
            let key = $curve::SecretKey::random(&mut rsa::rand_core::OsRng);
            let private = key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
            ($name, private, key.public_key().to_public_key_pem(LineEnding::LF).unwrap())
        }};
    }
    [pair!(p256, "P-256"), pair!(p384, "P-384"), pair!(p521, "P-521")]
}

#[test]
fn an_index_that_apk_signed_with_a_key_on_a_curve_is_trusted() {
    let Some(oracle) = Oracle::find("an_index_that_apk_signed_with_a_key_on_a_curve_is_trusted") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("files")).unwrap();
    std::fs::write(path("files/f"), "x").unwrap();
    let others = curves();
    for ((curve, private, public), (_, _, other)) in curves().into_iter().zip(others) {
        std::fs::write(path("key"), private).unwrap();
        let run = |args: &[&str]| {
            let out = oracle.program().current_dir(dir.path()).args(args).output().unwrap();
            assert!(out.status.success(), "{curve}: {}", String::from_utf8_lossy(&out.stderr));
        };
        let info = ["--info", "name:foo", "--info", "version:1-r0", "--info", "arch:x86_64"];
        run(&[&["mkpkg", "--files", "files", "--sign-key", "key", "--output", "foo.apk"], &info[..]].concat());
        run(&["mkndx", "--allow-untrusted", "--sign-key", "key", "--output", "packages.adb", "foo.apk"]);
        let index = std::fs::read(path("packages.adb")).unwrap();
        let trusting = |pem: &str| {
            let mut ring = KeyRing::default();
            ring.add("feed.pem", pem.as_bytes()).unwrap();
            ring
        };
        assert_eq!(index::read(&index, &trusting(&public)).unwrap().records.len(), 1, "{curve}");
        let package = hoopy_apk::package::open(
            std::fs::File::open(path("foo.apk")).map(std::io::BufReader::new).unwrap(),
        );
        assert!(package.is_ok(), "{curve}");
        let error = index::read(&index, &trusting(&other)).unwrap_err();
        assert!(matches!(error, IndexError::Signature(SignatureError::Untrusted { .. })), "{curve}: {error}");
        let mut damaged = index.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        assert!(index::read(&damaged, &trusting(&public)).is_err(), "{curve}");
    }
}
