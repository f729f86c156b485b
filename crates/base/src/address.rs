//! Addresses that others may read: without login, query and fragment, which is where passwords and tokens are.
//!
//! `https://me:geheim@apk.example.org/x?token=t#k` becomes `https://apk.example.org/x`. What is written into reports,
//! scripts and settings passes [`without_logins`], since git keeps all of it.

/// How much of an address is looked at for its login.
const MAX_LOGIN: usize = 1024;

/// Ends an address in a text.
fn ends(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`<>".contains(c)
}

/// What stands before the `@` of the address whose text after `//` begins with `rest`: `user:password`, or one of them.
pub fn login(rest: &str) -> Option<&str> {
    let end = rest.char_indices().take(MAX_LOGIN).take_while(|(_, c)| !ends(*c));
    let end = end.last().map_or(0, |(at, c)| at + c.len_utf8());
    let word = rest.get(..end)?;
    let authority = word.split(['/', '?', '#']).next()?;
    if let Some((login, _)) = authority.rsplit_once('@') {
        return Some(login);
    }
    // A password with a slash that nobody wrote as %2F: what is behind the colon is no port.
    let (_, port) = authority.rsplit_once(':').filter(|_| !authority.starts_with('['))?;
    let is_port = port.chars().all(|c| c.is_ascii_digit());
    word.rsplit_once('@').filter(|_| !is_port).map(|(login, _)| login)
}

/// Where in `text` the addresses begin, after their `//`: `scheme://`, and `//` at the start of a word, as shares of
/// Windows have it.
pub fn starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.match_indices("//").filter_map(|(at, mark)| {
        let before = text.get(..at)?.chars().next_back();
        let begins = before.is_none_or(|c| ends(c) || ":=(,#".contains(c));
        begins.then_some(at + mark.len())
    })
}

/// `text` with each address in it without login, query and fragment.
pub fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for start in starts(text) {
        // Inside the address before.
        let Some(before) = text.get(from..start) else { continue };
        shown.push_str(before);
        let rest = text.get(start..).unwrap_or_default();
        let login = login(rest).map_or(0, |login| login.len() + 1);
        let place = rest.get(login..).unwrap_or_default();
        let is_address = text.get(..start).is_some_and(|before| before.ends_with("://"));
        let end = place.find(ends).unwrap_or(place.len());
        let address = place.get(..end).unwrap_or_default();
        let shown_end = address.find(['?', '#']).filter(|_| is_address).unwrap_or(end);
        shown.push_str(place.get(..shown_end).unwrap_or_default());
        from = start + login + end;
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
