//! The systems that `hoopy init --template` writes: directories of `examples/`, as they lie there but for the machine's
//! name, the owner's keys, a password, and the kernel of the machine.
//!
//! A template needs nothing for this but to be written like the others: `name = "NAME"` and `host = "root@NAME"` in
//! `hoopy.toml`, a line `linux-virt` in `packages`, keys in files below `authorized_keys`, and [`PASSWORD`] in `setup.sh`.

use hoopy_base::arch::Arch;

use super::{File, Writing};

/// A line of `setup.sh` that becomes the one with root's password.
const PASSWORD: &str = "# echo 'root:$6$...' | chpasswd -e\n";

/// The serial port of the examples.
const CONSOLE: &str = "ttyS0";

/// How links to hoopy's documentation begin, which lead nowhere from elsewhere.
const LINK: &str = "](../../";

/// A directory of `examples/`.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) name: &'static str,
    /// Path, mode and text.
    files: &'static [(&'static str, u32, &'static str)],
}

/// All of them, by name.
pub(super) static ALL: &[Template] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

impl Template {
    /// Its files as they are written.
    pub(super) fn files(&self, writing: &Writing<'_>) -> Vec<File> {
        self.files
            .iter()
            .map(|(path, mode, text)| ((*path).to_owned(), *mode, self.text(path, text, writing)))
            .collect()
    }

    fn text(&self, path: &str, text: &str, writing: &Writing<'_>) -> String {
        let Writing { arch, name, hash, keys, .. } = writing;
        match path {
            "hoopy.toml" => text
                .replace(&format!("name = {:?}", self.name), &format!("name = {name:?}"))
                .replace(&format!("\"root@{}\"", self.name), &format!("\"root@{name}\""))
                .replace("\narch = \"x86_64\"\n", &format!("\narch = \"{arch}\"\n"))
                .replace(CONSOLE, arch.console()),
            "root/etc/hostname" => format!("{name}\n"),
            "root/etc/inittab" => text.replace(CONSOLE, arch.console()),
            "setup.sh" => text.replace(PASSWORD, &format!("echo 'root:{hash}' | chpasswd -e\n")),
            "README.md" => without_links(text),
            _ if path.contains("/authorized_keys/") => text.to_owned() + keys.unwrap_or_default(),
            _ => text.to_owned(),
        }
    }
}

/// Markdown whose links out of the directory are plain text.
fn without_links(text: &str) -> String {
    let mut parts = text.split(LINK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(start) = out.rfind('[') {
            out.remove(start);
        }
        out += part.split_once(')').map_or(part, |(_, rest)| rest);
    }
    out
}

/// `hoopy.toml` with a line that names the architecture: in place of a comment with one, or before the name.
pub(super) fn with_arch(text: &str, arch: Arch) -> String {
    const COMMENT: &str = "\n# arch = \"x86_64\"\n";
    let line = format!("\narch = \"{arch}\"\n");
    if text.lines().any(|line| line.starts_with("arch = ")) {
        return text.to_owned();
    }
    if text.contains(COMMENT) {
        return text.replace(COMMENT, &line);
    }
    text.replacen("\nname = ", &format!("{line}name = "), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_architecture_is_written_down_once() {
        for text in ["x\n# arch = \"x86_64\"\n", "x\nname = \"a\"\n", "x\narch = \"aarch64\"\n"] {
            let found = with_arch(text, Arch::Aarch64);
            assert_eq!(found.lines().filter(|line| *line == "arch = \"aarch64\"").count(), 1, "{found}");
        }
    }

    #[test]
    fn a_link_out_of_the_directory_becomes_its_text() {
        let text = "See [a](../../docs/a.md#x), [b](b.md) and\n[c](../../c.md).\n";
        assert_eq!(without_links(text), "See a, [b](b.md) and\nc.\n");
    }

    #[test]
    fn every_template_has_what_is_replaced_in_it() {
        for template in ALL {
            let text = |wanted: &str| {
                template.files.iter().find(|(path, ..)| *path == wanted).map(|(_, _, text)| *text)
            };
            let has = |path: &str, line: &str| {
                let found = text(path).unwrap_or_default();
                assert!(
                    found.lines().any(|one| one == line),
                    "{}: no line {line:?} in {path}",
                    template.name
                );
            };
            has("hoopy.toml", &format!("name = {:?}", template.name));
            has("root/etc/hostname", template.name);
            has("packages", super::super::hardware::KERNEL);
            has("setup.sh", PASSWORD.trim_end());
            assert!(template.files.iter().any(|(path, ..)| path.starts_with("tests/")), "{}", template.name);
            assert!(
                template.files.iter().any(|(path, ..)| path.contains("/authorized_keys/")),
                "{}",
                template.name
            );
        }
    }
}
