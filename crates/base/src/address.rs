//! Addresses that others may read: without login, query and fragment, which is where passwords and tokens are.
//!
//! `https://me:geheim@apk.example.org/x?token=t#k` becomes `https://apk.example.org/x`. What is written into reports,
//! scripts and settings passes [`without_logins`], since git keeps all of it.

/// Ends an address in a text.
fn ends(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`<>".contains(c)
}

/// What stands before the `@` of an address without its `scheme://`: `user:password`, or one of them.
fn login(address: &str) -> Option<&str> {
    let authority = address.split(['/', '?', '#']).next()?;
    if let Some((login, _)) = authority.rsplit_once('@') {
        return Some(login);
    }
    // A password with a slash that nobody wrote as %2F: what is behind the colon is no port.
    let (_, port) = authority.rsplit_once(':').filter(|_| !authority.starts_with('['))?;
    let is_port = port.chars().all(|c| c.is_ascii_digit());
    address.rsplit_once('@').filter(|_| !is_port).map(|(login, _)| login)
}

/// The addresses in `text`, each with where it begins, after its `//`: `scheme://`, and `//` at the start of a word, as shares of
/// Windows have it. None begins inside another, so that the time grows with the length of the text alone.
fn addresses(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    text.match_indices("//").filter_map(move |(at, mark)| {
        let start = at + mark.len();
        let before = text.get(..at)?.chars().next_back();
        let begins = before.is_none_or(|c| ends(c) || ":=(,#".contains(c));
        if !begins || at < from {
            return None;
        }
        let rest = text.get(start..)?;
        let address = rest.get(..rest.find(ends).unwrap_or(rest.len()))?;
        from = start + address.len();
        Some((start, address))
    })
}

/// The logins of the addresses in `text`.
pub fn logins(text: &str) -> impl Iterator<Item = &str> {
    addresses(text).filter_map(|(_, address)| login(address))
}

/// `text` with each address in it without login, query and fragment.
pub fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (start, address) in addresses(text) {
        let before = text.get(..start).unwrap_or_default();
        shown.push_str(before.get(from..).unwrap_or_default());
        let login = login(address).map_or(0, |login| login.len() + 1);
        let place = address.get(login..).unwrap_or_default();
        let end = place.find(['?', '#']).filter(|_| before.ends_with("://")).unwrap_or(place.len());
        shown.push_str(place.get(..end).unwrap_or_default());
        from = start + address.len();
    }
    shown + text.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_what_only_its_owner_may_know() {
        for (text, shown) in [
            ("https://me:geheim@host/x", "https://host/x"),
            ("https://t0ken@host/x y", "https://host/x y"),
            ("https://:geheim@host:8080/x", "https://host:8080/x"),
            ("https://me:ge@heim@host/x", "https://host/x"),
            ("https://me:ge/heim@host/x", "https://host/x"),
            ("http://host/x.apkovl.tar.gz?token=abc&x=1", "http://host/x.apkovl.tar.gz"),
            ("http://host/x#key", "http://host/x"),
            ("ftp://me:geheim@host", "ftp://host"),
            ("a=redis://:geheim@host/0, b='amqp://me:geheim@h'", "a=redis://host/0, b='amqp://h'"),
            ("//me:geheim@nas/share /mnt cifs", "//nas/share /mnt cifs"),
            ("curlftpfs#ftp://me:geheim@host/ /mnt", "curlftpfs#ftp://host/ /mnt"),
            ("(https://a:b@c/d: not found)", "(https://c/d: not found)"),
            ("https://a:b@c?d=e https://f:g@h", "https://c https://h"),
        ] {
            assert_eq!(without_logins(text), shown, "{text}");
        }
    }

    #[test]
    fn a_login_may_be_long() {
        let text = format!("https://oauth2:{}@host/alpine", "t0ken".repeat(1000));
        assert_eq!(without_logins(&text), "https://host/alpine");
        assert_eq!(logins(&text).map(str::len).collect::<Vec<_>>(), [5007]);
    }

    #[test]
    fn what_has_no_login_stays_as_it_is() {
        for text in [
            "https://host:8080/a@b",
            "http://[::1]:80/a@b",
            "/media/usb//apks/me@x",
            "etc//x:y@z",
            "what? and # more",
            "a // b@c",
            "//",
            "://",
            "",
        ] {
            assert_eq!(without_logins(text), text);
        }
    }
}
