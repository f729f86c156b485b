//! `[monitor]` as it is meant: where the page listens, and who may read it there.

use std::net::IpAddr;

use hoopy_boot::monitor::{Listen, PORT, Place, Settings};

use super::hoopy_toml::{Access, Monitor};

/// The settings of a page, or the key that is wrong and why. When the image was built is known once there is a lock.
pub fn settings(written: Monitor, drift_ignore: Vec<String>) -> Result<Settings, (&'static str, String)> {
    written.names.iter().try_for_each(|name| check_name(name)).map_err(|error| ("monitor.names", error))?;
    let settings = listening(written).map_err(|error| ("monitor.listen", error))?;
    Ok(Settings { drift_ignore, ..settings })
}

fn listening(written: Monitor) -> Result<Settings, String> {
    let Monitor { listen, access, names, update_days } = written;
    let mut settings = Settings::default();
    if let Some(texts) = listen {
        settings.listen.clear();
        for text in &texts {
            let listen = text.parse::<Listen>().map_err(|error| error.to_string())?;
            may_listen(text, &listen, access)?;
            can_listen(text, &listen)?;
            if let Some(other) = settings.listen.iter().find(|other| overlap(&listen, other)) {
                return Err(format!("expected each address once, found {text} and {other}: they overlap"));
            }
            settings.listen.push(listen);
        }
    }
    if settings.listen.is_empty() {
        return Err("expected at least one address, found none".to_owned());
    }
    add_local(&mut settings.listen);
    settings.password = access == Some(Access::Password);
    settings.certificates = access == Some(Access::Certificate);
    settings.names = names;
    settings.update_days = update_days.unwrap_or(settings.update_days);
    Ok(settings)
}

/// Where others than the machine itself reach the page, `access` must say who may read it. With a password, plain HTTP
/// needs `http://` in front: the password is sent in the clear.
fn may_listen(text: &str, listen: &Listen, access: Option<Access>) -> Result<(), String> {
    let expected = match access {
        _ if listen.is_loopback() => return Ok(()),
        Some(Access::Anyone) => return Ok(()),
        Some(Access::Certificate) if listen.tls => return Ok(()),
        Some(Access::Certificate) => "expected https:// in front: only TLS has certificates".to_owned(),
        Some(Access::Password) if listen.tls || text.starts_with("http://") => return Ok(()),
        Some(Access::Password) => format!(
            "expected https:// in front. Write http://{text} only for an encrypted tunnel: the password is sent unencrypted"
        ),
        None => "expected `access = \"password\"`, `access = \"certificate\"` or `access = \"anyone\"` beside it, found none. Without `listen`, \
             `hoopy open` reaches the page over ssh"
            .to_owned(),
    };
    Err(format!("{text} can be reached from elsewhere: {expected}"))
}

/// An address that is good on one network only needs its interface, which the address does not name.
fn can_listen(text: &str, listen: &Listen) -> Result<(), String> {
    match &listen.place {
        Place::Address(address) => match address.ip() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Err(format!(
                "{text} is a link-local address: expected the interface instead, such as https://eth0:443"
            )),
            ip if ip.is_multicast() => {
                Err(format!("{text} is a multicast address: expected one of the machine"))
            }
            _ => Ok(()),
        },
        Place::Interface { .. } => Ok(()),
    }
}

/// `names` are compared with what browsers ask for, without the port.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "expected a name alone, such as \"nas.example.org\", without https://, port, blanks or *, found {name:?}"
    ))
}

/// Whether one of the two cannot be listened on because of the other. An interface lives beside addresses.
fn overlap(one: &Listen, other: &Listen) -> bool {
    match (&one.place, &other.place) {
        (Place::Address(one), Place::Address(other)) => {
            let any = one.ip().is_unspecified() || other.ip().is_unspecified();
            let family = one.is_ipv4() == other.is_ipv4();
            one.port() == other.port() && family && (any || one.ip() == other.ip())
        }
        (one, other) => one == other,
    }
}

/// `hoopy status` and `hoopy open` ask the page from the machine itself, without TLS: ssh encrypts.
fn add_local(listen: &mut Vec<Listen>) {
    let local = |listen: &Listen| match &listen.place {
        Place::Address(address) => address.ip().is_loopback() || address.ip().is_unspecified(),
        Place::Interface { .. } => false,
    };
    if !listen.iter().any(|listen| !listen.tls && local(listen)) {
        let taken: Vec<u16> = listen.iter().map(Listen::port).collect();
        let port = (PORT..).find(|port| !taken.contains(port)).unwrap_or(PORT);
        listen.push(Listen { place: Place::Address(([127, 0, 0, 1], port).into()), tls: false });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn listens(listen: &[&str], access: Option<Access>) -> Result<Vec<String>, String> {
        let listen = Some(listen.iter().map(|text| (*text).to_owned()).collect());
        let settings = settings(Monitor { listen, access, ..Monitor::default() }, Vec::new())
            .map_err(|(_, error)| error)?;
        Ok(settings.listen.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn beyond_the_machine_it_is_said_who_may_read() {
        let password = Some(Access::Password);
        assert!(listens(&["0.0.0.0:80"], None).unwrap_err().contains("access = \"password\""));
        assert!(listens(&["wg0:80"], password).unwrap_err().contains("https://"));
        assert_eq!(listens(&["http://wg0:80"], password).unwrap(), ["wg0:80", "127.0.0.1:8080"]);
        assert!(listens(&["http://wg0:80"], Some(Access::Certificate)).unwrap_err().contains("only TLS"));
        assert!(listens(&["https://wg0:443"], Some(Access::Certificate)).is_ok());
        assert_eq!(listens(&["0.0.0.0:80"], Some(Access::Anyone)).unwrap(), ["0.0.0.0:80"]);
        assert_eq!(listens(&["[::1]:80"], None).unwrap(), ["[::1]:80"]);
    }

    #[test]
    fn the_machine_itself_can_always_ask_without_tls() {
        let listen = listens(&["https://[::]:8080"], Some(Access::Password)).unwrap();
        assert_eq!(listen, ["https://[::]:8080", "127.0.0.1:8081"]);
    }

    #[test]
    fn an_address_is_listened_on_once() {
        let password = Some(Access::Password);
        for both in [
            ["127.0.0.1:8080", "127.0.0.1:8080"],
            ["https://127.0.0.1:8080", "127.0.0.1:8080"],
            ["http://0.0.0.0:8080", "127.0.0.1:8080"],
            ["https://[::]:443", "https://[2001:db8::1]:443"],
            ["https://wg0:443", "http://wg0:443"],
        ] {
            assert!(listens(&both, password).unwrap_err().contains("they overlap"), "{both:?}");
        }
        for both in [
            ["https://[::]:443", "https://0.0.0.0:443"],
            ["127.0.0.1:8080", "http://tailscale0:8080"],
            ["127.0.0.1:8080", "127.0.0.1:8081"],
        ] {
            assert!(listens(&both, password).is_ok(), "{both:?}");
        }
    }

    #[test]
    fn a_link_local_address_is_listened_on_by_its_interface() {
        let said = listens(&["https://[fe80::1]:443"], Some(Access::Password)).unwrap_err();
        assert!(said.contains("link-local") && said.contains("https://eth0:443"), "{said}");
    }

    #[test]
    fn names_are_names_alone() {
        let with =
            |name: &str| settings(Monitor { names: vec![name.to_owned()], ..Monitor::default() }, Vec::new());
        assert!(with("nas.example.org").is_ok());
        for name in ["", "https://nas", "nas:443", "my nas", "*.example.org", "nas/"] {
            let (key, said) = with(name).unwrap_err();
            assert!(key == "monitor.names" && said.contains("expected a name alone"), "{name}: {said}");
        }
    }
}
