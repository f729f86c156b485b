#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// A directory with these files; those with a `+` may be executed.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name.trim_end_matches('+'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let mode = if name.ends_with('+') { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    dir
}

fn refusal(files: &[(&str, &str)]) -> String {
    let dir = directory(files);
    let error = Directory::read(dir.path()).unwrap_err().to_string();
    error.replace(dir.path().to_str().unwrap(), "tests")
}

#[test]
fn scripts_and_programs_are_tests_and_all_else_is_for_them() {
    let dir = directory(&[
        ("20-b.sh", "#!/bin/sh\n"),
        ("10-a+", "#!/bin/sh\n"),
        ("30-c.sh", "true\n"),
        ("page.html", "<p>"),
        ("lib/helper.sh", "true\n"),
        (".hidden.sh", "false\n"),
        ("40-d.sh~", "false\n"),
        ("data.2.sh", "true\n"),
        ("data.1.sh+", "true\n"),
        ("v1.2.3.sh", "true\n"),
    ]);
    // The last of these names is no part of anything, and is refused as such below
    fs::remove_file(dir.path().join("v1.2.3.sh")).unwrap();
    let found = Directory::read(dir.path()).unwrap();
    let shown: Vec<String> = found
        .tests
        .iter()
        .map(|t| format!("{}: {}", t.name, t.parts.iter().map(Part::command).collect::<Vec<_>>().join(", ")))
        .collect();
    assert_eq!(
        shown,
        [
            "10-a: './10-a'",
            "20-b: './20-b.sh'",
            "30-c: sh './30-c.sh'",
            "data: sh './data.1.sh', sh './data.2.sh'"
        ]
    );
    let named = |wanted: &str| found.clone().only(&[wanted.to_owned()]).tests.len();
    assert_eq!((named("a"), named("-c"), named("none"), found.clone().only(&[]).tests.len()), (2, 1, 0, 4));
}

#[test]
fn a_directory_that_is_not_there_has_no_tests() {
    assert_eq!(Directory::read(Path::new("/no/such/tests")).unwrap(), Directory::default());
}

#[test]
fn says_which_part_is_missing_and_which_name_is_taken() {
    assert_eq!(
        refusal(&[("data.1.sh", ""), ("data.3.sh", "")]),
        "tests: test data: expected the parts 1, 2 and so on (data.1.sh, data.2.sh), found 1, 3"
    );
    assert!(refusal(&[("v1.2.3.sh", "")]).contains("(v1.2.1.sh, v1.2.2.sh), found 3"));
    assert_eq!(refusal(&[("a+", ""), ("a.sh", "")]), "tests: two tests are called a: rename one");
    assert!(refusal(&[("a\nb.sh", "")]).ends_with("expected the name of a test to be printable UTF-8"));
}

#[test]
fn more_than_a_shell_should_be_typed_is_refused() {
    let dir = directory(&[("a.sh", "")]);
    let big = fs::File::create(dir.path().join("big")).unwrap();
    big.set_len(MAX_TOTAL + 1).unwrap();
    let Err(error) = Directory::read(dir.path()).unwrap().put(dir.path()) else { panic!("taken") };
    assert!(matches!(error, ScriptsError::TooMuch(_)), "{error}");
}
