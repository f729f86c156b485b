//! Recognising what must not lie in git in the clear. A guess, on the careful side: `--secrets` overrides it.

/// Why a file with this path and content looks secret; nothing where it does not.
pub fn secret(path: &[u8], content: &[u8]) -> Option<&'static str> {
    let path = String::from_utf8_lossy(path).to_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let public = name.ends_with(".pub");
    let by_name = match () {
        () if public => None,
        () if name.starts_with("ssh_host_") && name.ends_with("_key") => Some("a host key of ssh"),
        () if name.starts_with("dropbear_") && name.ends_with("_host_key") => Some("a host key of ssh"),
        () if path.contains(".ssh/id_") => Some("a key of ssh"),
        () if name.ends_with(".key") || name.ends_with(".keytab") || name.ends_with(".p12") => Some("a key"),
        () if path.contains("wireguard/") && !name.ends_with(".example") => Some("a key of WireGuard"),
        () if matches!(name, ".netrc" | ".pgpass" | ".git-credentials" | ".env") => Some("a password"),
        () if name.ends_with("_history") => Some("what somebody typed"),
        () => None,
    };
    by_name.or_else(|| by_content(&String::from_utf8_lossy(content)))
}

/// What only stands in front of secrets, and what they are.
const MARKS: [(&str, &str); 3] = [
    ("PRIVATE KEY-----", "a private key"),
    ("AGE-SECRET-KEY-", "a key of age"),
    ("PuTTY-User-Key-File", "a key of ssh"),
];

/// What tokens of well-known services start with.
const TOKENS: [&str; 7] = ["ghp_", "github_pat_", "glpat-", "xoxb-", "tskey-", "AKIA", "hvs."];

/// The shortest of them go on for so many letters and digits.
const TOKEN_LEN: usize = 16;

fn by_content(text: &str) -> Option<&'static str> {
    let mark = MARKS.iter().find(|(mark, _)| text.contains(mark)).map(|(_, what)| *what);
    let token = || TOKENS.iter().any(|start| has_token(text, start)).then_some("a token");
    mark.or_else(token).or_else(|| text.lines().find_map(by_line))
}

fn has_token(text: &str, start: &str) -> bool {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
    let starts = text.match_indices(start).filter_map(|(at, _)| text.get(at + start.len()..));
    starts.into_iter().any(|rest| rest.chars().take_while(is_part).count() >= TOKEN_LEN)
}

fn by_line(line: &str) -> Option<&'static str> {
    // NAME:$6$SALT$HASH: in /etc/shadow, and wherever else crypt(5) is used.
    let field = line.split(':').nth(1).unwrap_or_default();
    if field.starts_with('$') && field.matches('$').count() >= 3 {
        return Some("the hash of a password");
    }
    let (key, value) = line.split_once(['=', ':'])?;
    let key = key.trim().trim_matches('"').to_lowercase();
    let value = value.trim().trim_matches(['"', '\'']);
    let named = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "psk",
        "privatekey",
        "presharedkey",
        "api_key",
        "apikey",
    ];
    let is_named = named.iter().any(|word| key.ends_with(word));
    let is_comment = key.starts_with(['#', ';', '/']);
    // A path says where a secret is.
    (is_named && !is_comment && value.len() >= 8 && !value.contains(' ') && !value.starts_with(['/', '$']))
        .then_some("a password or token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognised() {
        for (path, content) in [
            ("etc/ssh/ssh_host_ed25519_key", "x"),
            ("etc/dropbear/dropbear_rsa_host_key", "x"),
            ("root/.ssh/id_ed25519", "x"),
            ("etc/ssl/site.key", "x"),
            ("etc/ssl/site.pem", "-----BEGIN EC PRIVATE KEY-----\n"),
            ("etc/shadow", "root:$6$abc$def:1::::::\n"),
            ("etc/wireguard/wg0.conf", "[Interface]\n"),
            ("etc/x.conf", "PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"),
            ("etc/wpa_supplicant.conf", "  psk=\"correct horse\"\n psk=correcthorse\n"),
            ("etc/app.toml", "api_token: abcdefghijkl\n"),
            ("srv/.git-credentials", "x"),
            ("etc/x", "export GH=ghp_0123456789abcdef0123456789abcdef0123\n"),
        ] {
            assert!(secret(path.as_bytes(), content.as_bytes()).is_some(), "{path}");
        }
    }

    #[test]
    fn ordinary_files_are_not() {
        for (path, content) in [
            ("etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA\n"),
            ("etc/ssh/sshd_config", "PasswordAuthentication no\n# password=example123\n"),
            ("etc/shadow", "root:*:1::::::\ndaemon:!::0:::::\n"),
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("etc/nsswitch.conf", "passwd: files\n"),
            ("etc/app.toml", "token = \"/run/secrets/token\"\npassword_file: /etc/x-password\n"),
            ("etc/motd", "hello\n"),
        ] {
            assert_eq!(secret(path.as_bytes(), content.as_bytes()), None, "{path}");
        }
    }
}
