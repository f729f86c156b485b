//! Worlds that nothing fits, and what hoopy says of each: one file a case in tests/cli/unsatisfiable.
//!
//! A file holds sections: `packages`, `hoopy.toml`, the indexes by their place in the mirror, and `message`, which
//! `HOOPY_BLESS=1` writes. `main` and `community` of branch 3.23 for `x86_64` are empty where the file has them not; no
//! other repository is there. A new case is a new file.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoopy_testkit::{Home, package};

/// What stands before a section's name.
const MARK: &str = "=== ";

/// The sections of a case, in order; what stands before the first says what it is about.
fn sections(text: &str) -> Vec<(String, String)> {
    let section = |part: &str| {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        (name.to_owned(), body.to_owned())
    };
    format!("\n{text}").split(&format!("\n{MARK}")).skip(1).map(section).collect()
}

/// What `hoopy lock` says of the case.
fn message(case: &[(String, String)]) -> String {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let mirror = home.path("mirror");
    for repository in ["main", "community"] {
        package::index_alone(&mirror.join("v3.23").join(repository).join("x86_64"), "x86_64", "");
    }
    package::latest_stable(&mirror, "3.23");
    fs::create_dir(home.path("s")).unwrap();
    for (name, body) in case.iter().filter(|(name, _)| name != "message") {
        match name.as_str() {
            "packages" | "hoopy.toml" => fs::write(home.path("s").join(name), body).unwrap(),
            index => {
                let (_, arch) = index.rsplit_once('/').expect("BRANCH/REPOSITORY/ARCH");
                package::index_alone(&mirror.join(index), arch, body);
            }
        }
    }
    let arch: &[&str] = if case.iter().any(|(n, b)| n == "hoopy.toml" && b.contains("arch =")) {
        &[]
    } else {
        &["--arch", "x86_64"]
    };
    let said = home.fails(3, &[&["lock", "s", "--mirror", "mirror"], arch].concat());
    assert!(!home.path("s/hoopy.lock").exists(), "a lock was written");
    // Said of every first lock
    said.replace("latest-stable of mirror is Alpine 3.23\n", "")
        .replace(home.path("").to_str().unwrap(), "HOME/")
}

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/unsatisfiable");
    let mut cases: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_world_that_nothing_fits_is_explained() {
    let bless = std::env::var_os("HOOPY_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let case = sections(&text);
        let said = message(&case);
        let kept = case.iter().find(|(name, _)| name == "message").map(|(_, body)| body.clone());
        if bless {
            let before = text.split(&format!("{MARK}message")).next().unwrap().trim_end();
            fs::write(&path, format!("{before}\n\n{MARK}message\n{said}")).unwrap();
        } else if kept.as_deref() != Some(said.as_str()) {
            wrong.push(format!("{}: it says\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "run with HOOPY_BLESS=1 and look at the difference\n\n{}", wrong.join("\n"));
}

#[test]
fn no_message_has_a_line_longer_than_a_wide_terminal() {
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let case = sections(&text);
        let said = case.iter().filter(|(name, _)| name == "message").flat_map(|(_, said)| said.lines());
        let long: Vec<&str> = said.filter(|line| line.chars().count() > 120).collect();
        assert!(long.is_empty(), "{}: {long:#?}", path.display());
    }
}

/// Answers for files of `dir` below `v3.23/*/x86_64`; to all else it keeps silent, with the connection open.
fn serve(stream: TcpStream, dir: &Path) {
    let mut request = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while request.read_line(&mut line).is_ok_and(|n| n > 0) {
        let path = line.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        while line.trim() != "" {
            line.clear();
            request.read_line(&mut line).unwrap();
        }
        line.clear();
        if !(path.starts_with("v3.23/") && path.contains("/x86_64/")) {
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        let body = fs::read(dir.join(path)).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = (&stream).write_all(&[head.as_bytes(), &body].concat());
    }
}

#[test]
fn a_mirror_that_keeps_silent_about_other_repositories_holds_nothing_up_for_long() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let mirror = home.path("mirror");
    for repository in ["main", "community"] {
        package::index_alone(&mirror.join("v3.23").join(repository).join("x86_64"), "x86_64", "");
    }
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/packages"), "newcomer\n").unwrap();
    fs::write(home.path("s/hoopy.toml"), "branch = \"3.23\"\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mirror = mirror.clone();
            std::thread::spawn(move || serve(stream, &mirror));
        }
    });
    let begun = Instant::now();
    let said = home.fails(3, &["lock", "s", "--mirror", &address, "--arch", "x86_64"]);
    insta::assert_snapshot!(said, @"
    looking for what is missing in the mirror's other repositories
    error: s/packages: no set of packages fits
    s/packages:1 asks for newcomer
      no repository has it
    ");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
