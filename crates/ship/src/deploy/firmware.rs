//! The keys in a machine's firmware: asked for, and changed.
//!
//! ```text
//! ask ──▶ Platform: variables, event log
//! programs ──▶ what the partition has to start, by whom it is signed ──▶ replace: another boot loader
//! write_db ──▶ a list that KEK signed: the firmware decides
//! ```

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;

use data_encoding::{BASE64, HEXLOWER};
use hoopy_base::digest::ContentId;
use hoopy_base::terminal::harmless_line;
use hoopy_trust::authenticode::{ProgramDigest, Signature, signatures_in};
use hoopy_trust::event_log::EventLog;
use hoopy_trust::firmware::{Mode, SecureBoot, SignatureLists};
use hoopy_trust::platform::Platform;
use hoopy_uki::Section;
use hoopy_uki::certificate::{self, MAX_TABLE};
use hoopy_uki::pe::Headers;

use super::assemble::{NewFile, assemble};
use super::error::DeployError;
use super::images::{self, fetch};
use super::machine::{Machine, RemoteFile};
use super::place::{Step, Steps};
use super::remote::{self, nothing, script};
use super::ssh::{Call, Ssh};

const FIRMWARE: &str = include_str!("remote/firmware.sh");
const ENROLL: &str = include_str!("remote/enroll.sh");

/// Six variables of a mebibyte and the log, in hexadecimal.
const MAX_ANSWER: u64 = 16 << 20;

/// What the machine says of a variable that is written.
const MAX_SAID: u64 = 64 << 10;

/// Asks what the firmware trusts, and with `log` what it measured.
///
/// # Errors
/// [`DeployError`]; [`DeployError::NoVariables`] where it is not UEFI's.
pub fn ask(ssh: &Ssh, log: bool) -> Result<Platform, DeployError> {
    let variables = [("GIVEN", ""), ("ESP", ""), ("LOG", if log { "1" } else { "" })];
    let said = ssh.ask(&script(&variables, FIRMWARE), MAX_ANSWER)?;
    parse(ssh.host(), &String::from_utf8_lossy(&said))
}

fn parse(host: &str, said: &str) -> Result<Platform, DeployError> {
    let cut = || DeployError::Answer { host: host.to_owned(), found: "an answer without an end".to_owned() };
    remote::verdict(host, said, cut)?;
    let mut values: HashMap<&str, Vec<u8>> = HashMap::new();
    for (word, rest) in said.lines().filter_map(|line| line.split_once(' ')) {
        let unreadable = |e: data_encoding::DecodeError| unreadable(host, word, &e);
        if matches!(word, "SecureBoot" | "SetupMode" | "PK" | "KEK" | "db" | "dbx" | "log") {
            let value = HEXLOWER.decode(rest.trim_end().as_bytes()).map_err(unreadable)?;
            values.insert(word, value);
        }
    }
    let is_one = |name: &str| values.get(name).is_some_and(|value| *value == [1]);
    let mode = match (is_one("SetupMode"), is_one("SecureBoot")) {
        (true, _) => Mode::Setup,
        (false, true) => Mode::Enforcing,
        (false, false) => Mode::Off,
    };
    let of = |name: &str| values.get(name).cloned().unwrap_or_default();
    let secure_boot = SecureBoot::read(mode, |variable| of(variable.name()));
    let secure_boot = secure_boot.map_err(|(variable, e)| unreadable(host, variable.name(), &e))?;
    let log = values.get("log").filter(|log| !log.is_empty()).map(|log| EventLog::read(log));
    Ok(Platform { secure_boot, log })
}

fn unreadable(host: &str, name: &str, why: &dyn std::fmt::Display) -> DeployError {
    DeployError::Variable { host: host.to_owned(), variable: harmless_line(name), why: why.to_string() }
}

/// A program on a machine's partition, by its signatures. That they are of that program is for the firmware to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedProgram {
    /// Its path on the partition.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Whether it has a kernel: a boot loader has none.
    pub is_image: bool,
    signatures: Vec<(Signature, ProgramDigest)>,
}

impl SignedProgram {
    /// Whether firmware with these lists starts it, if its signatures are of it.
    pub fn starts_under(&self, db: &SignatureLists, dbx: &SignatureLists) -> bool {
        let is_revoked = self.signatures.iter().any(|(s, digest)| dbx.revoke(s) || dbx.has_digest(digest));
        let counts =
            |(s, digest): &(Signature, ProgramDigest)| db.trusted(s).is_some() || db.has_digest(digest);
        !is_revoked && self.signatures.iter().any(counts)
    }

    /// Who signed it.
    pub fn signers(&self) -> Vec<String> {
        self.signatures.iter().map(|(signature, _)| signature.signer().subject()).collect()
    }
}

/// The programs that the firmware or the boot loader may start.
///
/// # Errors
/// [`DeployError`] when the connection breaks. What is no program is left out.
pub fn programs(ssh: &Ssh, machine: &Machine) -> Result<Vec<SignedProgram>, DeployError> {
    let (files, heads) = images::programs(ssh, machine)?;
    let read = |(file, head): (&&RemoteFile, &Vec<u8>)| {
        let headers = Headers::parse(head, file.size).ok()?;
        let table = certificate::table(&headers, head, file.size).ok()?.unwrap_or(0..0);
        let is_image = headers.section(Section::Linux).is_some();
        (table.end - table.start <= MAX_TABLE).then(|| (file.path.clone(), file.size, is_image, table))
    };
    let found: Vec<(String, u64, bool, Range<u64>)> = files.iter().zip(&heads).filter_map(read).collect();
    let wanted: Vec<_> = found.iter().map(|(path, .., table)| (path.as_str(), table.clone())).collect();
    let tables = fetch(ssh, machine, &wanted)?;
    let program = |((path, size, is_image, _), table): ((String, u64, bool, Range<u64>), Vec<u8>)| {
        SignedProgram { path, size, is_image, signatures: signatures_in(&table) }
    };
    Ok(found.into_iter().zip(tables).map(program).collect())
}

/// Puts these bytes in the place of a file on the partition, with one rename.
///
/// # Errors
/// [`DeployError`]; the file is as it was, or these bytes.
pub fn replace(ssh: &Ssh, machine: &Machine, path: &str, bytes: &[u8]) -> Result<(), DeployError> {
    let part = format!("{}/hoopy-new.part", path.rsplit_once('/').map_or("", |(directory, _)| directory));
    let steps =
        Steps { part: Some(part.clone()), then: vec![Step::Move(part, path.to_owned())], ..Steps::default() };
    let mut feed = |out: &mut dyn Write| out.write_all(bytes);
    let size = bytes.len() as u64;
    let (sha256, plan) = (ContentId::of(bytes).to_string(), format!("send\t{size}"));
    let file = NewFile { size, sha256, plan, starts: String::new() };
    let said = assemble(ssh, machine, &steps, &file, size, &mut feed)?;
    remote::verdict(ssh.host(), &said, || DeployError::Short(ssh.host().to_owned()))
}

/// Removes files from the partition.
///
/// # Errors
/// [`DeployError`].
pub fn remove(ssh: &Ssh, machine: &Machine, paths: &[&str]) -> Result<(), DeployError> {
    let then = paths.iter().map(|path| Step::Remove((*path).to_owned())).collect();
    let steps = Steps { then, ..Steps::default() };
    let said = assemble(ssh, machine, &steps, &NewFile::default(), 0, &mut nothing)?;
    remote::verdict(ssh.host(), &said, || DeployError::Short(ssh.host().to_owned()))
}

/// Gives the firmware another `db`: these lists, in a signed update.
///
/// # Errors
/// [`DeployError`]; [`DeployError::NotEnrolled`] where it does not take them.
pub fn write_db(ssh: &Ssh, update: &[u8], lists: &SignatureLists) -> Result<(), DeployError> {
    let (update, digest) = (BASE64.encode(update), ContentId::of(&lists.to_bytes()).to_string());
    let variables = [("GIVEN", ""), ("ESP", ""), ("UPDATE", update.as_str()), ("SHA256", digest.as_str())];
    let script = script(&variables, ENROLL);
    let call = Call { script: &script, limit: MAX_SAID, patience: ssh.limits().answer(), until: None };
    let said = String::from_utf8_lossy(&ssh.run(&call, &mut nothing)?).into_owned();
    let host = ssh.host();
    if let Some(tools) = said.lines().find_map(|line| line.strip_prefix("lacks ")) {
        return Err(DeployError::Lacks { host: host.to_owned(), tools: harmless_line(tools) });
    }
    let words = || DeployError::NotEnrolled { host: host.to_owned(), words: "it said nothing".to_owned() };
    remote::verdict(host, &said, words)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_machine_s_answer_becomes_its_mode_and_lists() {
        let mode = |said: &str| parse("nas", said).unwrap().secure_boot.mode;
        assert_eq!(mode("SecureBoot 01\nSetupMode 00\ndone\n"), Mode::Enforcing);
        assert_eq!(mode("Welcome!\nSecureBoot 00\nSetupMode 00\ndone\n"), Mode::Off);
        assert_eq!(mode("SecureBoot 00\nSetupMode 01\ndone\n"), Mode::Setup);
        assert_eq!(parse("nas", "SetupMode 01\ndone\n").unwrap().log, None);
        let refusal = |said: &str| parse("nas", said).unwrap_err().to_string();
        assert!(
            refusal("error firmware \n").contains("no UEFI variables"),
            "{}",
            refusal("error firmware \n")
        );
        assert!(refusal("db 00\ndone\n").contains("db cannot be read: signature list at byte 0"));
        assert!(refusal("db 0\ndone\n").contains("db cannot be read"));
        let log = parse("nas", "log 0102\ndone\n").unwrap().log.unwrap();
        assert!(log.events.is_empty() && log.fault.unwrap().to_string().contains("event 0 of the log"));
        assert!(refusal("SetupMode 01\n").contains("without an end"));
    }
}
