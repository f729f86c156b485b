//! What a helper's failure means to whoever asked for a script.

use std::io;

use super::wire::{Failure, Part};
use super::{Restriction, SandboxError, Script};

pub(super) fn general(failure: Failure) -> SandboxError {
    match failure.part {
        Part::Namespaces => Restriction::of_this_system().into(),
        _ => SandboxError::Setup { what: failure.what, source: failure.source },
    }
}

/// What kept a script from running to its end. Its start fails in ways that have names.
pub(super) fn explain(failure: Failure, script: &Script) -> SandboxError {
    let name = script.name.clone();
    match failure.part {
        Part::Namespaces => return general(failure),
        Part::Other => {
            let Failure { what, source, output, .. } = failure;
            return SandboxError::AroundScript { name, what, source, output };
        }
        Part::Exec => {}
    }
    let line = script.body.split(|&b| b == b'\n').next().unwrap_or_default();
    let interpreter = line.strip_prefix(b"#!").unwrap_or(b"its loader");
    let interpreter = String::from_utf8_lossy(interpreter).trim().to_owned();
    match failure.source {
        source if source.kind() == io::ErrorKind::NotFound => {
            SandboxError::NoInterpreter { name, interpreter }
        }
        source => SandboxError::CannotExecute { name, interpreter, source },
    }
}

/// The line that a BusyBox shell names last in its complaints: `PATH/NAME: line 3: no: not found`.
pub fn failing_line(output: &[u8], name: &str) -> Option<u32> {
    let text = String::from_utf8_lossy(output);
    let mark = format!("{name}: line ");
    text.lines().rev().find_map(|line| line.split_once(&mark)?.1.split(':').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_line_that_the_shell_complained_about() {
        let output = b"/dev/.hoopy/a.post-install: line 2: x: not found\n\
                       /dev/.hoopy/a.post-install: line 14: y: not found\nbye\n";
        assert_eq!(failing_line(output, "a.post-install"), Some(14));
        assert_eq!(failing_line(output, "b.post-install"), None);
    }
}
