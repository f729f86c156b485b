//! `hoopy keys status`: the keys of the system directory.

use hoopy_build::config::System;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::{Update, microsoft};
use hoopy_trust::keys::{KeyName, PublicKeys, list_file, lists};
use serde::Serialize;

use super::rotate::{self, Stage};
use crate::error::{CommandError, Context as _, Result};
use crate::output::{print, print_json};

/// A key of the system.
#[derive(Serialize)]
struct KeyStatus {
    name: &'static str,
    /// Whom the certificate is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The SHA-256 of the certificate, or of the public key where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// The last day of the certificate, at which firmware does not look.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<String>,
    /// Where the private half is: `command`, or the age file; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<String>,
    /// What the signed list for its variable holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<ListStatus>,
    /// The variable that the list is for.
    #[serde(skip)]
    variable: &'static str,
}

/// A signed list.
#[derive(Serialize)]
struct ListStatus {
    /// Whether the key is in it.
    has_key: bool,
    /// Whether all of Microsoft's certificates for that variable are.
    has_microsoft: bool,
    /// How many entries it has.
    entries: usize,
}

pub fn run(system: &System, json: bool) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let lists = lists(&system.dir)?;
    let mut all = Vec::new();
    let next = keys.next_db.iter().map(|_| KeyName::NextDb);
    for name in KeyName::ALL.into_iter().chain(next) {
        let certificate = keys.certificate(name);
        let list = lists.iter().find(|(variable, _)| Some(*variable) == name.variable());
        let list = list.map(|(variable, bytes)| {
            let found = Update::content(bytes).context(list_file(*variable))?;
            let has = |wanted: &Certificate| found.certificates().any(|certificate| certificate == wanted);
            let microsoft = microsoft::of(*variable)?;
            Ok::<_, CommandError>(ListStatus {
                has_key: certificate.is_some_and(has),
                has_microsoft: !microsoft.is_empty() && microsoft.iter().all(has),
                entries: found.entries.len(),
            })
        });
        let key = keys.key(name).map(|key| key.fingerprint());
        all.push(KeyStatus {
            name: name.as_str(),
            subject: certificate.map(Certificate::subject),
            sha256: certificate.map(Certificate::fingerprint).or(key),
            ends: certificate.and_then(Certificate::ends).map(|end| end.strftime("%Y-%m-%d").to_string()),
            private: private(system, name),
            list: list.transpose()?,
            variable: name.variable().map_or("", |variable| variable.name()),
        });
    }
    if json {
        return print_json(&all);
    }
    let rotation = match rotate::stage(system, &keys)? {
        Stage::Off => "",
        Stage::Both => {
            "db is being replaced: db and db.next sign\n\
             next, for each machine: `hoopy deploy HOST --reboot`, twice, and `hoopy keys enroll HOST`\n\
             then: `hoopy keys rotate --finish`\n"
        }
        Stage::Finishing if keys.next_db.is_some() => {
            "db is being replaced, and the last step is not done\nnext: `hoopy keys rotate --finish`; if the next private key is \
             lost, `hoopy keys rotate --abandon`\n"
        }
        Stage::Finishing => {
            "db is being replaced, and the last step is not done\nnext: `hoopy keys rotate --finish`\n"
        }
    };
    print(all.iter().map(line).collect::<String>() + rotation)
}

fn private(system: &System, name: KeyName) -> Option<String> {
    let file = name.private_file();
    if system.sign_command.is_empty() {
        system.path(&file).exists().then_some(file)
    } else {
        Some("command".to_owned())
    }
}

fn line(key: &KeyStatus) -> String {
    let Some(sha256) = &key.sha256 else {
        let file = key.private.as_deref().filter(|private| *private != "command");
        let half =
            file.map(|file| format!(": the private half is in {file}, and its public half is missing"));
        return format!("{:4} none{}\n", key.name, half.unwrap_or_default());
    };
    let mut out = format!("{:4} {}", key.name, key.subject.as_deref().unwrap_or("public key"));
    key.ends.iter().for_each(|end| out += &format!(", until {end}"));
    out += &format!("\n     sha256 {sha256}\n");
    match key.private.as_deref() {
        Some("command") => out += "     signed with the command in hoopy.toml\n",
        Some(file) => out += &format!("     private half in {file}\n"),
        None => out += "     NO private half: nothing can be signed\n",
    }
    if let Some(list) = &key.list {
        let this = if list.has_key { "with this key" } else { "WITHOUT this key: run `hoopy keys enroll`" };
        let microsoft = if list.has_microsoft { ", and with Microsoft's" } else { "" };
        out +=
            &format!("     to enroll: {} in trust/{}.auth, {this}{microsoft}\n", list.entries, key.variable);
    }
    out
}
