//! Why this system lets this user make no user namespaces, found from what the kernel shows in `/proc`. Scripts never run
//! without one: a virtual machine takes its place.

/// Which setting is in the way. The message says what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Restriction {
    /// Debian's own setting.
    #[error(
        "this kernel lets no ordinary user make user namespaces (kernel.unprivileged_userns_clone=0): run \
         `sudo sysctl kernel.unprivileged_userns_clone=1`, or build as root"
    )]
    DebianSysctl,
    /// The limit on user namespaces is 0, or reached.
    #[error(
        "no more user namespaces may be made here (user.max_user_namespaces={0}): run \
         `sudo sysctl user.max_user_namespaces=10000`, or run scripts in a virtual machine (`--scripts vm`)"
    )]
    Limit(u64),
    /// Ubuntu 23.10 and later.
    #[error(
        "AppArmor takes all rights from user namespaces of programs without a profile \
         (kernel.apparmor_restrict_unprivileged_userns=1): run \
         `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give hoopy a profile with `userns,`, \
         or build as root"
    )]
    AppArmor,
    /// A seccomp filter, as container engines set it.
    #[error(
        "this container's seccomp filter forbids user namespaces, or what is needed in them: start it with \
         `--security-opt seccomp=unconfined` (or `--privileged`), build outside of it, or run scripts in a \
         virtual machine (`--scripts vm`)"
    )]
    Seccomp,
    /// The kernel was built without them.
    #[error(
        "this kernel has no user namespaces (CONFIG_USER_NS): run scripts in a virtual machine (`--scripts vm`)"
    )]
    NotBuilt,
    /// None of the known ones.
    #[error(
        "this system forbids user namespaces (a security module, or a container's settings): run scripts in a \
         virtual machine (`--scripts vm`)"
    )]
    Unknown,
    /// There is no filter of system calls for this machine.
    #[error(
        "system calls of scripts cannot be filtered on {0}: run them in a virtual machine (`--scripts vm`)"
    )]
    NoFilter(&'static str),
}

const MAX: &str = "/proc/sys/user/max_user_namespaces";
const DEBIAN: &str = "/proc/sys/kernel/unprivileged_userns_clone";
const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
const STATUS: &str = "/proc/self/status";

impl Restriction {
    /// The setting in the way, from what `read` gives for files of `/proc`.
    pub fn find(read: impl Fn(&str) -> Option<String>) -> Self {
        let value = |path: &str| read(path).and_then(|text| text.trim().parse::<u64>().ok());
        let filtered = || {
            let status = read(STATUS).unwrap_or_default();
            status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|v| v.trim() == "2"))
        };
        match (value(MAX), value(DEBIAN), value(APPARMOR)) {
            (None, ..) => Self::NotBuilt,
            (Some(0), ..) => Self::Limit(0),
            (_, Some(0), _) => Self::DebianSysctl,
            (_, _, Some(n)) if n != 0 => Self::AppArmor,
            _ if filtered() => Self::Seccomp,
            _ => Self::Unknown,
        }
    }

    /// The same, of the running system.
    pub fn of_this_system() -> Self {
        Self::find(|path| std::fs::read_to_string(path).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(files: &[(&str, &str)]) -> Restriction {
        Restriction::find(|path| files.iter().find(|f| f.0 == path).map(|f| f.1.to_owned()))
    }

    #[test]
    fn names_the_setting_that_is_in_the_way() {
        let some = (MAX, "96343\n");
        assert_eq!(with(&[]), Restriction::NotBuilt);
        assert_eq!(with(&[(MAX, "0\n")]), Restriction::Limit(0));
        assert_eq!(with(&[some, (DEBIAN, "0\n")]), Restriction::DebianSysctl);
        assert_eq!(with(&[some, (DEBIAN, "1\n"), (APPARMOR, "1\n")]), Restriction::AppArmor);
        assert_eq!(with(&[some, (STATUS, "Name:\tx\nSeccomp:\t2\n")]), Restriction::Seccomp);
        assert_eq!(with(&[some, (APPARMOR, "0\n"), (STATUS, "Seccomp:\t0\n")]), Restriction::Unknown);
    }
}
