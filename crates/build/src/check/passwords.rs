//! Passwords beside an SSH server that takes them: they can be guessed from anywhere, and one that stands in `setup.sh` can
//! be read by whoever reads the repository.
//!
//! What a script computes is not known: where `setup.sh` has yet to run and writes the server's configuration, nothing is
//! said of that server.

mod script;
mod servers;

use super::CheckError;
use super::finding::{Finding, Severity};
use super::own::{From, Own};
use super::view::{View, lines};

/// A password that somebody has.
struct Password {
    /// Whose; nothing where only running the script tells.
    user: Option<String>,
    /// Whether it can be read where it is set.
    clear: bool,
    /// Where it is set: a finding without its message.
    place: Place,
}

enum Place {
    /// A line of `setup.sh`.
    Setup(usize),
    /// A line of a file of the image.
    File(usize),
}

/// Passwords with which somebody can log in over the network.
pub fn check(view: &View<'_>) -> Result<Vec<Finding>, CheckError> {
    let servers = servers::enabled(view)?;
    let mut findings = Vec::new();
    let mut told: Vec<Option<String>> = Vec::new();
    let setup = view.texts.iter().find(|text| text.name == "setup.sh");
    let script = setup.map(|setup| String::from_utf8_lossy(&setup.text).into_owned()).unwrap_or_default();
    let in_setup = script::passwords(&script).into_iter().map(|password| (None, password));
    let files = ["etc/shadow", "etc/passwd"].iter().filter_map(|path| view.own(path));
    let in_files = files.flat_map(|own| of_file(own).into_iter().map(move |password| (Some(own), password)));
    for (own, password) in in_setup.chain(in_files) {
        // What setup.sh made of shadow is what it was seen to do
        let again = own.is_some_and(|own| own.from == From::Setup)
            && told.iter().any(|user| user.is_none() || *user == password.user);
        let server = servers.iter().find(|server| server.takes(password.user.as_deref()));
        if let (false, Some(server)) = (again, server) {
            findings.push(finding(own, &password, server));
            told.push(password.user);
        }
    }
    Ok(findings)
}

fn finding(own: Option<&Own>, password: &Password, server: &servers::Server) -> Finding {
    let whose = password.user.as_ref().map_or_else(|| "a user".to_owned(), |user| format!("`{user}`"));
    let severity = if password.clear { Severity::Error } else { Severity::Warning };
    let readable = if password.clear { ", which can be read here," } else { "" };
    let name = server.name;
    let message = format!("a password for {whose}{readable} with which {name} lets log in over the network");
    let fix = server.fix.to_owned();
    match (own, &password.place) {
        (Some(own), Place::File(line)) => own.finding(severity, Some(*line), &message, fix),
        (_, Place::Setup(line) | Place::File(line)) => {
            Finding { severity, file: "setup.sh".into(), line: Some(*line), message, fix }
        }
    }
}

/// The second field of shadow(5) and passwd(5).
fn of_file(own: &Own) -> Vec<Password> {
    let one = |(number, line): (usize, String)| {
        let mut fields = line.split(':');
        let (user, field) = (fields.next()?.to_owned(), fields.next()?);
        // An empty one becomes a lock when the image is made; `x` means shadow, and no hash begins with a letter
        let is_hash = field.starts_with(['$', '.', '/', '_']) || field.len() == 13;
        let place = Place::File(number);
        (!user.starts_with('#') && is_hash).then_some(Password { user: Some(user), clear: false, place })
    };
    lines(&own.text).filter_map(one).collect()
}
