//! A random password, and its hash as shadow(5) holds it.

use sha_crypt::{Sha512Params, sha512_crypt_b64};

/// Letters and digits that are not taken for each other: 32 of them, so that a byte chooses one without bias.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Those of crypt(5).
const SALT_LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Groups of four letters: 80 bits.
const GROUPS: usize = 4;

/// As many letters of salt as crypt(5) takes.
const SALT: usize = 16;

/// What crypt(5) takes where a hash names no number.
const ROUNDS: usize = 5000;

/// A new password and its hash.
pub(super) fn new() -> Result<(String, String), String> {
    let letters = random::<{ 4 * GROUPS }, 32>(LETTERS)?;
    let groups: Vec<&str> =
        letters.as_bytes().chunks(4).filter_map(|four| str::from_utf8(four).ok()).collect();
    let password = groups.join("-");
    let hash = hash(&password, &random::<SALT, 64>(SALT_LETTERS)?)?;
    Ok((password, hash))
}

fn random<const N: usize, const L: usize>(letters: &[u8; L]) -> Result<String, String> {
    const { assert!(256 % L == 0) };
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes.iter().filter_map(|byte| letters.get(usize::from(*byte) % L)).map(|b| char::from(*b)).collect())
}

/// SHA-512-crypt, which musl's crypt knows as every other one does.
fn hash(password: &str, salt: &str) -> Result<String, String> {
    let params = Sha512Params::new(ROUNDS).map_err(|e| format!("{e:?}"))?;
    let hash =
        sha512_crypt_b64(password.as_bytes(), salt.as_bytes(), &params).map_err(|e| format!("{e:?}"))?;
    Ok(format!("$6${salt}${hash}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_password_has_four_groups_of_letters() {
        let (password, _) = new().unwrap();
        assert_eq!(password.len(), 19);
        assert!(password.split('-').all(|group| group.bytes().all(|b| LETTERS.contains(&b))), "{password}");
    }

    #[test]
    fn its_hash_is_the_one_that_openssl_makes() {
        let (password, hash) = new().unwrap();
        let salt = hash.split('$').nth(2).unwrap();
        match Command::new("openssl").args(["passwd", "-6", "-salt", salt, &password]).output() {
            Ok(out) => assert_eq!(String::from_utf8(out.stdout).unwrap().trim_end(), hash),
            Err(e) => {
                hoopy_testkit::skip(format_args!("the hash beside openssl's: openssl does not start: {e}"))
            }
        }
    }
}
