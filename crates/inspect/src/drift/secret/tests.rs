//! What is a secret and what is not.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn secrets_are_recognised() {
    for (path, content) in [
        ("etc/ssh/ssh_host_ed25519_key", "x"),
        ("etc/dropbear/dropbear_rsa_host_key", "x"),
        ("root/.ssh/id_ed25519", "x"),
        ("etc/ssl/site.key", "x"),
        ("etc/ssl/site.pem", "-----BEGIN EC PRIVATE KEY-----\n"),
        ("etc/gpg", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"),
        ("etc/openvpn/ta", "#\n-----BEGIN OpenVPN Static key V1-----\n"),
        ("etc/shadow", "root:$6$abc$def:1::::::\n"),
        ("etc/wireguard/wg0.conf", "[Interface]\n"),
        ("etc/x.conf", "PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"),
        ("etc/wpa_supplicant.conf", "  psk=\"correct horse\"\n psk=correcthorse\n"),
        ("etc/wpa_supplicant/wpa_supplicant.conf", "network={\n\tssid=\"x\"\n\tpsk=\"my home wifi\"\n}\n"),
        ("etc/wpa_supplicant/wpa_supplicant-wlan0.conf", "\twep_key0=abcde\n"),
        ("etc/other.conf", "  psk=\"my home wifi\"\n"),
        ("etc/network/interfaces", "iface wlan0 inet dhcp\n\twpa-ssid x\n\twpa-psk geheim12345\n"),
        ("etc/network/interfaces", "\twpa-psk \"my home wifi\"\n"),
        ("etc/network/interfaces", "\twireless-key 0123456789\n"),
        ("etc/ppp/chap-secrets", "# a comment\n\"isp\" * \"pw\"\n"),
        ("etc/ppp/peers/isp", "user x\npassword geheim12\n"),
        ("etc/ipsec.secrets", ": PSK \"x\"\n"),
        ("etc/rsyncd.secrets", "me:pw\n"),
        ("etc/davfs2/secrets", "/mnt/x me pw\n"),
        ("etc/msmtprc", "account x\npassword x\n"),
        ("root/.msmtprc", "password \"x\"\n"),
        ("etc/ssmtp/ssmtp.conf", "AuthPass=x\n"),
        ("etc/postfix/sasl_passwd", "[mail.example.org]:587 me:pw\n"),
        ("root/.docker/config.json", "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"bWU6cHc=\"\n"),
        ("etc/containers/auth.json", "{\"auths\":{\"ghcr.io\":{\"auth\":\"bWU6Z2VoZWlt\"}}}\n"),
        ("etc/luks/keyfile.bin", "\0\u{1}x"),
        ("crypto_keyfile.bin", "\0x"),
        ("root/.netrc", "machine x login y password z\n"),
        ("root/.pgpass", "*:*:*:me:pw\n"),
        ("root/.my.cnf", "[client]\npassword=x\n"),
        ("etc/krb5.keytab", "\u{5}\u{2}"),
        ("etc/nm/system-connections/home.nmconnection", "[wifi-security]\npsk=my home wifi\n"),
        ("etc/fstab", "//nas/x /mnt cifs username=me,password=geheim12,uid=0 0 0\n"),
        ("etc/periodic/daily/dump", "#!/bin/sh\nmysqldump --password=geheim12 db | ssh x\n"),
        ("etc/rclone", "url = https://me:geheim@dav.example.org/x\n"),
        ("etc/openldap/slapd.conf", "rootpw geheim\n"),
        ("etc/redis.conf", "requirepass foobared\n"),
        ("etc/app.ini", "password = pass1\n"),
        ("etc/caddy", "basicauth {\n\tme $2a$14$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcdefg\n"),
        ("etc/app.toml", "api_token: abcdefghijkl\n"),
        ("etc/app.yaml", "api-key: \"abcdefghijkl\"\n"),
        ("etc/kube", "    client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVk\n"),
        ("srv/.git-credentials", "x"),
        ("root/.smbcredentials", "username=me\npassword=pw\n"),
        ("root/.npmrc", "//registry.example.org/:_authToken=abcdefgh\n"),
        ("etc/crontabs/root", "* * * * * curl -u me:geheim12 https://x\n"),
        ("etc/crontabs/root", "* 3 * * 1-5 DB_PASSWORD=geheim12 /usr/bin/dump\n"),
        ("etc/app.ini", "password = #Geheim12\n"),
        ("etc/app.json", "\"title\": \"a #1\", \"password\": \"geheim12\"\n"),
        ("etc/x", "export GH=ghp_0123456789abcdef0123456789abcdef0123\n"),
    ] {
        assert!(secret(path.as_bytes(), content.as_bytes()).is_some(), "{path}: {content}");
    }
}

#[test]
fn ordinary_files_are_not() {
    for (path, content) in [
        ("etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA\n"),
        (
            "etc/ssh/sshd_config",
            "PasswordAuthentication no\n# password=example123\nPermitEmptyPasswords no\n",
        ),
        ("etc/shadow", "root:*:1::::::\ndaemon:!::0:::::\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/nsswitch.conf", "passwd: files\n"),
        ("etc/app.toml", "token = \"/run/secrets/token\"\npassword_file: /etc/x-password\n"),
        ("etc/app.ini", "password =\npassword = \"\"\npsk=\npassword: no\nsecret: true\ntoken: ${TOKEN}\n"),
        ("etc/app.ini", "; password=example123\n// password=example123\nx = 1 # password=example123\n"),
        ("etc/pam.d/login", "password  required  pam_unix.so nullok\npassword include base-password\n"),
        ("etc/samba/smb.conf", "  encrypt passwords = yes\n  passwd program = /usr/bin/passwd %u\n"),
        ("etc/x", "password: the word that opens the door\npassphrase is asked for at boot\n"),
        ("etc/x.sh", "PASSWORD=\"$1\"\npassword=$(cat /run/x)\ntoken=`x-token`\nread -r password\n"),
        ("etc/ppp/chap-secrets", "# Secrets for authentication using CHAP\n# client server secret\n\n"),
        ("etc/wpa_supplicant/wpa_supplicant.conf", "network={\n\tssid=\"open\"\n\tkey_mgmt=NONE\n}\n"),
        ("etc/network/interfaces", "iface wlan0 inet dhcp\n\twpa-ssid home\n\twpa-key-mgmt WPA-PSK\n"),
        ("etc/msmtprc", "account x\npasswordeval gpg -d x\n# password x\n"),
        ("root/.docker/config.json", "{\"auths\": {}, \"credsStore\": \"pass\"}\n"),
        ("usr/local/bin/open-with-keyfile", "#!/bin/sh\nexec cryptsetup open --key-file=- \"$1\"\n"),
        ("etc/unbound/root.key", ". 86400 IN DNSKEY 257 3 8 AwEAAa96\n"),
        ("etc/proxy", "https://example.org:8080/a@b\nhttp://me@example.org/\n"),
        ("etc/proxy", "http://${USER}:${PASSWORD}@example.org/\n"),
        ("usr/local/bin/app", "\u{7f}ELF\0password=geheim12\n"),
        ("etc/motd", "hello\n"),
    ] {
        assert_eq!(secret(path.as_bytes(), content.as_bytes()), None, "{path}: {content}");
    }
}

#[test]
fn a_line_without_end_is_read_in_no_time() {
    let line = "password=".repeat(1 << 20);
    assert_eq!(secret(b"etc/x", line.as_bytes()), Some("a password or token"));
    let line = "password = ' ".repeat(1 << 20) + &"://".repeat(1 << 20) + &":".repeat(1 << 20);
    let begun = std::time::Instant::now();
    let _ = secret(b"etc/x", line.as_bytes());
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

/// The files below `tests/secret/NAME`, with their paths on a machine.
fn cases(name: &str) -> Vec<(String, Vec<u8>)> {
    fn walk(dir: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/secret").join(name);
    let mut files = Vec::new();
    walk(&root, &mut files);
    let path = |file: &std::path::Path| file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (path(file), std::fs::read(file).unwrap())).collect()
}

/// A file at the path that it has on a machine: adding a case is adding a file.
#[test]
fn files_of_common_programs_that_hold_secrets_are_recognised_and_harmless_ones_are_not() {
    let all = cases("secrets").into_iter().map(|case| (case, true));
    let all = all.chain(cases("harmless").into_iter().map(|case| (case, false)));
    let wrong: Vec<String> = all
        .map(|((path, content), expected)| (secret(path.as_bytes(), &content), expected, path))
        .filter(|(found, expected, _)| found.is_some() != *expected)
        .map(|(found, _, path)| format!("{path}: {found:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
