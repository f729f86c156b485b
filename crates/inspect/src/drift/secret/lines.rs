//! Lines that give a value to a key which is called a password: `key = value`, `key: value`, `key value`, and the same
//! amid a line, as in the options of a mount, in JSON, in XML and on command lines; and addresses with a password in
//! them.
//!
//! The input may be one line without end: what is looked at behind a key is bounded ([`MAX_VALUE`]), so the time grows
//! with the length of the line alone.

use hoopy_base::address;

use super::commands;
use super::keys::{Key, MAX_KEY};
use super::values::{Careful, MAX_VALUE, Value, is_random};

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
    let line = without_comment(line);
    if has_assignment(line, careful) || has_statement(line, careful) || has_element(line, careful) {
        return Some("a password or token");
    }
    if commands::secret(line) {
        return Some("a password or token");
    }
    has_address(line).then_some("a password in an address")
}

/// Whether nothing in `line`, which has no space around it, is meant. Shares of Windows begin with `//`, too:
/// `//nas/share /mnt cifs password=...`; and lines of crontabs with `*`: `* 3 * * * curl -u ...`.
pub fn is_comment(line: &str) -> bool {
    let is_time = |word: &str| word.chars().all(|c| c.is_ascii_digit() || "*,-/".contains(c));
    let is_inner = |rest: &str| !rest.split_whitespace().next().is_some_and(is_time);
    line == "//"
        || ["#", ";", "// ", "/*", "<!--"].iter().any(|start| line.starts_with(start))
        || line.strip_prefix("* ").is_some_and(is_inner)
}

/// `line` to its comment: a `#` behind a space that is not in quotes and not the beginning of a value.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut last, mut is_after_space) = (None, None, false);
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' && is_after_space && !matches!(last, Some('=' | ':')) => {
                return line.get(..at).unwrap_or(line);
            }
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => {}
        }
        is_after_space = c.is_whitespace();
        last = if is_after_space { last } else { Some(c) };
    }
    line
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
    address::logins(line).any(|login| {
        let Some((_, password)) = login.split_once(':') else { return is_random(login) };
        let example = ["pass", "password"].iter().any(|word| password.eq_ignore_ascii_case(word));
        !password.is_empty() && !password.starts_with(['$', '{', '<', '%', '[']) && !example
    })
}
