//! Secrets: whether they can be opened, for whom they are, whether a locked machine can be reached, and what lies in
//! `root/` in the clear.

use std::path::{Path, PathBuf};

use hoopy_boot::secrets::Open;
use hoopy_secrets::Secrets;
use hoopy_secrets::check::{Fault, FaultKind, headers};
use hoopy_secrets::directory::NAME;
use hoopy_store::layer::is_within;
use hoopy_trust::keys::{KeyName, PublicKeys};

use super::finding::{Finding, Severity};
use super::keys;
use super::own::{From, Own};
use super::view::{Image, View};

/// What is needed to reach a machine over ssh: a locked one has it only if it is no secret. A directory stands for all in it.
const REACH: [&str; 10] = [
    "etc/ssh",
    "etc/dropbear",
    "etc/network",
    "etc/wpa_supplicant",
    "etc/iwd",
    "etc/wireguard",
    "etc/passwd",
    "etc/shadow",
    "root/.ssh",
    "etc/tailscale",
];

/// What a kernel that talks to TPMs is configured with, built in (`y`) or as a module (`m`).
const TPM_DRIVERS: [&str; 2] = ["\nCONFIG_TCG_TIS=", "\nCONFIG_TCG_CRB="];

/// What is wrong with secrets.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = tracked(view);
    match Secrets::read(&view.system.dir) {
        Ok(None) => {}
        Ok(Some(secrets)) => {
            findings.extend(headers(&secrets).iter().map(|fault| of_fault(&view.system.dir, fault)));
            findings.extend(twice(view, &secrets));
            findings.extend(reach(view, &secrets));
            if view.system.secrets.open == Some(Open::Tpm) && secrets.has_any_for_machine() {
                findings.extend(sealing(view));
            }
        }
        Err(error) => {
            let fix = "correct it: docs/secrets.md says what secrets/ holds".to_owned();
            findings.push(error_in(NAME.into(), error.to_string(), fix));
        }
    }
    findings
}

fn error_in(file: PathBuf, message: String, fix: String) -> Finding {
    Finding { severity: Severity::Error, file, line: None, message, fix }
}

/// What a fault of a secret is as a finding.
pub fn of_fault(system: &Path, fault: &Fault) -> Finding {
    let file = fault.file.strip_prefix(system).unwrap_or(&fault.file).to_owned();
    let fix = match &fault.kind {
        FaultKind::Recipients { .. } | FaultKind::Machine(_) => "run `hoopy secret rekey`".to_owned(),
        FaultKind::File(_) | FaultKind::Read(_) => {
            "restore it with git, or set it anew with `hoopy secret set`".to_owned()
        }
        FaultKind::Owner(_) => "use the key that it is encrypted for, or set it anew".to_owned(),
        FaultKind::Identity(_) => {
            "restore machine.age and machine.pub with git, or run `hoopy secret rekey --machine`".to_owned()
        }
    };
    error_in(file, fault.kind.to_string(), fix)
}

/// The same path in `secrets/` and in `root/`: one of them in the clear.
fn twice(view: &View<'_>, secrets: &Secrets) -> Vec<Finding> {
    let in_root = |path: &str| view.own(path).filter(|own| own.from == From::Root).is_some();
    let paths = secrets.paths.iter().filter_map(|path| path.on_machine()).filter(|path| in_root(path));
    let finding = |path: &str| {
        let message = format!("{NAME}/{path}.age is there too: this one lies in the image in the clear");
        error_in(
            format!("root/{path}").into(),
            message,
            "remove it, or run `hoopy secret import` to take it over".to_owned(),
        )
    };
    paths.map(finding).collect()
}

/// With `open = "owner"`, what ssh and the network need must not be locked away. With `"tpm"` it should not be: firmware that was
/// updated, or a new board, locks the machine too.
fn reach(view: &View<'_>, secrets: &Secrets) -> Vec<Finding> {
    match view.system.secrets.open {
        Some(Open::Owner | Open::Tpm) => {}
        Some(Open::Build | Open::Disk) => return Vec::new(),
        None if !secrets.has_any_for_machine() => return Vec::new(),
        None => {
            let message =
                "there is secrets/, and `open` under [secrets] does not say how they are opened".to_owned();
            let fix = "set it to \"tpm\", \"disk\", \"owner\" or \"build\": docs/secrets.md compares them"
                .to_owned();
            return vec![error_in("hoopy.toml".into(), message, fix)];
        }
    }
    let needed = |path: &&str| {
        REACH.iter().any(|dir| is_within(path.as_bytes(), dir.as_bytes())) || path.contains("/.ssh/")
    };
    let severity =
        if view.system.secrets.open == Some(Open::Owner) { Severity::Error } else { Severity::Warning };
    let finding = |path: &str| {
        let message =
            "a locked machine needs it to be reached, and has it only once it is unlocked".to_owned();
        let fix =
            "keep it in root/, as a key made for the locked state alone, or use open = \"disk\"".to_owned();
        Finding { severity, ..error_in(format!("{NAME}/{path}.age").into(), message, fix) }
    };
    secrets.paths.iter().filter_map(|path| path.on_machine()).filter(needed).map(finding).collect()
}

/// With `open = "tpm"`, what the identity is sealed under, and a kernel that talks to TPMs.
fn sealing(view: &View<'_>) -> Vec<Finding> {
    let layout = view.system.layout;
    if layout.has_pair() {
        let message = format!(
            "open = \"tpm\" needs firmware that checks and measures images, and layout = \"{layout}\" has none"
        );
        let fix = "use open = \"owner\" or \"disk\": docs/secrets.md compares them".to_owned();
        return vec![error_in("hoopy.toml".into(), message, fix)];
    }
    let missing = |name: &KeyName| !view.system.path(&name.public_file()).exists();
    let mut findings: Vec<Finding> = [KeyName::Db, KeyName::Pcr]
        .into_iter()
        .filter(missing)
        .map(|name| {
            let file = name.public_file();
            let message =
                format!("open = \"tpm\" seals the machine's identity under {file}, which is not there");
            error_in("hoopy.toml".into(), message, "run `hoopy keys new`: docs/trust.md".to_owned())
        })
        .collect();
    // One that cannot be read is the keys' own finding.
    if PublicKeys::read(&view.system.dir).is_ok_and(|keys| keys.pcr.is_some_and(|key| !key.is_for_policies()))
    {
        let message = "open = \"tpm\" needs an RSA key of 2048 bits with the exponent 65537 for policies, and this is another one";
        let fix = "remove it with its private half, and run `hoopy keys new`: docs/trust.md, \"pcr\"";
        findings.push(error_in(KeyName::Pcr.public_file().into(), message.to_owned(), fix.to_owned()));
    }
    let config = view.image.as_ref().and_then(Image::kernel_config);
    if config.is_some_and(|config| !TPM_DRIVERS.iter().any(|driver| config.contains(driver))) {
        let message = "open = \"tpm\" needs a driver for TPMs, and the kernel has none".to_owned();
        findings.push(error_in("packages".into(), message, "use another kernel, as linux-lts".to_owned()));
    }
    findings
}

/// Private keys that git has: it never forgets them.
fn tracked(view: &View<'_>) -> Vec<Finding> {
    let is_tracked = |own: &&Own| own.from == From::Root && view.git.tree.tracks(&own.path);
    let keys = view.own.iter().filter(is_tracked).filter(|own| keys::is_key(own));
    let finding = |path: String| {
        let message =
            "a private key that git tracks in the clear: everyone who has the repository has it".to_owned();
        let fix = format!("run `hoopy secret import {path}`, and replace the key: history keeps the old one");
        Finding { severity: Severity::Warning, file: path.into(), line: None, message, fix }
    };
    keys.map(|own| finding(format!("root/{}", own.path))).collect()
}
