//! Lines that give a value to a key which is called a password: `key = value`, `key: value`, `key value`, and the same
//! amid a line, as in the options of a mount, in JSON, in XML and on command lines; and addresses with a password in
//! them.
//!
//! The input may be one line without end: what is looked at behind a key is bounded ([`MAX_VALUE`]), so the time grows
//! with the length of the line alone.

use hoopy_base::address;

use super::commands;
use super::values::{MAX_VALUE, is_reference};

/// How sure a finding has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Careful {
    /// Values that are short, or several words, are taken for something else.
    Usual,
    /// The file is there for passwords: any value is one.
    Very,
}

/// What is read of a key.
const MAX_KEY: usize = 64;

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

/// Values that say whether, where or how, not what.
const NO_SECRETS: [&str; 37] = [
    "yes",
    "no",
    "on",
    "off",
    "true",
    "false",
    "none",
    "null",
    "ask",
    "prompt",
    "files",
    "string",
    "text",
    "required",
    "optional",
    "enabled",
    "disabled",
    "default",
    "never",
    "always",
    "auto",
    "allow",
    "deny",
    "interactive",
    "compat",
    "systemd",
    "winbind",
    "ldap",
    "stdin",
    "plain",
    "clear",
    "crypt",
    "system",
    "sufficient",
    "requisite",
    "include",
    "sss",
];

/// Why a line looks secret.
pub fn secret(line: &str, careful: Careful) -> Option<&'static str> {
    let line = line.trim();
    if is_comment(line) {
        return None;
    }
    // NAME:$6$SALT$HASH: in /etc/shadow, and wherever else crypt(5) is used.
    let field = line.split(':').nth(1).unwrap_or_default();
    let kind = field.strip_prefix('$').and_then(|rest| rest.split('$').next()).unwrap_or_default();
    let is_kind = !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_kind && field.matches('$').count() >= 3 && !field.contains(['"', '\'', ' ']) {
        return Some("the hash of a password");
    }
    let comment = [" #", "\t#"].iter().filter_map(|start| line.find(start)).min();
    let line = comment.and_then(|at| line.get(..at)).unwrap_or(line);
    if has_assignment(line, careful) || has_statement(line, careful) || has_element(line, careful) {
        return Some("a password or token");
    }
    if commands::secret(line) {
        return Some("a password or token");
    }
    has_address(line).then_some("a password in an address")
}

/// Whether nothing in `line`, which has no space around it, is meant. Shares of Windows begin with `//`, too:
/// `//nas/share /mnt cifs password=...`.
pub fn is_comment(line: &str) -> bool {
    line == "//" || ["#", ";", "// ", "/*", "* ", "<!--"].iter().any(|start| line.starts_with(start))
}

/// A key, and whether it stood in quotes.
struct Key {
    name: String,
    quoted: bool,
}

impl Key {
    /// In small letters, without the dashes of an option and the number of one of several.
    fn new(text: &str, quoted: bool) -> Self {
        let name = text.to_lowercase().replace('-', "_");
        let name = name.trim_start_matches('_').trim_end_matches(|c: char| c.is_ascii_digit());
        Self { name: name.to_owned(), quoted }
    }

    /// The key that ends where `before` does.
    fn at_end(before: &str) -> Self {
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

    fn is_secret(&self) -> bool {
        let name = self.name.as_str();
        // What docker and podman keep of a login.
        ENDS.iter().any(|end| name.ends_with(end)) || WHOLE.contains(&name) || (name == "auth" && self.quoted)
    }

    /// Whether it is called a key, which may be one for everybody.
    fn is_some_key(&self) -> bool {
        let name = self.name.as_str();
        let is_other =
            ["pub", "host", "finger", "trust", "signing", "gpg", "_id", "sort", "primary", "foreign"];
        name.ends_with("key") && !is_other.iter().any(|other| name.contains(other))
    }

    fn min(&self) -> usize {
        let ends = |ends: &[&str]| ends.iter().any(|end| self.name.ends_with(end));
        match () {
            () if ends(&PLAIN) => MIN_PLAIN,
            () if ends(&MIDDLING) => MIN_MIDDLING,
            () => MIN_VALUE,
        }
    }

    fn is_secret_before_a_space(&self) -> bool {
        // `proxy_pass ADDRESS` of nginx, and the command passwd.
        let of_nginx = ["proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached"];
        let is_place = self.name.strip_suffix("_pass").is_some_and(|name| of_nginx.contains(&name));
        self.is_secret() && !is_place && !self.name.ends_with("passwd")
    }
}

/// A value as a line has it.
struct Value<'a> {
    /// Without quotes.
    text: &'a str,
    quote: Option<char>,
    /// Whether other words follow.
    prose: bool,
}

impl<'a> Value<'a> {
    fn at_start(text: &'a str) -> Self {
        let end = text.char_indices().nth(MAX_VALUE).map_or(text.len(), |(at, _)| at);
        let text = text.get(..end).unwrap_or(text);
        if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let inner = text.get(1..).unwrap_or_default();
            let (text, rest) = inner.split_once(quote).unwrap_or((inner, ""));
            let prose = rest.chars().any(|c| !c.is_whitespace() && !";,)]}".contains(c));
            return Self { text, quote: Some(quote), prose };
        }
        let end = text.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        Self { text: word, quote: None, prose: !rest.trim().is_empty() }
    }

    fn is_secret(&self, key: &Key, careful: Careful) -> bool {
        let text = self.text.trim();
        // Of several in one line: the value alone.
        let word = text.split([',', ';', '&', ')', '}']).next().unwrap_or_default();
        let is_setting = NO_SECRETS.iter().any(|setting| word.eq_ignore_ascii_case(setting));
        if is_setting || word.is_empty() || (self.quote != Some('\'') && is_reference(text)) {
            return false;
        }
        if careful == Careful::Very {
            return true;
        }
        let min = key.min();
        let same = text.chars().all(|c| text.starts_with(c));
        // A path says where a secret is, and a variable who has it.
        let is_hash = text.strip_prefix('$').is_some_and(|rest| {
            rest.split_once('$').is_some_and(|(kind, hash)| !kind.is_empty() && hash.len() > 8)
        });
        let is_elsewhere = is_path(word)
            || (text.starts_with(['<', '%', '$']) && self.quote != Some('\'') && !is_hash)
            || (text.starts_with('@') && text.ends_with('@'))
            || (self.quote.is_none() && is_code(text));
        let is_object = text.starts_with('{')
            && if self.quote.is_some() {
                text.ends_with('}')
            } else {
                !text.trim_start_matches('{').starts_with(|c: char| c.is_ascii_uppercase())
            };
        let is_name_of_itself = key.name.eq_ignore_ascii_case(word);
        text.chars().count() >= min && !same && !is_elsewhere && !is_object && !is_name_of_itself
    }
}

/// Whether `text` says where a file is. A password in base64 may begin with a slash, too.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains('+') && !text.ends_with('=')
}

/// Whether `text` is a call or a member in a program's source: `token = self.token`, `token = read(file)`.
fn is_code(text: &str) -> bool {
    let name = text.split('(').next().unwrap_or_default();
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.:>-".contains(c))
    };
    let is_call = name.len() < text.len() && is_name(name);
    is_call || ["self.", "this.", "this->", "request."].iter().any(|start| text.starts_with(start))
}

/// Whether a word looks as if it had been drawn by lot: long, and no word of a language.
pub fn is_random(word: &str) -> bool {
    const MIN: usize = 20;
    let all = |is: &dyn Fn(char) -> bool| word.chars().all(is);
    let any = |is: &dyn Fn(char) -> bool| word.chars().any(is);
    let is_hex = all(&|c| c.is_ascii_hexdigit() || c == '-') && any(&|c| c.is_ascii_digit());
    let is_base64 = all(&|c| c.is_ascii_alphanumeric() || "+/=_-".contains(c))
        && any(&|c| c.is_ascii_digit())
        && any(&|c| c.is_ascii_uppercase())
        && any(&|c| c.is_ascii_lowercase());
    word.len() >= MIN && !is_path(word) && (is_hex || is_base64)
}

/// What gives a value to a name in PHP, with a comma between them.
const DEFINE: &str = "define(";

/// `key=value` and `key: value`, wherever they are.
fn has_assignment(line: &str, careful: Careful) -> bool {
    // define('DB_PASSWORD', 'x') of PHP
    let start = line.trim_start().get(..DEFINE.len()).unwrap_or_default();
    let is_define = start.eq_ignore_ascii_case(DEFINE);
    line.match_indices(['=', ':', ',']).any(|(at, mark)| {
        let (Some(before), Some(after)) = (line.get(..at), line.get(at + 1..)) else { return false };
        if mark == "," && !is_define {
            return false;
        }
        // A comparison, or the first half of `:=`.
        if after.starts_with('=') || before.ends_with(['=', '!']) {
            return false;
        }
        let key = Key::at_end(before);
        let after = after.strip_prefix('>').unwrap_or(after);
        if !key.is_secret() {
            let value = || Value::at_start(after.trim_start());
            return key.is_some_key() && is_random(value().text.trim_end_matches([',', ';', ')', '}']));
        }
        let value = Value::at_start(after.trim_start());
        // "password: the word that opens the door"
        let is_prose = value.prose && value.quote.is_none() && after.starts_with(char::is_whitespace);
        (careful == Careful::Very || !is_prose) && value.is_secret(&key, careful)
    })
}

/// What may stand before a key whose value follows a space: of routers, and of OpenWrt.
const BEFORE: [&str; 3] = ["enable", "option", "set"];

/// `key value` as a line or as one of several statements in it: `key "x" { secret "y"; };`
fn has_statement(line: &str, careful: Careful) -> bool {
    // Names of users and options stand before passwords in .netrc and the settings of fetchmail.
    let is_pair = |words: &[&str]| match words {
        [first, second] => {
            let key = Key::new(first, false);
            key.is_secret_before_a_space() && Value::at_start(second).is_secret(&key, careful)
        }
        _ => false,
    };
    if careful == Careful::Very {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.windows(2).any(is_pair) {
            return true;
        }
    }
    let begins_with_key =
        || line.split([';', '{', '}']).any(|statement| has_words(statement.trim(), careful));
    has_words(line, careful) || begins_with_key()
}

/// `<key>value</key>`.
fn has_element(line: &str, careful: Careful) -> bool {
    line.match_indices('>').any(|(at, _)| {
        let (Some(before), Some(after)) = (line.get(..at), line.get(at + 1..)) else { return false };
        let key = Key::at_end(before);
        if !key.is_secret() || !is_tag(before) {
            return false;
        }
        let end = after.char_indices().take(MAX_VALUE).find(|(_, c)| *c == '<').map(|(at, _)| at);
        let text = end.and_then(|end| after.get(..end)).unwrap_or_default();
        Value { text, quote: Some('"'), prose: false }.is_secret(&key, careful)
    })
}

/// Whether the word at the end of `before` follows a `<`.
fn is_tag(before: &str) -> bool {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
    before.chars().rev().take(MAX_KEY).find(|c| !is_part(c)) == Some('<')
}

/// `key value`: there is nothing else.
fn has_words(line: &str, careful: Careful) -> bool {
    let Some((mut first, mut rest)) = line.split_once(char::is_whitespace) else { return false };
    if BEFORE.contains(&first) {
        let Some(words) = rest.trim_start().split_once(char::is_whitespace) else { return false };
        (first, rest) = words;
    }
    if !first.chars().take(MAX_KEY).all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return false;
    }
    let key = Key::new(first, false);
    let value = Value::at_start(rest.trim());
    key.is_secret_before_a_space() && !value.prose && value.is_secret(&key, careful)
}

/// `https://user:password@host`, and a token in the place of a user.
fn has_address(line: &str) -> bool {
    address::starts(line).filter_map(|at| address::login(line.get(at..)?)).any(|login| {
        let Some((_, password)) = login.split_once(':') else { return is_random(login) };
        let example = ["pass", "password"].iter().any(|word| password.eq_ignore_ascii_case(word));
        !password.is_empty() && !password.starts_with(['$', '{', '<', '%', '[']) && !example
    })
}
