//! Values: which are secrets, and which say something else.

use super::keys::Key;

/// What is read of a value.
pub const MAX_VALUE: usize = 256;

/// Whether a shell or a template puts the value there.
pub fn is_reference(text: &str) -> bool {
    ["${", "$(", "{{", "`"].iter().any(|start| text.starts_with(start))
}

/// How sure a finding has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Careful {
    /// Values that are short, or several words, are taken for something else.
    Usual,
    /// The file is there for passwords: any value is one.
    Very,
}

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

/// A value as a line has it.
pub struct Value<'a> {
    /// Without quotes.
    pub text: &'a str,
    /// In which they were.
    pub quote: Option<char>,
    /// Whether other words follow.
    pub prose: bool,
}

impl<'a> Value<'a> {
    /// The one at the start of `text`.
    pub fn at_start(text: &'a str) -> Self {
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

    /// Whether it is one to keep, as the value of `key`.
    pub fn is_secret(&self, key: &Key, careful: Careful) -> bool {
        let text = self.text.trim();
        // Of several in one line: the value alone.
        let word = text.split([',', ';', '&', ')', '}']).next().unwrap_or_default();
        let is_comment = self.quote.is_none() && text.starts_with('#') && (text.len() == 1 || self.prose);
        let is_setting = NO_SECRETS.iter().any(|setting| word.eq_ignore_ascii_case(setting));
        if is_setting || is_comment || word.is_empty() || (self.quote != Some('\'') && is_reference(text)) {
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
