//! Which architecture is meant, where `hoopy.toml`, `--arch` and the lock say it: they agree, or nothing is built.

use std::fs;
use std::path::Path;

use hoopy_base::arch::Arch;
use hoopy_testkit::Home;

fn home() -> Home {
    Home::new(env!("CARGO_BIN_EXE_hoopy"))
}

/// This machine's architecture, and another one.
fn architectures() -> (Arch, Arch) {
    let host = Arch::host().unwrap();
    (host, Arch::ALL.into_iter().find(|arch| *arch != host).unwrap())
}

/// A small system with these lines in its `hoopy.toml`.
fn system(home: &Home, lines: &str) -> std::path::PathBuf {
    let dir = home.small("s");
    write(&dir, lines);
    dir
}

fn write(dir: &Path, lines: &str) {
    fs::write(dir.join("hoopy.toml"), format!("name = \"small\"\n{lines}\n")).unwrap();
}

fn arch_of(lock: &Path) -> String {
    let text = fs::read_to_string(lock).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("arch = ")).unwrap();
    line.trim_matches('"').to_owned()
}

/// A regression: `hoopy.lock` was written for the architecture of the first `--arch`, every later build without one
/// silently built that, and `hoopy disk` wrote the image under the name that the other architecture's firmware starts.
#[test]
fn another_architecture_than_that_of_hoopy_toml_has_a_lock_and_images_of_its_own() {
    let (home, (host, other)) = (home(), architectures());
    let dir = system(&home, &format!("arch = \"{other}\""));
    let said = home.ok(&["build", "s", "--arch", host.as_str()]);
    assert!(said.contains(&format!("small-{host}-")), "{said}");
    assert!(!dir.join("hoopy.lock").exists());
    assert_eq!(arch_of(&dir.join(format!("hoopy-{host}.lock"))), host.as_str());
    home.ok(&["lock", "s"]);
    assert_eq!(arch_of(&dir.join("hoopy.lock")), other.as_str());
    let error = home.fails(1, &["disk", "s", "-o", "s.img"]);
    assert!(error.contains("no image of small"), "{error}");
}

#[test]
fn a_changed_architecture_is_an_error_until_the_lock_is_made_anew() {
    let (home, (host, other)) = (home(), architectures());
    let dir = system(&home, &format!("arch = \"{host}\""));
    home.ok(&["build", "s"]);
    write(&dir, &format!("arch = \"{other}\""));
    for command in [
        &["build", "s"][..],
        &["build", "s", "--arch", host.as_str()],
        &["run", "s"],
        &["check", "s"],
        &["disk", "s", "-o", "s.img"],
        &["-C", "s", "deploy", "root@nowhere"],
        &["-C", "s", "why", "musl"],
        &["vendor", "s"],
    ] {
        let error = home.fails(3, command);
        let expected = format!("expected {other} (`arch` in hoopy.toml), found {host}");
        assert!(error.contains(&expected) && error.contains("hoopy update"), "{command:?}: {error}");
    }
    home.ok(&["-C", "s", "update"]);
    assert_eq!(arch_of(&dir.join("hoopy.lock")), other.as_str());
    home.ok(&["check", "s"]);
}

#[test]
fn a_lock_of_another_architecture_than_its_name_says_is_not_used() {
    let (home, (host, other)) = (home(), architectures());
    let dir = system(&home, "");
    home.ok(&["lock", "s"]);
    fs::copy(dir.join("hoopy.lock"), dir.join(format!("hoopy-{other}.lock"))).unwrap();
    let error = home.fails(3, &["build", "s", "--arch", other.as_str()]);
    assert!(
        error.contains(&format!("expected {other}")) && error.contains(&format!("found {host}")),
        "{error}"
    );
}

#[test]
fn a_changed_key_that_the_lock_answers_is_noticed() {
    let home = home();
    let dir = system(&home, "");
    home.ok(&["lock", "s"]);
    for (lines, told) in [
        ("repositories = [\"main\"]", "the repositories are main, the lock's main, community"),
        ("repositories = [\"main\", \"@tag community\"]", "the repositories are main, @tag community"),
        ("layout = \"ab\"", "boot loader"),
        ("branch = \"3.22\"", "the branch is 3.22, the lock's 3.23"),
    ] {
        write(&dir, lines);
        let error = home.fails(3, &["build", "s"]);
        assert!(error.contains(told), "{lines}: {error}");
    }
}

#[test]
fn a_disk_refuses_an_image_of_another_architecture() {
    let (home, (host, other)) = (home(), architectures());
    system(&home, "");
    let image = home.ok(&["build", "s", "--quiet"]);
    let args = ["disk", "s", "--arch", other.as_str(), "--image", image.trim(), "-o", "s.img"];
    let error = home.fails(1, &args);
    assert!(error.contains(&format!("expected an image for {other}, found one for {host}")), "{error}");
    assert!(!home.path("s.img").exists());
}
