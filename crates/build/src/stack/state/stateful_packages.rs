//! Packages of Alpine Linux that keep state: where, for which services, and what is lost without it.

/// A directory in which a package keeps state.
#[derive(Debug, Clone, Copy)]
pub struct StatefulPackage {
    /// The package.
    pub package: &'static str,
    /// Its directory.
    pub directory: &'static str,
    /// The services that use it.
    pub services: &'static [&'static str],
    /// What a machine loses at each boot without it.
    pub lost: &'static str,
    /// Whether its services must not start without it. False where the machine is reached through them, or where they
    /// are only slower or less exact.
    pub waits: bool,
}

const fn package(
    package: &'static str,
    directory: &'static str,
    services: &'static [&'static str],
    lost: &'static str,
    waits: bool,
) -> StatefulPackage {
    StatefulPackage { package, directory, services, lost, waits }
}

/// All known directories, sorted by package.
pub const STATEFUL_PACKAGES: [StatefulPackage; 26] = [
    package(
        "acme-client",
        "/var/lib/acme",
        &[],
        "its account and certificates are asked for anew at each boot, until the authority refuses",
        true,
    ),
    package("avahi", "/var/lib/avahi-autoipd", &["avahi-autoipd"], "its address changes", false),
    package("bluez", "/var/lib/bluetooth", &["bluetooth"], "devices must be paired anew", true),
    package(
        "chrony",
        "/var/lib/chrony",
        &["chronyd"],
        "the clock's drift is measured anew, and the time is wrong until then",
        false,
    ),
    package(
        "dhcpcd",
        "/var/lib/dhcpcd",
        &["dhcpcd"],
        "its DUID changes, and with it addresses that routers give by it",
        false,
    ),
    package("docker", "/var/lib/docker", &["docker"], "its containers, images and volumes", true),
    package(
        "dropbear",
        "/etc/dropbear",
        &["dropbear"],
        "its host keys: ssh warns of another machine at each boot",
        false,
    ),
    package("fail2ban", "/var/lib/fail2ban", &["fail2ban"], "whom it has banned", false),
    package("grafana", "/var/lib/grafana", &["grafana"], "its dashboards and users", true),
    package(
        "home-assistant",
        "/var/lib/homeassistant",
        &["homeassistant"],
        "its devices, users and history",
        true,
    ),
    package("influxdb", "/var/lib/influxdb", &["influxdb"], "its databases", true),
    package("iwd", "/var/lib/iwd", &["iwd"], "the wireless networks that it knows", false),
    package("libvirt-daemon", "/var/lib/libvirt", &["libvirtd"], "its networks and snapshots", true),
    package("mariadb", "/var/lib/mysql", &["mariadb"], "its databases", true),
    package("mosquitto", "/var/lib/mosquitto", &["mosquitto"], "retained messages and subscriptions", true),
    package(
        "networkmanager",
        "/var/lib/NetworkManager",
        &["networkmanager"],
        "its leases and secrets",
        false,
    ),
    package(
        "openrc",
        "/var/lib/seedrng",
        &["seedrng"],
        "the seed of the random number generator: keys made early in a boot wait, or are weaker",
        false,
    ),
    package(
        "openssh-server",
        "/etc/ssh",
        &["sshd"],
        "its host keys: ssh warns of another machine at each boot",
        false,
    ),
    package("podman", "/var/lib/containers", &["podman"], "its containers, images and volumes", true),
    package("postgresql", "/var/lib/postgresql", &["postgresql"], "its databases", true),
    package("prometheus", "/var/lib/prometheus", &["prometheus"], "what it has measured", true),
    package("redis", "/var/lib/redis", &["redis"], "its data", true),
    package(
        "samba",
        "/var/lib/samba",
        &["samba"],
        "its users' passwords, and its membership of a domain",
        true,
    ),
    package("syncthing", "/var/lib/syncthing", &["syncthing"], "its identity and folders", true),
    package(
        "tailscale",
        "/var/lib/tailscale",
        &["tailscale"],
        "its node key: each boot is another machine that must be approved",
        true,
    ),
    package("unbound", "/var/lib/unbound", &["unbound"], "the root's trust anchor is fetched anew", false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_such_as_state_can_list() {
        for known in STATEFUL_PACKAGES {
            let lines = crate::config::state::parse(std::path::Path::new("state"), known.directory);
            assert!(lines.is_ok_and(|file| file.lines.len() == 1), "{}", known.package);
        }
        assert!(STATEFUL_PACKAGES.is_sorted_by_key(|known| known.package));
    }
}
