//! Scripts whose interpreter the image does not have: the kernel then says "not found" of the script itself.

use super::finding::{Finding, Severity};
use super::own::Own;
use super::view::{Image, View};

/// Where a command is looked for: the PATH of OpenRC and of a login.
const PATH: [&str; 6] = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];

/// Scripts that nothing can run.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let Some(image) = &view.image else { return Vec::new() };
    let own = view.own.iter().filter(|own| own.is_file() && own.mode & 0o111 != 0).filter_map(|own| {
        let missing = missing(view, image, &own.text)?;
        Some(own.finding(Severity::Error, Some(1), &message(&missing), fix(own, &missing)))
    });
    let setup = view.texts.iter().filter(|t| t.name == "setup.sh" && !image.built).filter_map(|setup| {
        let missing = missing(view, image, &setup.text)?;
        Some(Finding {
            severity: Severity::Error,
            file: setup.name.into(),
            line: Some(1),
            message: message(&missing),
            fix: bring(&missing),
        })
    });
    own.chain(setup).collect()
}

fn message(missing: &str) -> String {
    format!("its interpreter {missing} is not in the image")
}

fn bring(missing: &str) -> String {
    format!("add the package that brings {missing} to `packages`, or begin with #!/bin/sh")
}

fn fix(own: &Own, missing: &str) -> String {
    // env's command is what is missing then, and that has no path to correct.
    let same = own.text.starts_with(format!("#!{missing}").as_bytes());
    if same || missing.starts_with('/') { bring(missing) } else { format!("add {missing} to `packages`") }
}

/// The interpreter that the first line names and the image lacks.
fn missing(view: &View<'_>, image: &Image<'_>, text: &[u8]) -> Option<String> {
    let line = text.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.split_whitespace();
    let interpreter = words.next()?;
    let there = |path: &str| image.has(path) || view.setup_may_touch(path);
    if !there(interpreter) {
        return Some(interpreter.to_owned());
    }
    if !interpreter.ends_with("/env") {
        return None;
    }
    let command = words.find(|w| !w.starts_with('-') && !w.contains('='))?;
    let found = PATH.iter().any(|dir| there(&format!("{dir}/{command}")));
    (!found && !command.starts_with('/')).then(|| command.to_owned())
}
