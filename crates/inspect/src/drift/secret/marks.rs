//! Marks of secrets: they stand before one wherever it is.

/// What only stands in front of secrets, and what they are.
const MARKS: [(&str, &str); 15] = [
    ("PRIVATE KEY-----", "a private key"),
    ("PRIVATE KEY BLOCK-----", "a private key"),
    ("BEGIN OpenVPN Static key", "a key of OpenVPN"),
    ("AGE-SECRET-KEY-", "a key of age"),
    ("PuTTY-User-Key-File", "a key of ssh"),
    ("minisign encrypted secret key", "a key of minisign"),
    ("signify secret key", "a key of signify"),
    ("BEGIN ARGO TUNNEL TOKEN", "a token"),
    ("BEGIN SSH2 ENCRYPTED PRIVATE", "a key of ssh"),
    ("BORG_KEY ", "a key of borg"),
    ("untrusted comment: rsa secret", "a key"),
    ("privkey:", "a key"),
    ("(private-key", "a key of GnuPG"),
    ("(protected-private-key", "a key of GnuPG"),
    ("<auth-user-pass>", "a login of OpenVPN"),
];

/// What tokens of well-known services start with.
const TOKENS: [&str; 38] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "dckr_pat_",
    "xoxb-",
    "xoxp-",
    "sk_live_",
    "tskey-",
    "AKIA",
    "hvs.",
    "hvb.",
    "glrt-",
    "gldt-",
    "xoxa-",
    "xoxr-",
    "xapp-",
    "rk_live_",
    "whsec_",
    "sk-ant-",
    "sk-proj-",
    "npm_",
    "pypi-AgEI",
    "AIzaSy",
    "ya29.",
    "dop_v1_",
    "shpat_",
    "ATATT3x",
    "dt0c01.",
    "ASIA",
    "nvapi-",
    "PMAK-",
    "lin_api_",
    // JSON Web Tokens, and the tokens of cloudflared, which are JSON in base64.
    "eyJhbGciOi",
    "eyJ0eXAiOi",
    "eyJhIjoi",
];

/// Addresses that end in a token.
const HOOKS: [&str; 5] = [
    "api.telegram.org/bot",
    "hooks.slack.com/services/T",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "ntfy.sh/tk_",
];

/// The shortest of them go on for so many letters and digits.
const TOKEN_LEN: usize = 16;

/// What hashes of crypt(5) start with. Those of MD5 have eight letters of salt at most, and 22 of hash.
const HASHES: [&str; 18] = [
    "$1$",
    "$apr1$",
    "$2$",
    "$2a$",
    "$2b$",
    "$2x$",
    "$2y$",
    "$5$",
    "$6$",
    "$7$",
    "$y$",
    "$gy$",
    "$sha1$",
    "$argon2",
    "$pbkdf2",
    "pbkdf2_sha256$",
    "SCRAM-SHA-256$",
    "$scrypt$",
];

/// What stands before a password or its hash in lists of dovecot, of web servers and of LDAP (RFC 2307).
const SCHEMES: [&str; 25] = [
    "{PLAIN}",
    "{CLEAR}",
    "{CLEARTEXT}",
    "{CRYPT}",
    "{SHA}",
    "{SSHA}",
    "{SHA1}",
    "{SHA256}",
    "{SSHA256}",
    "{SHA512}",
    "{SSHA512}",
    "{SHA256-CRYPT}",
    "{SHA512-CRYPT}",
    "{MD5}",
    "{SMD5}",
    "{MD5-CRYPT}",
    "{CRAM-MD5}",
    "{DIGEST-MD5}",
    "{BLF-CRYPT}",
    "{ARGON2}",
    "{ARGON2I}",
    "{ARGON2ID}",
    "{PBKDF2}",
    "{SCRAM-SHA-1}",
    "{SCRAM-SHA-256}",
];

/// The shortest password behind one of these.
const SCHEME_LEN: usize = 3;

/// The shortest hash, with its salt, has so many letters.
const HASH_LEN: usize = 22;

/// Why `text` looks secret wherever it is.
pub fn secret(text: &str) -> Option<&'static str> {
    let mark = MARKS.iter().find(|(mark, _)| text.contains(mark)).map(|(_, what)| *what);
    let is_token = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let is_hook = |c: char| c.is_ascii_alphanumeric() || "_-/:".contains(c);
    let is_hash = |c: char| c.is_ascii_alphanumeric() || "./$+=,".contains(c);
    let has = |starts: &[&str], len: usize, is_part: &dyn Fn(char) -> bool| {
        starts.iter().any(|start| goes_on(text, start, len, is_part))
    };
    let token = || has(&TOKENS, TOKEN_LEN, &is_token).then_some("a token");
    let hook = || has(&HOOKS, TOKEN_LEN, &is_hook).then_some("a token in an address");
    let hash = || has(&HASHES, HASH_LEN, &is_hash).then_some("the hash of a password");
    let is_word = |c: char| c.is_ascii_graphic() && !"}<>".contains(c);
    let scheme = || has(&SCHEMES, SCHEME_LEN, &is_word).then_some("a password or its hash");
    mark.or_else(token).or_else(hook).or_else(hash).or_else(scheme)
}

/// Whether `start` is anywhere in `text` with so many letters behind it.
fn goes_on(text: &str, start: &str, len: usize, is_part: &dyn Fn(char) -> bool) -> bool {
    let mut rests = text.match_indices(start).filter_map(|(at, _)| text.get(at + start.len()..));
    rests.any(|rest| rest.chars().take(len).filter(|c| is_part(*c)).count() == len)
}
