//! Paths that are expected to change while a machine runs: no drift, to `hoopy drift` and to the machine's page alike.
//!
//! A pattern is a path; `*` in it stands for any part of a name, and a directory for all that is in it.

use hoopy_base::glob::stars;

/// What no drift is, on any machine: what the boot and the services make anew each time.
const USUAL: [&str; 27] = [
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/run",
    "var/lock",
    "var/tmp",
    "var/log",
    "var/cache",
    "var/spool",
    "var/lib/misc",
    "var/lib/dhcp*",
    "var/lib/hoopy",
    "var/db/dhcpcd",
    "var/lib/seedrng",
    "var/lib/random-seed",
    "var/lib/chrony",
    "var/empty",
    "lib/rc/cache",
    "usr/libexec/rc/cache",
    "etc/resolv.conf",
    "etc/mtab",
    "etc/adjtime",
    "etc/*-",
    "root/.ash_history",
    "home/*/.ash_history",
];

/// The patterns that count.
#[derive(Debug, Clone)]
pub struct Ignored(Vec<String>);

impl Ignored {
    /// The usual ones, and those of `hoopy.toml`.
    pub fn new(own: &[String]) -> Self {
        let own = own.iter().map(|pattern| pattern.trim_matches('/').to_owned());
        Self(USUAL.iter().map(|pattern| (*pattern).to_owned()).chain(own).collect())
    }

    /// Whether a path, or a directory that it is in, is among them.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.0.iter().any(|pattern| {
            let mut names = path.split(|&byte| byte == b'/');
            pattern.split('/').all(|one| names.next().is_some_and(|name| stars(one.as_bytes(), name)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_all_that_is_in_it() {
        let ignored = Ignored::new(&["/srv/data/".to_owned(), "etc/*.cache".to_owned()]);
        for path in [
            "srv/data",
            "srv/data/a/b",
            "etc/x.cache",
            "var/log/messages",
            "home/me/.ash_history",
            "var/lib/dhcpcd/x",
        ] {
            assert!(ignored.matches(path.as_bytes()), "{path}");
        }
        for path in
            ["srv", "srv/database", "etc/x.cached", "etc/a/x.cache", "var/lib/other", "home/.ash_history"]
        {
            assert!(!ignored.matches(path.as_bytes()), "{path}");
        }
    }
}
