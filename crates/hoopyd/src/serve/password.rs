//! The page's password: HTTP's Basic authentication against a hash as crypt(3) has it (`$6$`, Drepper's SHA-crypt).
//!
//! Stretching a password takes milliseconds, and a browser sends it with every request. So the digests of the last headers
//! that were right are kept, and guesses are limited.

use std::collections::VecDeque;
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

/// The fewest rounds that crypt(3) takes, and the most here: a check holds up every other client, and so it has to take
/// less than a tenth of a second, also on a slow machine with the longest password.
const MIN_ROUNDS: usize = 1000;
const MAX_ROUNDS: usize = 20_000;

/// No password has more bytes. Each round reads it twice.
const MAX_PASSWORD: usize = 256;

/// How many headers that were right are known: users and browsers may differ in the user's name.
const KNOWN: usize = 8;

/// How many characters a hash of 64 bytes has, and the most of a salt.
const HASH_CHARACTERS: usize = 86;
const MAX_SALT: usize = 16;

/// What is used where a hash names no rounds (Drepper's SHA-crypt, "rounds").
const ROUNDS: usize = 5000;

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This one may.
    Allowed,
    /// The password is missing or wrong.
    Unauthorized,
    /// There were too many wrong ones.
    TooMany,
}

/// Asks for the password.
pub struct PasswordCheck {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stamp: Option<Stamp>,
    hash: Option<String>,
    right: VecDeque<[u8; 32]>,
    attempts: Attempts,
}

impl PasswordCheck {
    /// For the machine whose root this is.
    pub fn new(root: &Path) -> Self {
        Self { path: root.join(PASSWORD), state: Mutex::default() }
    }

    /// Whether this request may be answered.
    pub fn check(&self, request: &Request) -> Verdict {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reload_if_changed(&self.path);
        let Some(given) = request.authorization.as_deref() else { return Verdict::Unauthorized };
        state.check(given, request.peer.address)
    }
}

impl State {
    /// Takes up a hash that was exchanged.
    fn reload_if_changed(&mut self, path: &Path) {
        let stamp = Stamp::of(path);
        if stamp != self.stamp {
            self.stamp = stamp;
            self.right.clear();
            self.hash = Some(read(path)).filter(|hash| !hash.is_empty());
        }
    }

    fn check(&mut self, given: &str, from: IpAddr) -> Verdict {
        let seen = sha256(given.as_bytes());
        // Digests: how far they agree tells nothing about the password.
        if self.right.contains(&seen) {
            return Verdict::Allowed;
        }
        let now = Instant::now();
        if !self.attempts.may(from, now) {
            return Verdict::TooMany;
        }
        let password = password(given);
        let hash = self.hash.as_deref();
        if password.zip(hash).is_some_and(|(password, hash)| matches(&password, hash)) {
            self.attempts.right(from);
            self.right.truncate(KNOWN - 1);
            self.right.push_front(seen);
            return Verdict::Allowed;
        }
        self.attempts.wrong(from, now);
        log::line(&format!("page: a wrong password from {}", from.to_canonical()));
        Verdict::Unauthorized
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
    parts(&text).err()
}

/// The password of `Authorization: Basic` (RFC 7617). Whatever user it names is welcome.
fn password(given: &str) -> Option<Zeroizing<String>> {
    let (scheme, rest) = given.split_once(' ')?;
    let decoded =
        BASE64.decode(rest.trim().as_bytes()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = Zeroizing::new(decoded);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let password = decoded.get(colon + 1..).filter(|password| password.len() <= MAX_PASSWORD)?;
    let password = std::str::from_utf8(password).ok()?;
    Some(Zeroizing::new(password.to_owned()))
}

/// Rounds, salt and hash of `$6$[rounds=N$]SALT$HASH`, or what is wrong with it.
fn parts(text: &str) -> Result<(usize, &str, &str), String> {
    let expected = |what: &str, found: &dyn std::fmt::Display| Err(format!("expected {what}, found {found}"));
    match text.lines().count() {
        0 => return expected("a hash", &"none"),
        1 => {}
        lines => return expected("one line", &lines),
    }
    let Some(rest) = text.strip_prefix("$6$") else {
        return expected("a hash that begins with $6$", &"something else");
    };
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (given, rest) = rest.split_once('$').unwrap_or((rest, ""));
            match given.parse() {
                Ok(rounds) if (MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds) => (rounds, rest),
                _ => {
                    return expected(
                        &format!("rounds={MIN_ROUNDS} to {MAX_ROUNDS}"),
                        &format!("rounds={given}"),
                    );
                }
            }
        }
        None => (ROUNDS, rest),
    };
    let Some((salt, hash)) = rest.split_once('$') else {
        return expected("a salt and a hash after $6$", &"only one of them");
    };
    if salt.len() > MAX_SALT {
        return expected(&format!("a salt of {MAX_SALT} characters at most"), &salt.len());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    if hash.len() != HASH_CHARACTERS {
        return expected(&format!("a hash of {HASH_CHARACTERS} characters"), &hash.len());
    }
    if !hash.bytes().all(plain) {
        return expected("a hash of letters, digits, . and /", &"others");
    }
    Ok((rounds, salt, hash))
}

fn matches(password: &str, hash: &str) -> bool {
    let Ok((rounds, salt, hash)) = parts(hash) else { return false };
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

    fn basic(password: &str) -> String {
        format!("Basic {}", BASE64.encode(format!("me:{password}").as_bytes()))
    }

    #[test]
    fn a_long_password_is_refused_before_it_is_hashed() {
        assert!(password(&basic(&"a".repeat(MAX_PASSWORD))).is_some());
        assert!(password(&basic(&"a".repeat(MAX_PASSWORD + 1))).is_none());
    }

    #[test]
    fn what_is_wrong_with_a_hash_is_told() {
        let hash = "a".repeat(HASH_CHARACTERS);
        assert!(parts(&format!("$6$rounds=20000$salt${hash}")).is_ok());
        for (text, expected) in [
            (String::new(), "expected a hash, found none"),
            (format!("$6$salt${hash}\n$6$salt${hash}"), "expected one line, found 2"),
            (format!("$6$rounds=50001$salt${hash}"), "expected rounds=1000 to 20000, found rounds=50001"),
            (format!("$6$rounds=x$salt${hash}"), "expected rounds=1000 to 20000, found rounds=x"),
            (format!("$6$salt${}", "a".repeat(85)), "expected a hash of 86 characters, found 85"),
            ("secret".to_owned(), "expected a hash that begins with $6$, found something else"),
        ] {
            assert_eq!(parts(&text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn several_users_whose_password_was_right_are_not_held_up_by_guesses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hash");
        let openssl = std::process::Command::new("openssl").args(["passwd", "-6", "right"]).output().unwrap();
        std::fs::write(&path, openssl.stdout).unwrap();
        let (mut state, from) = (State::default(), IpAddr::from([10, 0, 0, 1]));
        state.reload_if_changed(&path);
        let users =
            || (0..KNOWN).map(|n| format!("Basic {}", BASE64.encode(format!("{n}:right").as_bytes())));
        for user in users() {
            assert_eq!(state.check(&user, from), Verdict::Allowed);
        }
        for _ in 0..5 {
            assert_eq!(state.check(&basic("wrong"), from), Verdict::Unauthorized);
        }
        assert_eq!(state.check(&basic("wrong"), from), Verdict::TooMany);
        for user in users() {
            assert_eq!(state.check(&user, from), Verdict::Allowed);
        }
    }
}
