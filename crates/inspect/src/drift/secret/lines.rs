//! Lines that give a value to a key which is called a password: `key = value`, `key: value`, `key value`, and the same
//! amid a line, as in the options of a mount, in JSON and on command lines; and addresses with a password in them.
//!
//! The input may be one line without end: what is looked at behind a key is bounded ([`MAX_VALUE`]), so the time grows
//! with the length of the line alone.

/// How sure a finding has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Careful {
    /// Values that are short, or several words, are taken for something else.
    Usual,
    /// The file is there for passwords: any value is one.
    Very,
}

/// What is read of a value.
const MAX_VALUE: usize = 256;

/// What is read of a key.
const MAX_KEY: usize = 64;

/// The shortest value that is taken for a secret where the key could mean something else.
const MIN_VALUE: usize = 8;

/// The shortest where the key means nothing else ([`PLAIN`]).
const MIN_PLAIN: usize = 4;

/// Ends of keys.
const ENDS: [&str; 23] = [
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
];

/// Whole keys.
const WHOLE: [&str; 6] = ["pass", "pwd", "masterauth", "wireless_key", "wep_key", "encryption_key"];

/// Keys of which a short value is a secret, too.
const PLAIN: [&str; 7] = ["password", "passphrase", "psk", "wpa_psk", "wpa_passphrase", "rootpw", "bindpw"];

/// Values that say whether, where or how, not what.
const NO_SECRETS: [&str; 24] = [
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
];

/// Why a line looks secret.
pub fn secret(line: &str, careful: Careful) -> Option<&'static str> {
    let line = line.trim();
    // Shares of Windows begin with `//`, too: `//nas/share /mnt cifs password=...`.
    if line == "//" || ["#", ";", "// ", "/*", "* "].iter().any(|start| line.starts_with(start)) {
        return None;
    }
    // NAME:$6$SALT$HASH: in /etc/shadow, and wherever else crypt(5) is used.
    let field = line.split(':').nth(1).unwrap_or_default();
    if field.starts_with('$') && field.matches('$').count() >= 3 {
        return Some("the hash of a password");
    }
    let comment = [" #", "\t#"].iter().filter_map(|start| line.find(start)).min();
    let line = comment.and_then(|at| line.get(..at)).unwrap_or(line);
    if has_assignment(line, careful) || has_words(line, careful) {
        return Some("a password or token");
    }
    has_address(line).then_some("a password in an address")
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

    fn is_secret_before_a_space(&self) -> bool {
        // `proxy_pass ADDRESS` of nginx, and the command passwd.
        self.is_secret() && !self.name.ends_with("_pass") && !self.name.ends_with("passwd")
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
            return Self { text, quote: Some(quote), prose: !rest.trim().is_empty() };
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
        let min = if PLAIN.contains(&key.name.as_str()) { MIN_PLAIN } else { MIN_VALUE };
        let same = text.chars().all(|c| text.starts_with(c));
        // A path says where a secret is, and a variable who has it.
        let is_elsewhere =
            text.starts_with('/') || (text.starts_with(['<', '%', '$']) && self.quote != Some('\''));
        let is_object =
            text.strip_prefix('{').is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_uppercase()));
        let is_name_of_itself = key.name.eq_ignore_ascii_case(word);
        text.chars().count() >= min && !same && !is_elsewhere && !is_object && !is_name_of_itself
    }
}

/// Whether a shell or a template puts the value there.
fn is_reference(text: &str) -> bool {
    ["${", "$(", "{{", "`"].iter().any(|start| text.starts_with(start))
}

/// `key=value` and `key: value`, wherever they are.
fn has_assignment(line: &str, careful: Careful) -> bool {
    line.match_indices(['=', ':']).any(|(at, _)| {
        let (Some(before), Some(after)) = (line.get(..at), line.get(at + 1..)) else { return false };
        // A comparison, or the first half of `:=`.
        if after.starts_with('=') || before.ends_with(['=', '!']) {
            return false;
        }
        let key = Key::at_end(before);
        if !key.is_secret() {
            return false;
        }
        let after = after.strip_prefix('>').unwrap_or(after);
        let value = Value::at_start(after.trim_start());
        // "password: the word that opens the door"
        let is_prose = value.prose && value.quote.is_none() && after.starts_with(char::is_whitespace);
        (careful == Careful::Very || !is_prose) && value.is_secret(&key, careful)
    })
}

/// What may stand before a key whose value follows a space: of routers, and of OpenWrt.
const BEFORE: [&str; 3] = ["enable", "option", "set"];

/// `key value`: the line has nothing else.
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

/// `https://user:password@host`.
fn has_address(line: &str) -> bool {
    line.match_indices("://").any(|(at, mark)| {
        let rest = line.get(at + mark.len()..).unwrap_or_default();
        let is_part = |c: &char| !c.is_whitespace() && !"/?#\"'`<>".contains(*c);
        let authority: String = rest.chars().take(MAX_VALUE).take_while(is_part).collect();
        let login = authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
        login.is_some_and(|(_, password)| {
            let example = ["pass", "password"].iter().any(|word| password.eq_ignore_ascii_case(word));
            !password.is_empty() && !password.starts_with(['$', '{']) && !example
        })
    })
}
