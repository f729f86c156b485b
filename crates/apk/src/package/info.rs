//! `.PKGINFO`: lines of `key = value`, and others that say nothing.

use std::fmt::Write as _;

use super::PackageError;
use crate::dependency::Dependency;
use crate::record::Record;
use crate::version::Version;

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageInfo {
    /// What the index says too; its checksum and size are of the package as it was read.
    pub record: Record,
    /// Directories that its trigger watches, with `*`.
    pub triggers: Vec<String>,
    /// SHA-256 of the compressed data member.
    pub datahash: Option<[u8; 32]>,
}

impl PackageInfo {
    /// Reads the text of `.PKGINFO`. Lines that are none of `KEY = VALUE` are passed over, as apk does: a description may
    /// have a line break, and its first line is what counts.
    ///
    /// # Errors
    /// [`PackageError::Info`] with the line.
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let mut info = Self { record: Record::empty(), triggers: Vec::new(), datahash: None };
        for (number, line) in (1..).zip(text.lines()) {
            let Some((key, value)) = line.split_once(" = ") else { continue };
            info.set(key, value.trim_end_matches('\r'))
                .map_err(|why| PackageError::Info(format!("line {number}: `{key}`: {why}")))?;
        }
        for (key, text) in [("pkgname", &*info.record.name), ("pkgver", info.record.version.as_str())] {
            if !crate::stanza::is_file_part(text) {
                return Err(PackageError::Info(format!(
                    "`{key}` is missing or cannot be part of a file name"
                )));
            }
        }
        Ok(info)
    }

    /// Keys that are not known are passed over, as apk does.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let record = &mut self.record;
        let dependency = || value.trim().parse::<Dependency>().map_err(|e| e.to_string());
        match key {
            "pkgname" => record.name = value.trim_end().into(),
            "pkgver" => record.version = Version::new(value.trim_end()),
            "pkgdesc" => record.description = value.into(),
            "url" => record.url = value.into(),
            "size" => record.installed_size = number(value),
            "arch" => record.arch = value.into(),
            "license" => record.license = value.into(),
            "origin" => record.origin = value.into(),
            "maintainer" => record.maintainer = value.into(),
            "builddate" => record.build_time = number(value),
            "commit" => record.commit = value.into(),
            "provider_priority" => record.provider_priority = number(value),
            "replaces_priority" => record.replaces_priority = number(value),
            "depend" | "provides" | "replaces" if value.trim().is_empty() => {}
            "depend" => record.depends.push(dependency()?),
            "provides" => record.provides.push(dependency()?),
            "replaces" => record.replaces.push(dependency()?),
            "install_if" => {
                record.install_if = crate::stanza::dependencies('i', value).map_err(|e| e.to_string())?;
            }
            "triggers" => self.triggers = value.split_ascii_whitespace().map(str::to_owned).collect(),
            "datahash" => {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(value.trim().as_bytes()).ok();
                let hash = bytes.and_then(|b| b.try_into().ok());
                self.datahash = Some(hash.ok_or("expected 64 hexadecimal digits")?);
            }
            _ => {}
        }
        Ok(())
    }

    /// The text of `.PKGINFO`.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let r = &self.record;
        let mut put = |key: &str, value: &dyn std::fmt::Display| {
            // Writing to a String cannot fail. A value ends with its line.
            let value = value.to_string();
            let _ = writeln!(out, "{key} = {}", crate::stanza::first_line(&value));
        };
        put("pkgname", &r.name);
        put("pkgver", &r.version);
        for (key, text) in [
            ("pkgdesc", &r.description),
            ("url", &r.url),
            ("arch", &r.arch),
            ("license", &r.license),
            ("origin", &r.origin),
            ("maintainer", &r.maintainer),
            ("commit", &r.commit),
        ] {
            if !text.is_empty() {
                put(key, text);
            }
        }
        put("size", &r.installed_size);
        for (key, value) in [
            ("builddate", r.build_time),
            ("provider_priority", r.provider_priority.into()),
            ("replaces_priority", r.replaces_priority.into()),
        ] {
            if value != 0 {
                put(key, &value);
            }
        }
        for (key, list) in [("depend", &r.depends), ("provides", &r.provides), ("replaces", &r.replaces)] {
            list.iter().for_each(|d| put(key, d));
        }
        if !r.install_if.is_empty() {
            put("install_if", &crate::stanza::joined(&r.install_if));
        }
        if !self.triggers.is_empty() {
            put("triggers", &self.triggers.join(" "));
        }
        if let Some(hash) = &self.datahash {
            put("datahash", &data_encoding::HEXLOWER.encode(hash));
        }
        out
    }
}

/// A number, as far as it is one: apk takes none for 0.
fn number<T: std::str::FromStr + Default>(value: &str) -> T {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value.get(..end).unwrap_or_default().parse().unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn of_a_description_with_line_breaks_the_first_line_counts() {
        let text = "pkgname = a\npkgver = 1-r0\npkgdesc = first\nsecond\n\nthird: x\norigin = o\n";
        let info = PackageInfo::parse(text).unwrap();
        assert_eq!((&*info.record.description, &*info.record.origin), ("first", "o"));
    }

    #[test]
    fn lines_that_say_nothing_are_passed_over() {
        let text =
            "# made by hand\njunk\npkgname = a\norigin=x\n = y\npkgver = 1-r0\nsize = none\ndepend = \n";
        let info = PackageInfo::parse(text).unwrap();
        assert_eq!((&*info.record.name, &*info.record.origin, info.record.installed_size), ("a", "", 0));
        assert!(info.record.depends.is_empty());
    }

    #[test]
    fn a_description_is_written_as_one_line() {
        let mut info = PackageInfo::parse("pkgname = a\npkgver = 1-r0\n").unwrap();
        info.record.description = "first\nP:evil".into();
        assert!(!info.text().contains("evil"), "{}", info.text());
        assert!(info.record.stanza().contains("\nT:first\n") && !info.record.stanza().contains("evil"));
    }
}
