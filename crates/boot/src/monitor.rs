//! What an image says of its page, and where its parts lie: hoopy writes it, the agent on the machine reads it.
//!
//! ```text
//! /usr/libexec/hoopy/monitor.json  these settings
//! /etc/monitor.d/NAME.sh           scripts, whose output is a page each
//! /etc/hoopy/alert.d/NAME          programs that get each event on standard input
//! /var/lib/hoopy/alerts.json       what they were told
//! /etc/hoopy/page.crt              the certificate of the page and those above it, as PEM
//! /etc/hoopy/page.key              its private key: a secret
//! /etc/hoopy/page-readers.crt      certificates that readers' own are signed with, as PEM
//! /etc/hoopy/page.password         the password's hash, as `openssl passwd -6` makes it: a secret
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where the settings lie, below the root.
pub const SETTINGS: &str = "usr/libexec/hoopy/monitor.json";

/// Where the scripts are, below the root.
pub const SCRIPTS: &str = "etc/monitor.d";

/// Where the programs for alerts are, below the root.
pub const ALERTS: &str = "etc/hoopy/alert.d";

/// Where the agent remembers what those were told, below the root.
pub const ALERT_STATE: &str = "var/lib/hoopy/alerts.json";

/// The certificate of the page, below the root.
pub const CERTIFICATE: &str = "etc/hoopy/page.crt";

/// Its private key, below the root.
pub const KEY: &str = "etc/hoopy/page.key";

/// The certificates of whoever signs those of readers, below the root.
pub const READERS: &str = "etc/hoopy/page-readers.crt";

/// The hash of the page's password, below the root.
pub const PASSWORD: &str = "etc/hoopy/page.password";

/// The port where nothing else is said.
pub const PORT: u16 = 8080;

/// The version of [`Settings`] that is written.
pub const VERSION: u32 = 1;

/// What an image says of its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// [`VERSION`].
    pub version: u32,
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Whether readers who come from elsewhere need the password.
    #[serde(default)]
    pub password: bool,
    /// Whether they need a certificate of their own, signed with one of [`READERS`].
    #[serde(default)]
    pub certificates: bool,
    /// Names by which browsers may ask for the page, beside addresses, `localhost` and the machine's own name.
    pub names: Vec<String>,
    /// After how many days an image counts as old; 0 for never.
    pub update_days: u32,
    /// When the newest package of the image was built, in seconds since 1970.
    pub built: u64,
    /// Paths that may change while the machine runs, beside the usual ones: `[drift] ignore`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift_ignore: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let place = Place::Address(SocketAddr::from(([127, 0, 0, 1], PORT)));
        let listen = vec![Listen { place, tls: false }];
        Self {
            version: VERSION,
            listen,
            password: false,
            certificates: false,
            names: Vec::new(),
            update_days: UPDATE_DAYS,
            built: 0,
            drift_ignore: Vec::new(),
        }
    }
}

/// After how many days without a new image the page says so, where nothing else is said.
pub const UPDATE_DAYS: u32 = 60;

/// Somewhere to listen: `127.0.0.1:8080`, `https://[::]:443`, `http://tailscale0:8080`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen {
    /// Where.
    pub place: Place,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

/// What is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address, which the machine may not have yet.
    Address(SocketAddr),
    /// Every address of an interface, which may not be there yet.
    Interface {
        /// Its name.
        name: String,
        /// The port.
        port: u16,
    },
}

/// The longest name of an interface (`IFNAMSIZ` of Linux without the NUL).
const MAX_NAME: usize = 15;

/// A text that names nothing to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenError(String);

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let examples = "127.0.0.1:8080, https://[::]:443 or http://wg0:80";
        write!(
            f,
            "expected ADDRESS:PORT or INTERFACE:PORT with a port from 1 to 65535, such as {examples}, found {:?}",
            self.0
        )
    }
}

impl std::error::Error for ListenError {}

impl Listen {
    /// Whether only programs of the machine itself get there.
    pub fn is_loopback(&self) -> bool {
        match &self.place {
            Place::Address(address) => address.ip().is_loopback(),
            Place::Interface { name, .. } => name == "lo",
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Address(address) => address.port(),
            Place::Interface { port, .. } => *port,
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(ListenError(text.to_owned())),
            None => (false, text),
        };
        if let Ok(address) = rest.parse::<SocketAddr>() {
            if address.port() == 0 {
                return Err(ListenError(text.to_owned()));
            }
            return Ok(Self { place: Place::Address(address), tls });
        }
        // A number is an address that was mistyped, and no interface.
        let named = |name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
            let letter = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
            letter && name.len() <= MAX_NAME && name.bytes().all(plain)
        };
        let (name, port) = rest.rsplit_once(':').ok_or_else(|| ListenError(text.to_owned()))?;
        match port.parse() {
            Ok(port) if port > 0 && named(name) => {
                Ok(Self { place: Place::Interface { name: name.to_owned(), port }, tls })
            }
            _ => Err(ListenError(text.to_owned())),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "https://" } else { "" })?;
        match &self.place {
            Place::Address(address) => write!(f, "{address}"),
            Place::Interface { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_or_an_interface_with_a_port() {
        for text in ["127.0.0.1:8080", "https://[::]:443", "tailscale0:8080", "https://br-lan.5:443"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert_eq!("http://wg0:80".parse::<Listen>().unwrap().to_string(), "wg0:80");
        for text in ["", "8080", "wg0", "wg0:0", "10.0.0:80", "ftp://wg0:80", "a/b:80", "1.2.3.4.5:80", ":80"]
        {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_is_from_1_to_65535() {
        for text in ["127.0.0.1:0", "https://[::]:0", "127.0.0.1:70000", "wg0:70000"] {
            let said = text.parse::<Listen>().unwrap_err().to_string();
            assert!(
                said.starts_with("expected ADDRESS:PORT or INTERFACE:PORT with a port from 1 to 65535"),
                "{said}"
            );
            assert!(said.ends_with(&format!("found {text:?}")), "{said}");
        }
    }
}
