//! Text inside shell scripts.

/// `text` as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` as one word of a shell that a person reads: in quotes only where it needs them.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@+%,~".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

/// The same of bytes, which need not be UTF-8.
pub fn quoted_bytes(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'\''];
    for &byte in text {
        match byte {
            b'\'' => out.extend(br"'\''"),
            other => out.push(other),
        }
    }
    out.push(b'\'');
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_shell_reads_back_the_word() {
        for text in ["", "plain", "it's", "''", "a b\n$HOME `id` \\ \"*"] {
            assert_eq!(quoted(text).as_bytes(), quoted_bytes(text.as_bytes()));
            let script = format!("printf %s {}", quoted(text));
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
    }
}
