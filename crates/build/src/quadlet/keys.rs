//! The keys of `[Container]` (podman-systemd.unit(5)): what podman's option for each is, or why it is refused.

/// What is made of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// One value: the last one counts. `--option=value`.
    One(&'static str),
    /// A value each time.
    Each(&'static str),
    /// Words, a value for each.
    Words(&'static str),
    /// `true` or `false`.
    Flag(&'static str),
    /// A value of a security option: `--security-opt=NAME=value`.
    Security(&'static str),
    /// It has a meaning of its own: `container.rs`.
    Own,
    /// It cannot be, and why.
    Refused(&'static str),
}

const NO_SYSTEMD: &str = "there is no systemd";
const NO_TIMERS: &str = "there are no timers of systemd: HealthCmd is asked when the machine has booted";
const NO_SELINUX: &str = "Alpine has no SELinux";
const PINNED: &str = "the image is the one of hoopy.lock: `hoopy update` takes a newer one";

/// All keys, by name.
const KEYS: [(&str, Use); 92] = [
    ("AddCapability", Use::Words("cap-add")),
    ("AddDevice", Use::Each("device")),
    ("AddHost", Use::Each("add-host")),
    ("Annotation", Use::Words("annotation")),
    ("AutoUpdate", Use::Refused(PINNED)),
    ("CgroupsMode", Use::One("cgroups")),
    ("ContainerName", Use::Own),
    ("ContainersConfModule", Use::Refused("settings of podman are in root/etc/containers/containers.conf")),
    ("DNS", Use::Each("dns")),
    ("DNSOption", Use::Each("dns-opt")),
    ("DNSSearch", Use::Each("dns-search")),
    ("DropCapability", Use::Words("cap-drop")),
    ("Entrypoint", Use::One("entrypoint")),
    ("Environment", Use::Words("env")),
    ("EnvironmentFile", Use::Own),
    ("EnvironmentHost", Use::Refused("a service has no environment worth handing on: use Environment")),
    ("Exec", Use::Own),
    ("ExposeHostPort", Use::Each("expose")),
    ("GIDMap", Use::Each("gidmap")),
    ("GlobalArgs", Use::Refused("settings of podman are in root/etc/containers/containers.conf")),
    ("Group", Use::Own),
    ("GroupAdd", Use::Each("group-add")),
    ("HealthCmd", Use::Own),
    ("HealthInterval", Use::Refused(NO_TIMERS)),
    ("HealthLogDestination", Use::Refused(NO_TIMERS)),
    ("HealthMaxLogCount", Use::Refused(NO_TIMERS)),
    ("HealthMaxLogSize", Use::Refused(NO_TIMERS)),
    ("HealthOnFailure", Use::Refused(NO_TIMERS)),
    ("HealthRetries", Use::Own),
    ("HealthStartPeriod", Use::Refused(NO_TIMERS)),
    ("HealthStartupCmd", Use::Refused(NO_TIMERS)),
    ("HealthStartupInterval", Use::Refused(NO_TIMERS)),
    ("HealthStartupRetries", Use::Refused(NO_TIMERS)),
    ("HealthStartupSuccess", Use::Refused(NO_TIMERS)),
    ("HealthStartupTimeout", Use::Refused(NO_TIMERS)),
    ("HealthTimeout", Use::One("health-timeout")),
    ("HostName", Use::One("hostname")),
    ("HttpProxy", Use::Refused("a service has no environment worth handing on: use Environment")),
    ("Image", Use::Own),
    ("IP", Use::One("ip")),
    ("IP6", Use::One("ip6")),
    ("Label", Use::Words("label")),
    ("LogDriver", Use::One("log-driver")),
    ("LogOpt", Use::Each("log-opt")),
    ("Mask", Use::Security("mask")),
    ("Memory", Use::One("memory")),
    ("Mount", Use::Each("mount")),
    ("Network", Use::Own),
    ("NetworkAlias", Use::Each("network-alias")),
    ("NoNewPrivileges", Use::Own),
    ("Notify", Use::Refused(NO_SYSTEMD)),
    ("PidsLimit", Use::One("pids-limit")),
    ("Pod", Use::Refused("pods are not supported: let containers share a network")),
    ("PodmanArgs", Use::Own),
    ("PublishPort", Use::Each("publish")),
    ("Pull", Use::Refused(PINNED)),
    ("ReadOnly", Use::Flag("read-only")),
    ("ReadOnlyTmpfs", Use::Flag("read-only-tmpfs")),
    ("ReloadCmd", Use::Refused(NO_SYSTEMD)),
    ("ReloadSignal", Use::Refused(NO_SYSTEMD)),
    ("RemapGid", Use::Refused("podman has removed it: use UserNS")),
    ("RemapUid", Use::Refused("podman has removed it: use UserNS")),
    ("RemapUidSize", Use::Refused("podman has removed it: use UserNS")),
    ("RemapUsers", Use::Refused("podman has removed it: use UserNS")),
    ("Retry", Use::Refused("a service that fails is started again, and its image fetched again")),
    ("RetryDelay", Use::Refused("a service that fails is started again: RestartSec in [Service]")),
    ("Rootfs", Use::Refused("what is in a directory has no digest: use Image")),
    ("RunInit", Use::Flag("init")),
    ("SeccompProfile", Use::Security("seccomp")),
    ("Secret", Use::Refused("put it into secrets/, and name its path in EnvironmentFile or Volume")),
    ("SecurityLabelDisable", Use::Refused(NO_SELINUX)),
    ("SecurityLabelFileType", Use::Refused(NO_SELINUX)),
    ("SecurityLabelLevel", Use::Refused(NO_SELINUX)),
    ("SecurityLabelNested", Use::Refused(NO_SELINUX)),
    ("SecurityLabelType", Use::Refused(NO_SELINUX)),
    ("ServiceName", Use::Refused("the service has the name of the file")),
    ("ShmSize", Use::One("shm-size")),
    ("StartWithPod", Use::Refused("pods are not supported")),
    ("StopSignal", Use::One("stop-signal")),
    ("StopTimeout", Use::Own),
    ("SubGIDMap", Use::One("subgidname")),
    ("SubUIDMap", Use::One("subuidname")),
    ("Sysctl", Use::Words("sysctl")),
    ("Timezone", Use::One("tz")),
    ("Tmpfs", Use::Each("tmpfs")),
    ("UIDMap", Use::Each("uidmap")),
    ("Ulimit", Use::Each("ulimit")),
    ("Unmask", Use::Security("unmask")),
    ("User", Use::Own),
    ("UserNS", Use::One("userns")),
    ("Volume", Use::Own),
    ("WorkingDir", Use::One("workdir")),
];

/// What is made of a key of `[Container]`; none where podman has no such key.
pub fn find(key: &str) -> Option<Use> {
    KEYS.iter().find(|(name, _)| *name == key).map(|(_, what)| *what)
}

/// The key that differs in nothing but capitals.
pub fn nearest(key: &str) -> Option<&'static str> {
    KEYS.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_there_once() {
        let names: std::collections::BTreeSet<&str> = KEYS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), KEYS.len());
        assert_eq!(nearest("image"), Some("Image"));
        assert_eq!(find("Nothing"), None);
    }
}
