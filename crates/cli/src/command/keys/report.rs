//! `hoopy keys status HOST`: what a machine's firmware trusts, what it started, and what the keys of `trust/` would change.

use hoopy_build::config::System;
use hoopy_ship::deploy::{Ssh, firmware};
use hoopy_trust::certificate::Certificate;
use hoopy_trust::enrolment::db_of_machine;
use hoopy_trust::event_log::{EventLog, Program};
use hoopy_trust::firmware::{EntryKind, Mode, SignatureLists, Update, Variable};
use hoopy_trust::keys::{PublicKeys, list_file, lists};
use hoopy_trust::platform::{Loss, Platform};
use serde::Serialize;

use super::super::{host, ssh};
use crate::args::Global;
use crate::error::{Context as _, Result};
use crate::output::{print, print_json};

/// What is shown.
#[derive(Serialize)]
struct Report {
    host: String,
    /// `enforcing`, `off` or `setup`.
    mode: &'static str,
    variables: Vec<VariableReport>,
    /// Whether there is a log of what was measured.
    has_log: bool,
    /// Why the log was not read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_fault: Option<String>,
    /// What the firmware started, in its order.
    started: Vec<ProgramReport>,
    /// The certificates of `db` because of which.
    signers: Vec<CertificateReport>,
    /// Drivers out of devices.
    option_roms: Vec<ProgramReport>,
    /// What `trust/db.auth` would change; absent where that is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    enrolling: Option<EnrollingReport>,
}

#[derive(Serialize)]
struct VariableReport {
    name: &'static str,
    certificates: Vec<CertificateReport>,
    /// How many digests, of programs and of certificates.
    digests: usize,
    /// How many entries of other kinds.
    others: usize,
}

#[derive(Serialize)]
struct CertificateReport {
    subject: String,
    sha256: String,
    /// Whether it is one of the system's.
    own: bool,
}

#[derive(Serialize)]
struct ProgramReport {
    path: String,
    /// The digest that its signature is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

#[derive(Serialize)]
struct EnrollingReport {
    /// What would be lost where the disk enrolls the keys, and they are all that there is.
    by_disk: Vec<String>,
    /// What would be lost by `hoopy keys enroll HOST`, which keeps what others put there.
    by_ssh: Vec<String>,
}

pub fn run(global: &Global, system: &System, name: &str, json: bool) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let host = host::find(Some(name), None, global)?;
    let platform = firmware::ask(&Ssh::connect(&host.name, &ssh())?, true)?;
    let report = report(name, system, &keys, &platform)?;
    if json { print_json(&report) } else { print(text(&report)) }
}

fn report(name: &str, system: &System, keys: &PublicKeys, platform: &Platform) -> Result<Report> {
    let own: Vec<&Certificate> =
        [&keys.pk, &keys.kek, &keys.db, &keys.next_db].into_iter().flatten().collect();
    let certificate = |certificate: &Certificate| CertificateReport {
        subject: certificate.subject(),
        sha256: certificate.fingerprint(),
        own: own.contains(&certificate),
    };
    let variable = |name: &'static str, lists: &SignatureLists| {
        let certificates: Vec<_> = lists.certificates().map(certificate).collect();
        let is_digest =
            |kind: &EntryKind| matches!(kind, EntryKind::Digest(_) | EntryKind::CertificateDigest(_));
        let digests = lists.entries.iter().filter(|entry| is_digest(&entry.kind)).count();
        let others = lists.entries.len() - certificates.len() - digests;
        VariableReport { name, certificates, digests, others }
    };
    let program = |program: Program| ProgramReport { sha256: program.fingerprint(), path: program.path };
    let found = &platform.secure_boot;
    let of = |list: fn(&EventLog) -> Vec<Program>| platform.log.iter().flat_map(list).map(program).collect();
    let variables = [("PK", &found.pk), ("KEK", &found.kek), ("db", &found.db), ("dbx", &found.dbx)];
    Ok(Report {
        host: name.to_owned(),
        mode: match found.mode {
            Mode::Setup => "setup",
            Mode::Off => "off",
            Mode::Enforcing => "enforcing",
        },
        variables: variables.map(|(name, lists)| variable(name, lists)).into(),
        has_log: platform.log.is_some(),
        log_fault: platform.log.as_ref().and_then(|log| log.fault.as_ref()).map(ToString::to_string),
        started: of(EventLog::applications),
        signers: platform.signers().iter().map(certificate).collect(),
        option_roms: of(EventLog::option_roms),
        enrolling: enrolling(system, keys, platform)?,
    })
}

/// What the list of `trust/` would change.
fn enrolling(system: &System, keys: &PublicKeys, platform: &Platform) -> Result<Option<EnrollingReport>> {
    let list = lists(&system.dir)?.into_iter().find(|(variable, _)| *variable == Variable::Db);
    let Some((variable, bytes)) = list else { return Ok(None) };
    let own = Update::content(&bytes).context(list_file(variable))?;
    let by_ssh = db_of_machine(&own, &platform.secure_boot.db, &keys.retired_db);
    let told = |db: &SignatureLists| platform.losses(db).iter().map(loss).collect();
    Ok(Some(EnrollingReport { by_disk: told(&own), by_ssh: told(&by_ssh) }))
}

fn loss(loss: &Loss) -> String {
    match loss {
        Loss::Signer(signer) => {
            format!(
                "something that this boot started would be refused: it is trusted by {}",
                signer.subject()
            )
        }
        Loss::OptionRoms(count) => format!(
            "{count} option ROM{} may be refused: most are signed with Microsoft's keys, which would not be trusted",
            if *count == 1 { "" } else { "s" }
        ),
        Loss::Certificate(certificate) => {
            format!("what {} has signed would be refused; this boot needed none of it", certificate.subject())
        }
    }
}

fn text(report: &Report) -> String {
    let mode = match report.mode {
        "setup" => "setup mode: the firmware has no keys, and starts anything",
        "off" => "Secure Boot is off: the firmware starts anything",
        _ => "Secure Boot is on",
    };
    let mut out = format!("mode      {mode}\n");
    for variable in &report.variables {
        out += &lines(variable.name, &entries(variable));
    }
    if report.has_log {
        out += &lines("started", &report.started.iter().map(of_program).collect::<Vec<_>>());
        out += &lines("signed", &report.signers.iter().map(of_certificate).collect::<Vec<_>>());
        out += &lines("ROMs", &report.option_roms.iter().map(of_program).collect::<Vec<_>>());
        if let Some(fault) = &report.log_fault {
            out += &format!(
                "log       what follows is not known, since the TPM's event log cannot be read to its end: {fault}\n"
            );
        }
    } else {
        out += "started   unknown: the machine has no TPM, or its kernel no log of what was measured\n";
    }
    let Some(enrolling) = &report.enrolling else {
        return out + "enrolling unknown: there is no trust/db.auth (`hoopy keys enroll`)\n";
    };
    let first = |losses: &Vec<String>| {
        if losses.is_empty() { vec!["loses nothing".to_owned()] } else { losses.clone() }
    };
    out += "enrolling the keys of trust/\n";
    out += &lines("  by disk", &first(&enrolling.by_disk));
    out += &lines("  by ssh", &first(&enrolling.by_ssh));
    out
}

fn entries(variable: &VariableReport) -> Vec<String> {
    let mut entries: Vec<String> = variable.certificates.iter().map(of_certificate).collect();
    for (count, one, more) in [
        (variable.digests, "digest", "digests"),
        (variable.others, "entry of another kind", "entries of other kinds"),
    ] {
        if count != 0 {
            entries.push(format!("{count} {}", if count == 1 { one } else { more }));
        }
    }
    entries
}

fn of_certificate(certificate: &CertificateReport) -> String {
    let own = if certificate.own { ", yours" } else { "" };
    format!("{}{own}", certificate.subject)
}

fn of_program(program: &ProgramReport) -> String {
    match &program.sha256 {
        Some(sha256) => format!("{} sha256 {sha256}", program.path),
        None => program.path.clone(),
    }
}

/// A name, and its values below each other.
fn lines(name: &str, values: &[String]) -> String {
    if values.is_empty() {
        return format!("{name:9} none\n");
    }
    let line = |(at, value): (usize, &String)| format!("{:9} {value}\n", if at == 0 { name } else { "" });
    values.iter().enumerate().map(line).collect()
}
