//! Lines with a secret that one program alone writes so: `path` is in small letters.

use super::lines::is_comment;

/// Why `line` of the file at `path` looks secret.
pub fn secret(path: &str, line: &str) -> Option<&'static str> {
    let line = line.trim();
    if line.is_empty() || is_comment(line) {
        return None;
    }
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default().to_ascii_lowercase();
    let rest: Vec<&str> = words.take(16).collect();
    let found = statement(&first, &rest) || of_file(path, line, &first, &rest);
    found.then_some("a password or token")
}

/// Statements that no other program has.
fn statement(first: &str, rest: &[&str]) -> bool {
    let word = |at: usize| rest.get(at).copied().unwrap_or_default();
    let last = rest.last().map(|last| last.to_ascii_lowercase()).unwrap_or_default();
    match first {
        // NUT: MONITOR ups@host 1 user password secondary
        "monitor" => rest.len() == 5 && ["master", "slave", "primary", "secondary"].contains(&last.as_str()),
        // net-snmp
        "rocommunity" | "rwcommunity" | "rocommunity6" | "rwcommunity6" | "trapcommunity" => {
            !["", "public"].contains(&word(0)) && !word(0).starts_with('$')
        }
        "com2sec" | "com2sec6" => rest.len() >= 3 && word(rest.len() - 1) != "public",
        "createuser" => {
            rest.len() >= 3
                && ["MD5", "SHA", "SHA-256", "SHA-512", "SHA-224", "SHA-384"]
                    .iter()
                    .any(|h| word(1).eq_ignore_ascii_case(h))
        }
        "usmuser" => rest.len() > 4,
        // haproxy
        "user" if rest.iter().any(|w| *w == "insecure-password" || *w == "password") => rest.len() >= 3,
        "stats" if word(0) == "auth" => word(1).contains(':'),
        // Redis and Valkey: user NAME on >PASSWORD ~* +@all
        "user" => {
            rest.iter().any(|w| w.len() > 1 && w.starts_with('>'))
                || rest.iter().any(|w| w.len() == 65 && w.starts_with('#'))
        }
        "sentinel" => word(0) == "auth-pass" && rest.len() == 3,
        // tinyproxy, 3proxy
        "basicauth" => rest.len() == 2 && !word(1).starts_with(['$', '"', '/']),
        "users" => rest.iter().any(|w| [":CL:", ":CR:", ":NT:"].iter().any(|mark| w.contains(mark))),
        // FRR and Quagga
        "neighbor" => rest.iter().rev().nth(1).is_some_and(|w| *w == "password"),
        "key-string" => rest.len() == 1,
        // motion, monit
        "stream_authentication" | "webcontrol_authentication" | "netcam_userpass" => word(0).contains(':'),
        // chrony and ntp: NUMBER TYPE KEY
        number if number.chars().all(|c| c.is_ascii_digit()) => {
            rest.len() == 2 && is_of_ntp(word(0), word(1))
        }
        _ => false,
    }
}

fn is_of_ntp(kind: &str, key: &str) -> bool {
    let known = [
        "MD5",
        "SHA1",
        "SHA256",
        "SHA384",
        "SHA512",
        "SHA3-224",
        "SHA3-256",
        "AES128",
        "AES256",
        "AES128CMAC",
        "M",
    ];
    known.contains(&kind) && key.len() >= 4
}

/// Lines of files with a known name.
fn of_file(path: &str, line: &str, first: &str, rest: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let second = rest.first().copied().unwrap_or_default();
    if path.contains("monit") {
        let mut words = line.split_whitespace().take(64);
        return words.any(|word| word == "allow") && words.next().is_some_and(is_login);
    }
    match name {
        // 1234 => 4242,Name,Mail
        "voicemail.conf" => line
            .split_once("=>")
            .is_some_and(|(_, box_)| box_.trim().starts_with(|c: char| c.is_ascii_digit())),
        "znc.conf" => first == "hash" && second == "=",
        "squid.conf" => rest.iter().any(|w| w.strip_prefix("login=").is_some_and(is_login)),
        "corefile" => ["credentials", "secret"].contains(&first) && rest.len() == 2,
        _ => false,
    }
}

/// `user:password`, and no address of a network or a host with its port.
fn is_login(word: &str) -> bool {
    word.split_once(':').is_some_and(|(user, password)| {
        !user.is_empty()
            && !user.contains(['.', '['])
            && password.len() > 1
            && !password.starts_with(['$', '/', '*'])
    })
}
