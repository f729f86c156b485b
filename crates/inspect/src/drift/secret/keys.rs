//! Names that are given secret values.

/// What is read of a key.
pub const MAX_KEY: usize = 64;

/// The shortest value that is taken for a secret where the key could mean something else.
const MIN_VALUE: usize = 8;

/// The shortest where the key means nothing else ([`PLAIN`]).
const MIN_PLAIN: usize = 3;

/// Ends of keys.
const ENDS: [&str; 34] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "psk",
    "privatekey",
    "private_key",
    "presharedkey",
    "preshared_key",
    "api_key",
    "apikey",
    "authkey",
    "auth_key",
    "access_key",
    "secret_key",
    "key_data",
    "_pass",
    "_pwd",
    "authpass",
    "bindpw",
    "rootpw",
    "requirepass",
    "authtok",
    "account_key",
    "network_key",
    "secret_key_base",
    "passwordsalt",
    "passwrd",
    "passcode",
    "password_hash",
    "master_key",
    "_pw",
    "dnpass",
];

/// Whole keys.
const WHOLE: [&str; 10] = [
    "pass",
    "pwd",
    "masterauth",
    "wireless_key",
    "wep_key",
    "encryption_key",
    "credentials",
    "bearer",
    "dbpass",
    "userpass",
];

/// Ends of keys of which a short value is a secret, too.
const PLAIN: [&str; 10] =
    ["password", "passphrase", "psk", "rootpw", "bindpw", "pass", "pwd", "_pw", "passwrd", "authtok"];

/// Ends of keys of which a value of middling length is one.
const MIDDLING: [&str; 2] = ["secret", "passwd"];

/// The shortest where the key means little else ([`MIDDLING`]).
const MIN_MIDDLING: usize = 6;

/// A key, and whether it stood in quotes.
pub struct Key {
    /// In small letters.
    pub name: String,
    quoted: bool,
}

impl Key {
    /// In small letters, without the dashes of an option and the number of one of several.
    pub fn new(text: &str, quoted: bool) -> Self {
        let name = text.to_lowercase().replace('-', "_");
        let name = name.trim_start_matches('_').trim_end_matches(|c: char| c.is_ascii_digit());
        Self { name: name.to_owned(), quoted }
    }

    /// The key that ends where `before` does.
    pub fn at_end(before: &str) -> Self {
        let start = before.char_indices().rev().nth(MAX_KEY).map_or(0, |(at, _)| at);
        let before = before.get(start..).unwrap_or(before);
        // `password := x`, `password += x`, "password": x
        let before = before.trim_end_matches([':', '+', '?']).trim_end();
        let bare = before.trim_end_matches(['"', '\'', ']']);
        let is_part = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
        let mut name: Vec<char> = bare.chars().rev().take_while(is_part).collect();
        name.reverse();
        Self::new(&name.into_iter().collect::<String>(), bare.len() < before.len())
    }

    /// Whether it is called a password.
    pub fn is_secret(&self) -> bool {
        let name = self.name.as_str();
        // What docker and podman keep of a login.
        ENDS.iter().any(|end| name.ends_with(end)) || WHOLE.contains(&name) || (name == "auth" && self.quoted)
    }

    /// Whether it is called a key, which may be one for everybody.
    pub fn is_some_key(&self) -> bool {
        let name = self.name.as_str();
        let is_other =
            ["pub", "host", "finger", "trust", "signing", "gpg", "_id", "sort", "primary", "foreign"];
        name.ends_with("key") && !is_other.iter().any(|other| name.contains(other))
    }

    /// The shortest value of it that is taken for a secret.
    pub fn min(&self) -> usize {
        let ends = |ends: &[&str]| ends.iter().any(|end| self.name.ends_with(end));
        match () {
            () if ends(&PLAIN) => MIN_PLAIN,
            () if ends(&MIDDLING) => MIN_MIDDLING,
            () => MIN_VALUE,
        }
    }

    /// The same where a space follows.
    pub fn is_secret_before_a_space(&self) -> bool {
        // `proxy_pass ADDRESS` of nginx, and the command passwd.
        let of_nginx = ["proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached"];
        let is_place = self.name.strip_suffix("_pass").is_some_and(|name| of_nginx.contains(&name));
        self.is_secret() && !is_place && !self.name.ends_with("passwd")
    }
}
