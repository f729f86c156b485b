//! The page's password: HTTP's Basic authentication against a hash as crypt(3) has it (`$6$`, Drepper's SHA-crypt).
//!
//! Stretching a password takes milliseconds, and a browser sends it with every request. So the digest of the last header
//! that was right is kept, and guesses are limited.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use data_encoding::BASE64;
use hoopy_base::input;
use hoopy_boot::monitor::PASSWORD;
use ring::digest::{SHA256, digest};
use sha_crypt::{Sha512Params, sha512_crypt_b64};
use zeroize::Zeroizing;

use super::attempts::Attempts;
use super::watched::Stamp;
use crate::http::Request;
use crate::log;

/// More than a hash has.
const MAX_FILE: u64 = 4096;

/// More rounds than this would keep everyone else waiting for the page.
const MAX_ROUNDS: usize = 50_000;

/// What is used where a hash names no rounds (Drepper's SHA-crypt, "rounds").
const ROUNDS: usize = 5000;

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This one may.
    Welcome,
    /// The password is missing or wrong.
    Unknown,
    /// There were too many wrong ones.
    TooMany,
}

/// Asks for the password.
pub struct Gate {
    path: PathBuf,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    stamp: Option<Stamp>,
    hash: Option<String>,
    right: Option<[u8; 32]>,
    attempts: Attempts,
}

impl Gate {
    /// The gate of the machine whose root this is.
    pub fn new(root: &Path) -> Self {
        Self { path: root.join(PASSWORD), inside: Mutex::default() }
    }

    /// Whether this request may be answered.
    pub fn ask(&self, request: &Request) -> Verdict {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.look(&self.path);
        let Some(given) = request.authorization.as_deref() else { return Verdict::Unknown };
        let seen = sha256(given.as_bytes());
        // Two digests: how far they agree tells nothing about the password.
        if inside.right == Some(seen) {
            return Verdict::Welcome;
        }
        inside.check(given, seen, request.peer.address)
    }
}

impl Inside {
    /// Takes up a hash that was exchanged.
    fn look(&mut self, path: &Path) {
        let stamp = Stamp::of(path);
        if stamp != self.stamp {
            (self.stamp, self.right) = (stamp, None);
            self.hash = Some(read(path)).filter(|hash| !hash.is_empty());
        }
    }

    fn check(&mut self, given: &str, seen: [u8; 32], from: IpAddr) -> Verdict {
        let now = Instant::now();
        if !self.attempts.may(from, now) {
            return Verdict::TooMany;
        }
        let password = password(given);
        let hash = self.hash.as_deref();
        if password.zip(hash).is_some_and(|(password, hash)| matches(&password, hash)) {
            self.attempts.right(from);
            self.right = Some(seen);
            return Verdict::Welcome;
        }
        self.attempts.wrong(from, now);
        log::line(&format!("page: a wrong password from {}", from.to_canonical()));
        Verdict::Unknown
    }
}

/// The hash in the file; empty where there is none.
fn read(path: &Path) -> String {
    let bytes = input::read_up_to(path, MAX_FILE).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// What is wrong with the file of the password; nothing where it can be used.
pub fn problem(root: &Path) -> Option<String> {
    let text = read(&root.join(PASSWORD));
    match parts(&text) {
        Some(_) => None,
        None if text.is_empty() => Some("expected a hash, found none".to_owned()),
        None => Some("expected a hash that begins with $6$, found something else".to_owned()),
    }
}

/// The password of `Authorization: Basic` (RFC 7617). Whatever user it names is welcome.
fn password(given: &str) -> Option<Zeroizing<String>> {
    let (scheme, rest) = given.split_once(' ')?;
    let decoded =
        BASE64.decode(rest.trim().as_bytes()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = Zeroizing::new(decoded);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let password = std::str::from_utf8(decoded.get(colon + 1..)?).ok()?;
    Some(Zeroizing::new(password.to_owned()))
}

/// Rounds, salt and hash of `$6$[rounds=N$]SALT$HASH`.
fn parts(hash: &str) -> Option<(usize, &str, &str)> {
    let rest = hash.strip_prefix("$6$")?;
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => rest.split_once('$').and_then(|(n, rest)| Some((n.parse().ok()?, rest)))?,
        None => (ROUNDS, rest),
    };
    let (salt, hash) = rest.split_once('$')?;
    (rounds <= MAX_ROUNDS && !hash.is_empty()).then_some((rounds, salt, hash))
}

fn matches(password: &str, hash: &str) -> bool {
    let Some((rounds, salt, hash)) = parts(hash) else { return false };
    let Ok(params) = Sha512Params::new(rounds) else { return false };
    let made = sha512_crypt_b64(password.as_bytes(), salt.as_bytes(), &params);
    made.is_ok_and(|made| sha256(made.as_bytes()) == sha256(hash.as_bytes()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_what_openssl_made_of_it() {
        let made = |more: &[&str]| {
            let mut openssl = std::process::Command::new("openssl");
            let made = openssl.args(["passwd", "-6"]).args(more).arg("pass phrase").output().unwrap();
            String::from_utf8(made.stdout).unwrap().trim().to_owned()
        };
        let hash = made(&[]);
        assert!(matches("pass phrase", &hash) && !matches("pass phrasf", &hash), "{hash}");
        assert!(!matches("pass phrase", &made(&["-salt", "other"]).replace("other", "othes")));
        for hash in ["", "$6$", "$6$a", "$5$a$b", "$6$rounds=99999999$a$b", "pass phrase"] {
            assert!(!matches("pass phrase", hash), "{hash}");
        }
    }

    #[test]
    fn any_user_may_have_a_colon_in_the_password() {
        let given = format!("Basic {}", BASE64.encode(b"me:a:b"));
        assert_eq!(password(&given).unwrap().as_str(), "a:b");
        assert!(password("Bearer bWU6YQ==").is_none() && password("Basic !").is_none());
    }
}
