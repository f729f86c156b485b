//! Secrets among the arguments of commands, in scripts, crontabs and settings that hold options.

use super::values::{MAX_VALUE, is_reference};

/// Options whose value is a secret, whatever the command is.
const OPTIONS: [&str; 28] = [
    "--token",
    "--password",
    "--passwd",
    "--passphrase",
    "--pass",
    "--secret",
    "--apikey",
    "--api-key",
    "--auth-key",
    "--authkey",
    "--access-token",
    "--api-token",
    "--auth-token",
    "--client-secret",
    "--secret-key",
    "--access-key",
    "--http-password",
    "--ftp-password",
    "--proxy-password",
    "--db-password",
    "--dbpass",
    "--rootpw",
    "--bearer",
    "--oauth2-bearer",
    "--wpa-psk",
    "--psk",
    "--private-key-data",
    "--shared-secret",
];

/// Options whose value is `USER:PASSWORD`, or `USER%PASSWORD`.
const LOGINS: [(&[&str], &[&str], char); 3] = [
    (&["curl", "http", "https", "xh"], &["-u", "--user", "-U", "--proxy-user", "-a", "--auth"], ':'),
    (&["smbclient", "mount.cifs", "rpcclient", "net", "smbget", "nmblookup"], &["-U", "--user"], '%'),
    (&["lftp", "ncftpget", "ncftpput"], &["-u", "--user"], ','),
];

/// Commands with an option of their own whose value is a password.
const OF_COMMAND: [(&str, &str); 12] = [
    ("sshpass", "-p"),
    ("mysql", "-p"),
    ("mysqldump", "-p"),
    ("mariadb", "-p"),
    ("mariadb-dump", "-p"),
    ("mysqladmin", "-p"),
    ("ldapsearch", "-w"),
    ("ldapmodify", "-w"),
    ("redis-cli", "-a"),
    ("valkey-cli", "-a"),
    ("mosquitto_pub", "-P"),
    ("mosquitto_sub", "-P"),
];

/// How many words of a line are looked at.
const MAX_WORDS: usize = 4096;

/// Whether an argument in `line` is a secret.
pub fn secret(line: &str) -> bool {
    if !line.contains(" -") && !line.contains("\t-") && !has_prefix(line) {
        return has_header(line);
    }
    let words: Vec<&str> = line.split_whitespace().take(MAX_WORDS).collect();
    let mut command = "";
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let bare = word.trim_start_matches(['"', '\'', '(', '`', '$', '[']);
        if !bare.starts_with('-') && is_known(name(bare)) {
            command = name(bare);
        }
        let is_option = OPTIONS.iter().any(|option| bare.eq_ignore_ascii_case(option));
        if (is_option && is_value(next))
            || is_login(command, bare, next)
            || is_of_command(command, bare, next)
        {
            return true;
        }
        if bare.strip_prefix("pass:").is_some_and(is_value) {
            return true;
        }
    }
    has_header(line)
}

fn has_prefix(line: &str) -> bool {
    line.starts_with('-')
}

/// The name of a command that may be written with its path.
fn name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_known(name: &str) -> bool {
    LOGINS.iter().any(|(names, ..)| names.contains(&name))
        || OF_COMMAND.iter().any(|(known, _)| *known == name)
}

fn is_login(command: &str, word: &str, next: &str) -> bool {
    let own = LOGINS.iter().filter(|(names, ..)| names.contains(&command));
    let mut values = own.flat_map(|(_, options, mark)| options.iter().map(move |option| (*option, *mark)));
    values.any(|(option, mark)| {
        let attached = word
            .strip_prefix(option)
            .map(|rest| rest.trim_start_matches('='))
            .filter(|rest| !rest.is_empty());
        let value = if word == option { next } else { attached.unwrap_or_default() };
        unquoted(value)
            .split_once(mark)
            .is_some_and(|(user, password)| !user.is_empty() && is_value(password))
    })
}

fn is_of_command(command: &str, word: &str, next: &str) -> bool {
    OF_COMMAND.iter().filter(|(name, _)| *name == command).any(|(name, option)| {
        // -p of MySQL has its value attached, and asks where it has none.
        let attached = word.strip_prefix(option).filter(|rest| !rest.is_empty() && !word.starts_with("--"));
        let apart = word == *option && !name.starts_with("my") && !name.starts_with("mariadb");
        attached.is_some_and(is_value) || (apart && is_value(next))
    })
}

/// Headers of HTTP that carry a secret.
const HEADERS: [&str; 9] = [
    "authorization:",
    "proxy-authorization:",
    "x-api-key:",
    "x-auth-token:",
    "x-auth-key:",
    "private-token:",
    "x-vault-token:",
    "x-access-token:",
    "cookie:",
];

/// What is read behind a header: a scheme and a value.
const MAX_HEADER: usize = 4 * MAX_VALUE;

/// The shortest value of a header that counts: `Authorization: Basic` has a scheme before it.
const MIN_HEADER: usize = 8;

fn has_header(line: &str) -> bool {
    let small = line.to_ascii_lowercase();
    // proxy_set_header Authorization "Basic x";
    let of_server = ["basic ", "bearer "].iter().any(|scheme| {
        [" ", " \"", " '"].iter().any(|mark| {
            let start = format!("authorization{mark}{scheme}");
            small.split_once(&start).is_some_and(|(before, _)| {
                let value = line.get(before.len() + start.len()..).unwrap_or_default();
                let value = value.split_whitespace().next().unwrap_or_default();
                value.len() >= MIN_HEADER && is_value(value)
            })
        })
    });
    if of_server {
        return true;
    }
    HEADERS.iter().any(|header| {
        small.match_indices(header).any(|(at, _)| {
            let rest = line.get(at + header.len()..).unwrap_or_default();
            let end = rest.char_indices().nth(MAX_HEADER).map_or(rest.len(), |(at, _)| at);
            let rest = rest.get(..end).unwrap_or_default();
            let words =
                rest.split(|c: char| c.is_whitespace() || "\"'`".contains(c)).filter(|word| !word.is_empty());
            let is_scheme = |word: &str| {
                ["basic", "bearer", "token", "digest", "apikey"].iter().any(|s| word.eq_ignore_ascii_case(s))
            };
            let value = words.take(2).find(|word| !is_scheme(word)).unwrap_or_default();
            value.len() >= MIN_HEADER && is_value(value)
        })
    })
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\'', ';', ',', ')', '`', ']'])
}

/// Whether a word is a value itself, not an option, a path, a variable or a place where one is to be written.
fn is_value(word: &str) -> bool {
    let single = word.starts_with('\'');
    let word = unquoted(word);
    let is_elsewhere = word.starts_with(['-', '/', '<', '%', '@', '|', '>', '&', '{', '[', '='])
        || (!single && (word.starts_with('$') || is_reference(word)));
    let is_placeholder =
        word.chars().all(|c| c.is_ascii_uppercase() || "_-.".contains(c)) || word.contains("...");
    let is_named = ["password", "passwd", "token", "secret", "passphrase", "file", "stdin", "env", "none"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name));
    (3..=MAX_VALUE).contains(&word.len()) && !is_elsewhere && !is_placeholder && !is_named
}
