//! Capabilities of files, `security.capability`: `root/` is a directory in git, which keeps none.
//!
//! Source of the format: Linux, `include/uapi/linux/capability.h`, `struct vfs_cap_data`.

use hoopy_base::shell::quoted;
use hoopy_store::layer::Entry;

/// The attribute.
pub const NAME: &[u8] = b"security.capability";

/// By their numbers.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Whether the packages' file has the same.
pub fn is_same(there: Option<&Entry>, value: &[u8]) -> bool {
    there.and_then(|entry| entry.xattrs.get(NAME)).is_some_and(|own| own.as_slice() == value)
}

/// What gives `path` these again.
pub fn command(path: &str, value: &[u8]) -> String {
    let path = quoted(&format!("/{path}"));
    match text(value) {
        Some(text) => {
            format!("add libcap-setcap and attr to `packages`, and `setcap {text} {path}` to setup.sh")
        }
        None => "set them in setup.sh".to_owned(),
    }
}

/// As setcap(8) takes them.
fn text(value: &[u8]) -> Option<String> {
    let word = |at: usize| Some(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?));
    let effective = word(0)? & 1 != 0;
    let wide =
        |low: usize, high: usize| Some(u64::from(word(low)?) | u64::from(word(high).unwrap_or(0)) << 32);
    let (permitted, inheritable) = (wide(4, 12)?, wide(8, 16)?);
    let mut clauses = Vec::new();
    for (flags, bits) in
        [("ip", permitted & inheritable), ("p", permitted & !inheritable), ("i", inheritable & !permitted)]
    {
        let names: Vec<String> = (0..)
            .zip(NAMES)
            .filter(|(bit, _)| bits >> bit & 1 != 0)
            .map(|(_, name)| format!("cap_{name}"))
            .collect();
        if !names.is_empty() {
            let effective = if effective { "e" } else { "" };
            clauses.push(format!("{}={effective}{flags}", names.join(",")));
        }
    }
    (!clauses.is_empty())
        .then(|| if clauses.len() == 1 { clauses.concat() } else { format!("'{}'", clauses.join(" ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_written_as_setcap_takes_them() {
        let mut value = vec![0; 20];
        (value[0], value[3], value[5]) = (1, 2, 0x20 | 0x10);
        assert_eq!(text(&value).as_deref(), Some("cap_net_admin,cap_net_raw=ep"));
        assert_eq!(text(&[1, 0, 0]), None);
        assert_eq!(text(&[0; 20]), None);
    }
}
