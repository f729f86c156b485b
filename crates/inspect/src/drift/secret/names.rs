//! Files that hold secrets by their names: `path` is in small letters.

use super::values::is_random;

/// Why a file with this name and text holds a secret.
pub fn secret(path: &str, text: &str) -> Option<&'static str> {
    let name = stem(file_name(path));
    if file_name(path).ends_with(".pub") || name.ends_with(".pub") {
        return None;
    }
    keys(path, name, text)
        .or_else(|| passwords(path, name, text))
        .or_else(|| accounts(path, name, text))
        .or_else(|| alone(name, text))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What is added to a name for a copy, and for what postfix and others make of a list.
const COPIES: [&str; 21] = [
    ".db", ".lmdb", ".cdb", ".dbm", ".dir", ".pag", ".sdbm", ".gdbm", ".btree", ".hash", ".bak", ".backup",
    ".old", ".orig", ".save", ".new", ".saved", ".copy", ".tmp", "~", "-",
];

/// The name without what is added for copies: `sasl_passwd.lmdb`, `wpa_supplicant.conf.bak`, `shadow-`.
fn stem(name: &str) -> &str {
    let mut name = name;
    while let Some(short) =
        COPIES.iter().find_map(|copy| name.strip_suffix(copy)).filter(|short| short.len() > 1)
    {
        name = short;
    }
    name
}

fn keys(path: &str, name: &str, text: &str) -> Option<&'static str> {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let within = |dirs: &[&str]| dirs.iter().any(|dir| path.contains(dir));
    match () {
        () if name.starts_with("ssh_host_") && name.ends_with("_key") => Some("a host key of ssh"),
        () if name.starts_with("dropbear_") && name.ends_with("_host_key") => Some("a host key of ssh"),
        () if path.contains(".ssh/id_") => Some("a key of ssh"),
        () if ends(&[".key", ".keys"]) && has_statement(text) && !is_public(text) => Some("a key"),
        () if ends(&[".priv", ".private"]) && has_statement(text) => Some("a key"),
        () if ends(&[".keytab", ".p12", ".pfx", ".jks", ".kdbx", ".kdb", ".keystore", ".ppk", ".bks"]) => {
            Some("a key")
        }
        // A script that is named after the file which it reads.
        () if name.contains("keyfile") && !text.starts_with("#!") && has_statement(text) => {
            Some("the key of a disk")
        }
        () if path.contains("cryptsetup-keys.d/") => Some("the key of a disk"),
        () if path.contains("wireguard/") && !name.ends_with(".example") && !name.starts_with("readme") => {
            Some("a key of WireGuard")
        }
        () if within(&[".gnupg/private-keys-v1.d/"]) || name == "secring.gpg" => Some("a key of GnuPG"),
        () if within(&["ntp/keys", "borg/keys/", "/.age/", "samba/private/"]) => Some("a key"),
        () if name == "tailscaled.state" || name.starts_with(".k5.") => Some("a key"),
        () => None,
    }
}

/// DNSSEC's trust anchors, signers of packages and certificates are called keys, too; and lists of who may log in.
fn is_public(text: &str) -> bool {
    let of_ssh =
        |line: &str| ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| line.starts_with(start));
    text.contains("PUBLIC KEY")
        || text.contains(" DNSKEY ")
        || text.contains("trusted-keys {")
        || text.contains("trust-anchors {")
        || statements(text).all(of_ssh)
}

/// Names of files whose every line is a secret.
const PASSWORDS: [&str; 25] = [
    ".netrc",
    "_netrc",
    "netrc",
    ".pgpass",
    "pgpass",
    ".git-credentials",
    ".env",
    "secrets",
    "sasl_passwd",
    "passwd.client",
    "smbpasswd",
    "passdb.tdb",
    "secrets.tdb",
    "afppasswd",
    "opasswd",
    "userlist.txt",
    ".erlang.cookie",
    ".xauthority",
    ".iceauthority",
    "ipmi_pass",
    "rpcsecrets",
    "accounts.tdb",
    "users.acl",
    "auth_file",
    "authinfo",
];

/// Programs' own directories of logins.
const LOGINS: [(&str, &str); 6] = [
    ("prosody/", "/accounts/"),
    ("vsftpd", "login"),
    ("vsftpd", "virtual_user"),
    ("vsftpd", "virtual-user"),
    ("lighttpd", ".user"),
    ("hostapd", "eap_user"),
];

fn passwords(path: &str, name: &str, text: &str) -> Option<&'static str> {
    if name.ends_with("_history") {
        return Some("what somebody typed");
    }
    // secrets.yaml, secrets.toml; not secrets.sh, which reads them.
    let begins = ["secrets.", ".env."].iter().any(|start| name.starts_with(start)) && !text.starts_with("#!");
    let ends = ["-secrets", ".secrets", ".wpa_psk", ".psk", ".8021x"].iter().any(|end| name.ends_with(end));
    // Lists for postfix and exim: sasl_passwd, smtp_sasl_password_map, relay_passwd.
    let of_mail = name.contains("sasl") && name.contains("pass") && !name.ends_with(".conf")
        || ["relay_passwd", "password_maps", "password_map", "passwdmap", "relay_password"].contains(&name);
    let is_list = LOGINS.iter().any(|(dir, part)| path.contains(dir) && path.contains(part));
    let found = begins || ends || of_mail || is_list || PASSWORDS.contains(&name);
    let of_openvpn = || path.contains("openvpn/") && is_login(text);
    ((found && has_statement(text)) || of_openvpn()).then_some("a password")
}

/// Two words, a line each: what `auth-user-pass` of OpenVPN reads.
fn is_login(text: &str) -> bool {
    let words: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
    let is_word =
        |word: &&str| !word.contains(char::is_whitespace) && !word.starts_with(['#', '-', '/', ';']);
    words.len() == 2 && words.iter().all(is_word)
}

/// Lists of `NAME:PASSWORD`, or its hash.
fn accounts(path: &str, name: &str, text: &str) -> Option<&'static str> {
    let ends = ["passwd", "htpasswd", "htdigest", "shadow", ".digest", "passwords", ".htpasswd.conf"];
    let is_list = ends.iter().any(|end| name.ends_with(end))
        || name.contains("htpasswd")
        || (path.contains("dovecot/") && name.contains("users"))
        || (path.contains("dovecot/") && name.contains("passwd"));
    // The program of that name.
    if !is_list || text.contains('\0') {
        return None;
    }
    let has_password = |line: &str| {
        let field =
            line.split_once(':').map_or("", |(_, rest)| rest.split(':').next().unwrap_or_default().trim());
        // x is elsewhere; * and ! are none.
        field.len() > 1 && !field.starts_with(['!', '*']) && !field.contains(char::is_whitespace)
    };
    statements(text).any(has_password).then_some("a password or its hash")
}

/// Last words of names of files that hold one secret and nothing else.
const ALONE: [&str; 20] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pw",
    "pwd",
    "token",
    "secret",
    "apikey",
    "psk",
    "credentials",
    "pin",
    "authkey",
    "privatekey",
    "private",
    "presharedkey",
    "passwort",
    "bearer",
    "cookie",
    "key",
];

/// What is before `=` and a value has names that say it is for everybody.
const PUBLIC: [&str; 12] = [
    "pub", "id", "sum", "digest", "hash", "finger", "version", "serial", "commit", "etag", "checksum", "sha",
];

/// A file of one word: by its name, or because it looks drawn by lot.
fn alone(name: &str, text: &str) -> Option<&'static str> {
    let mut lines = statements(text);
    let (word, None) = (lines.next()?, lines.next()) else { return None };
    if word.contains(char::is_whitespace)
        || word.starts_with(['/', '$', '<', '@'])
        || word.contains('=') && !word.ends_with('=')
    {
        return None;
    }
    let bare = [".txt", ".conf", ".cfg", ".dat", ".secret"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let last = bare.rsplit(['.', '_', '-']).next().unwrap_or(bare);
    let is_setting =
        ["yes", "no", "true", "false", "none"].iter().any(|setting| word.eq_ignore_ascii_case(setting));
    // NAME:x in a list of accounts
    let is_account = last == "passwd" && word.contains(':');
    let by_name = ((ALONE.contains(&last) && !is_account) || name.ends_with(".secret"))
        && word.len() >= 4
        && !is_setting;
    let is_public = PUBLIC.iter().any(|part| name.contains(part));
    // 32 letters: shorter ones may be names and numbers.
    let by_chance = !is_public && word.len() >= 32 && is_random(word);
    (by_name || by_chance).then_some("a password or key")
}

fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Packages bring such files with nothing but an explanation in them.
fn has_statement(text: &str) -> bool {
    statements(text).next().is_some()
}

/// Whether a file with this name is there for a password among other things: any value of a key that is called one
/// is one, however short.
pub fn holds_passwords(path: &str) -> bool {
    let name = stem(file_name(path)).trim_start_matches('.');
    const WHOLE: [&str; 37] = [
        "msmtprc",
        "my.cnf",
        "mylogin.cnf",
        "npmrc",
        "pypirc",
        "fetchmailrc",
        "ssmtp.conf",
        "rclone.conf",
        "ddclient.conf",
        "inadyn.conf",
        "upsd.users",
        "upsmon.conf",
        "s3cfg",
        "boto",
        "slapd.conf",
        "nslcd.conf",
        "redis.conf",
        "valkey.conf",
        "sentinel.conf",
        "davfs2.conf",
        "muttrc",
        "netrc",
        "pgpass",
        "clients.conf",
        "swanctl.conf",
        "ipsec.conf",
        "monitrc",
        "mpd.conf",
        "mopidy.conf",
        "icecast.xml",
        "znc.conf",
        "debian.cnf",
        "mpoprc",
        "offlineimaprc",
        "mbsyncrc",
        "getmailrc",
        "znapzend.conf",
    ];
    let conf = |start: &str| name.starts_with(start) && name.ends_with(".conf");
    WHOLE.contains(&name)
        || conf("wpa_supplicant")
        || conf("hostapd")
        || name.contains("credentials")
        || name.ends_with(".nmconnection")
        || name.ends_with(".psk")
        || path.contains("etc/asterisk/")
        || path.contains("freeradius/")
        || path.contains("raddb/")
}
