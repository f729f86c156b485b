//! What an image says of its page, and where its parts lie: hoopy writes it, the agent on the machine reads it.
//!
//! ```text
//! /usr/libexec/hoopy/monitor.json  these settings
//! /etc/monitor.d/NAME.sh           scripts, whose output is a page each
//! /etc/hoopy/alert.d/NAME          programs that get each event on standard input
//! /var/lib/hoopy/alerts.json       what they were told
//! ```

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where the settings lie, below the root.
pub const SETTINGS: &str = "usr/libexec/hoopy/monitor.json";

/// Where the scripts are, below the root.
pub const SCRIPTS: &str = "etc/monitor.d";

/// Where the programs for alerts are, below the root.
pub const ALERTS: &str = "etc/hoopy/alert.d";

/// Where the agent remembers what those were told, below the root.
pub const ALERT_STATE: &str = "var/lib/hoopy/alerts.json";

/// The port where nothing else is said.
pub const PORT: u16 = 8080;

/// The version of [`Settings`] that is written.
pub const VERSION: u32 = 1;

/// What an image says of its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// [`VERSION`].
    pub version: u32,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Names by which browsers may ask for the page, beside addresses, `localhost` and the machine's own name.
    pub names: Vec<String>,
    /// After how many days an image counts as old; 0 for never.
    pub update_days: u32,
    /// When the newest package of the image was built, in seconds since 1970.
    pub built: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], PORT))];
        Self { version: VERSION, listen, names: Vec::new(), update_days: UPDATE_DAYS, built: 0 }
    }
}

/// After how many days without a new image the page says so, where nothing else is said.
pub const UPDATE_DAYS: u32 = 60;
