//! What `hoopy.toml` takes from the machine without passwords and tokens: git keeps it, and no option hides it there.

use hoopy_base::address::without_logins;
use hoopy_inspect::drift;

use crate::report::TransferReport;

/// The text of etc/apk/repositories, with each address as everybody may read it.
pub fn repositories(text: &str, report: &mut TransferReport) -> String {
    let shown: Vec<String> = text.lines().map(without_logins).collect();
    let is_comment = |line: &str| line.trim_start().starts_with('#');
    let cut = text.lines().zip(&shown).filter(|(line, public)| line != public && !is_comment(line));
    let cut: Vec<&str> = cut.map(|(_, public)| public.trim()).collect();
    if !cut.is_empty() {
        report.look(format!(
            "etc/apk/repositories has a login or a query with {}: hoopy.toml does not have it, since git would keep it. \
             What cannot be read without it is left out: copy its packages into a directory, and name that in hoopy.toml",
            cut.join(", ")
        ));
    }
    let is_secret = |line: &str| drift::secret(b"etc/apk/repositories", line.as_bytes()).is_some();
    for (number, _) in (1..).zip(&shown).filter(|(_, line)| is_secret(line)) {
        report.look(format!(
            "line {number} of etc/apk/repositories seems to have a token in it, and hoopy.toml has the address: take it out \
             before git has it"
        ));
    }
    shown.join("\n")
}

/// Kernel arguments, without those that look secret.
pub fn arguments(cmdline: &str, report: &mut TransferReport) -> String {
    let mut kept = Vec::new();
    for word in cmdline.split_whitespace() {
        if without_logins(word) == word && drift::secret(b"cmdline", word.as_bytes()).is_none() {
            kept.push(word);
            continue;
        }
        let what = match word.split_once('=') {
            Some((name, _)) => format!("the kernel argument {name}="),
            None => "a kernel argument".to_owned(),
        };
        report.left(what, "there seems to be a secret in it, and git would keep it in hoopy.toml", "");
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_look_secret_are_named_and_left_out() {
        let mut report = TransferReport::default();
        let line =
            "console=ttyS0 app.url=https://me:geheim@host/x app.token=abcdefghijkl cgroup_enable=memory";
        assert_eq!(arguments(line, &mut report), "console=ttyS0 cgroup_enable=memory");
        let said = report.to_string();
        assert!(said.contains("app.url=") && said.contains("app.token="), "{said}");
        assert!(!said.contains("geheim") && !said.contains("abcdefgh"), "{said}");
    }
}
