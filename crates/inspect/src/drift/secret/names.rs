//! Files that hold secrets by their names: `path` is in small letters.

/// Why a file with this name and text holds a secret.
pub fn secret(path: &str, text: &str) -> Option<&'static str> {
    let name = file_name(path);
    if name.ends_with(".pub") {
        return None;
    }
    keys(path, name, text).or_else(|| passwords(name, text))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn keys(path: &str, name: &str, text: &str) -> Option<&'static str> {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    match () {
        () if name.starts_with("ssh_host_") && name.ends_with("_key") => Some("a host key of ssh"),
        () if name.starts_with("dropbear_") && name.ends_with("_host_key") => Some("a host key of ssh"),
        () if path.contains(".ssh/id_") => Some("a key of ssh"),
        () if name.ends_with(".key") && !is_public(text) => Some("a key"),
        () if ends(&[".keytab", ".p12", ".pfx", ".jks", ".kdbx", ".keystore"]) => Some("a key"),
        // A script that is named after the file which it reads.
        () if name.contains("keyfile") && !text.starts_with("#!") && has_statement(text) => {
            Some("the key of a disk")
        }
        () if path.contains("cryptsetup-keys.d/") => Some("the key of a disk"),
        () if path.contains("wireguard/") && !name.ends_with(".example") => Some("a key of WireGuard"),
        () => None,
    }
}

/// DNSSEC's trust anchors and signers of packages are called keys, too.
fn is_public(text: &str) -> bool {
    text.contains("PUBLIC KEY") || text.contains(" DNSKEY ")
}

/// Names of files whose every line is a secret.
const PASSWORDS: [&str; 9] = [
    ".netrc",
    "_netrc",
    ".pgpass",
    ".git-credentials",
    ".env",
    "secrets",
    "sasl_passwd",
    "passwd.client",
    "smbpasswd",
];

fn passwords(name: &str, text: &str) -> Option<&'static str> {
    if name.ends_with("_history") {
        return Some("what somebody typed");
    }
    let ends = ["-secrets", ".secrets", ".wpa_psk"].iter().any(|end| name.ends_with(end));
    ((ends || PASSWORDS.contains(&name)) && has_statement(text)).then_some("a password")
}

/// Packages bring such files with nothing but an explanation in them.
fn has_statement(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Whether a file with this name is there for a password among other things: any value of a key that is called one
/// is one, however short.
pub fn holds_passwords(path: &str) -> bool {
    let name = file_name(path).trim_start_matches('.');
    const WHOLE: [&str; 15] = [
        "msmtprc",
        "my.cnf",
        "npmrc",
        "pypirc",
        "fetchmailrc",
        "ssmtp.conf",
        "rclone.conf",
        "ddclient.conf",
        "upsd.users",
        "s3cfg",
        "slapd.conf",
        "nslcd.conf",
        "redis.conf",
        "davfs2.conf",
        "muttrc",
    ];
    let conf = |start: &str| name.starts_with(start) && name.ends_with(".conf");
    WHOLE.contains(&name)
        || conf("wpa_supplicant")
        || conf("hostapd")
        || name.contains("credentials")
        || name.ends_with(".nmconnection")
        || name.ends_with(".psk")
}
