//! Files of `tests/` that look like tests and that nothing runs: `hoopy test` has no compilers, and the machine neither.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::finding::{Finding, Severity};
use super::view::View;

/// How the names of tests begin and end in languages that a machine has no compiler or no interpreter for.
const KINDS: [(&str, &str); 6] =
    [("", "_test.go"), ("", ".rs"), ("", "_test.py"), ("test_", ".py"), ("", ".bats"), ("", "_test.c")];

/// Tests in other languages than the shell's that are no programs.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let Ok(entries) = std::fs::read_dir(view.system.path("tests")) else { return Vec::new() };
    let finding = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let meta = std::fs::metadata(entry.path()).ok()?;
        let is_test = KINDS.iter().any(|(begin, end)| name.starts_with(begin) && name.ends_with(end));
        (is_test && meta.is_file() && meta.permissions().mode() & 0o111 == 0).then(|| Finding {
            severity: Severity::Warning,
            file: Path::new("tests").join(&name),
            line: None,
            message: "`hoopy test` passes over it: it runs *.sh and programs, inside the machine".to_owned(),
            fix: "run it on this computer as before, or build it with `programs` in hoopy.toml and call it from a *.sh".to_owned(),
        })
    };
    entries.flatten().filter_map(finding).collect()
}
