//! What the machine's page needs beside `[monitor]`: a certificate and a password where they are asked for, and files in
//! `passkeys/` that are for passkeys.

use hoopy_base::input;
use hoopy_boot::monitor::{CERTIFICATE, KEY, PASSWORD, READERS};
use hoopy_secrets::directory::NAME;
use hoopy_secrets::{Secrets, cipher, passkey};

use super::finding::{Finding, Severity};
use super::own::{From, Own};
use super::view::View;

/// What is missing for the page. The machine may make it itself: it may be on purpose.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = view.own.iter().filter_map(|own| passkeys(view, own)).collect();
    let Some(settings) = &view.system.monitor else { return findings };
    // What is wrong with the directory of secrets is said elsewhere.
    let secrets = Secrets::read(&view.system.dir).ok().flatten();
    let is_secret =
        |path: &str| secrets.iter().flat_map(|s| &s.paths).any(|secret| secret.on_machine() == Some(path));
    let is_there = |path: &str| view.own(path).is_some() || is_secret(path) || view.setup_may_touch(path);
    let mut need = |path: &str, file: String, message: String, fix: &str| {
        if !is_there(path) {
            let severity = Severity::Warning;
            findings.push(Finding { severity, file: file.into(), line: None, message, fix: fix.to_owned() });
        }
    };
    if let Some(listen) = settings.listen.iter().find(|listen| listen.tls) {
        let missing =
            |what: &str| format!("missing: {what}, without which the page does not answer at {listen}");
        need(
            CERTIFICATE,
            format!("root/{CERTIFICATE}"),
            missing("the certificate"),
            "put it there as PEM: docs/agent.md shows how to make one",
        );
        need(
            KEY,
            format!("{NAME}/{KEY}.age"),
            missing("the key of the certificate"),
            "run `hoopy secret set etc/hoopy/page.key < page.key`",
        );
    }
    if settings.certificates {
        need(
            READERS,
            format!("root/{READERS}"),
            "missing: the authority of readers' certificates, without which the page lets nobody in"
                .to_owned(),
            "put it there as PEM: docs/agent.md shows how to make one",
        );
    }
    if settings.password {
        need(
            PASSWORD,
            format!("{NAME}/{PASSWORD}.age"),
            "missing: the hash of the password, without which the page lets nobody in".to_owned(),
            "run `openssl passwd -6 | hoopy secret set etc/hoopy/page.password`",
        );
    }
    findings
}

/// A file or directory in `passkeys/` that unlocks nothing.
fn passkeys(view: &View<'_>, own: &Own) -> Option<Finding> {
    let path = String::from_utf8_lossy(own.path.as_bytes()).into_owned();
    let (volume, name) = path.strip_prefix("etc/hoopy/passkeys/")?.split_once('/')?;
    if !own.is_file() || own.from != From::Root || name.starts_with('.') {
        return None;
    }
    let program = format!("etc/hoopy/unlock.d/{volume}");
    if view.own(&program).is_none() && !view.setup_may_touch(&program) {
        let message = format!("there is no program /{program}: nothing is unlocked with it");
        let fix = format!("add root/{program}, or rename the directory to the name of its program");
        return Some(own.finding(Severity::Error, None, &message, fix));
    }
    let bytes = input::read_up_to(&view.system.path("root").join(&path), cipher::MAX_CIPHERTEXT).ok()?;
    let is_for_one = name.ends_with(".age") && passkey::passkeys(&bytes).is_ok_and(|found| !found.is_empty());
    let fix =
        "save it again from \"Add a passkey\" of the page, with the ending .age, or remove it".to_owned();
    (!is_for_one).then(|| own.finding(Severity::Error, None, "is for no passkey: it unlocks nothing", fix))
}
