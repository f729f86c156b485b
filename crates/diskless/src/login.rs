//! Who may log in by a key of ssh.

/// Whether the file at this path lists such keys: sshd's and dropbear's names, and directories of such lists.
pub fn is_list_of_keys(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("authorized_keys"))
        || path.contains("/authorized_keys/")
}

/// Whether such a list has a key.
pub fn has_key(list: &[u8]) -> bool {
    let is_key = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
    String::from_utf8_lossy(list).lines().any(is_key)
}
