//! age's own test vectors (C2SP/CCTV, as the crate age brings them): what age refuses is refused here, and for the same
//! reason.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;

use hoopy_secrets::cipher::{DecryptError, MAX_CIPHERTEXT, decrypt};
use hoopy_secrets::{Identities, NoPrompt};
use sha2::{Digest as _, Sha256};

/// Where cargo keeps the source of the crate age.
fn testkit() -> PathBuf {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version=1", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = metadata.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let manifests = text.split("\"manifest_path\":\"").filter_map(|rest| rest.split('"').next());
    let age = manifests.map(PathBuf::from).find(|path| {
        path.parent()
            .and_then(|dir| dir.file_name())
            .is_some_and(|name| name.to_string_lossy().starts_with("age-0."))
    });
    age.unwrap().parent().unwrap().join("tests/testdata/testkit")
}

/// A vector: lines of `key: value`, an empty one, and the file.
struct Vector {
    name: String,
    fields: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: PathBuf) -> Self {
        let bytes = fs::read(&path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let field = |line: &str| line.split_once(": ").map(|(key, value)| (key.to_owned(), value.to_owned()));
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let fields: Vec<_> = head.lines().filter_map(field).collect();
        let mut file = bytes[end + 2..].to_vec();
        if fields.contains(&("compressed".to_owned(), "zlib".to_owned())) {
            let mut inflated = Vec::new();
            flate2::read::ZlibDecoder::new(&*file).read_to_end(&mut inflated).unwrap();
            file = inflated;
        }
        Self { name, fields, file }
    }

    fn field(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn identities(&self) -> Identities {
        let mut all = Identities::default();
        for (_, key) in self.fields.iter().filter(|(name, _)| name == "identity") {
            all.add_file(key.as_bytes(), "vector", &NoPrompt).unwrap();
        }
        all
    }
}

/// The crate age reads headers of age's first beta, whose stanzas lacked a last line. What opens is genuine all the same.
const LEGACY: [&str; 2] = ["stanza_missing_body", "stanza_missing_final_line"];

#[test]
fn every_vector_of_age_is_opened_or_refused_as_age_says() {
    let mut seen = 0;
    for entry in fs::read_dir(testkit()).unwrap() {
        let vector = Vector::read(entry.unwrap().path());
        let (name, result) = (&vector.name, decrypt(&vector.file, &vector.identities()));
        if vector.file.len() as u64 > MAX_CIPHERTEXT {
            assert_eq!(result, Err(DecryptError::TooLarge), "{name}");
            continue;
        }
        // Files behind a passphrase are no secrets here: they are refused, one and all.
        if vector.field("passphrase").is_some() {
            assert!(result.is_err(), "{name}");
            continue;
        }
        seen += 1;
        match vector.field("expect").unwrap() {
            "success" => {
                let digest: String = Sha256::digest(result.unwrap().as_bytes())
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                assert_eq!(Some(digest.as_str()), vector.field("payload"), "{name}");
            }
            "payload failure" => assert_eq!(result, Err(DecryptError::Payload), "{name}"),
            "HMAC failure" => assert_eq!(result, Err(DecryptError::Mac), "{name}"),
            "header failure" if LEGACY.contains(&name.as_str()) => {
                assert!(result.is_ok(), "{name}: {result:?}")
            }
            "header failure" => {
                let refused = matches!(result, Err(DecryptError::Header | DecryptError::Mac));
                assert!(refused, "{name}: {result:?}");
            }
            "no match" => assert_eq!(result, Err(DecryptError::NoMatch), "{name}"),
            "armor failure" => {
                let refused = matches!(result, Err(DecryptError::Header | DecryptError::Payload));
                assert!(refused, "{name}: {result:?}");
            }
            other => panic!("{name}: {other}"),
        }
    }
    assert!(seen > 80, "{seen} vectors");
}
