//! `[monitor]`: what it puts into an image, and that nothing is in one without it. deploy/page.rs has what it does there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use hoopy_testkit::Home;

/// The small system, with this more in its hoopy.toml.
fn system(more: &str) -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    write(&home, more);
    home
}

fn write(home: &Home, more: &str) {
    fs::write(home.path("s/hoopy.toml"), format!("name = \"small\"\n{more}")).unwrap();
}

/// Builds it, and gives its files.
fn unpacked(home: &Home, name: &str) -> PathBuf {
    // One image at a time, so that nobody has to say which is the newest.
    let _ = fs::remove_dir_all(home.path("s/images"));
    home.ok(&["build", "s", "--store", "st"]);
    let images = fs::read_dir(home.path("s/images")).unwrap().map(|entry| entry.unwrap().path());
    let image = images.into_iter().find(|path| path.extension().is_some_and(|end| end == "efi")).unwrap();
    home.ok(&["inspect", "extract", image.to_str().unwrap(), "-o", name]);
    home.path(name)
}

#[test]
fn an_image_has_a_page_where_the_table_is_and_is_as_before_without_it() {
    let home = system("");
    let before = unpacked(&home, "before");
    write(&home, "[monitor]\n");
    let with = unpacked(&home, "with");
    assert!(with.join("usr/libexec/hoopy/hoopyd").is_file());
    assert!(with.join("etc/runlevels/default/hoopy-serve").is_symlink());
    let settings = fs::read_to_string(with.join("usr/libexec/hoopy/monitor.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert_eq!(settings["listen"], serde_json::json!(["127.0.0.1:8080"]), "the loopback alone");
    assert!(settings["built"].as_u64().unwrap() > 1_600_000_000, "{settings}");
    write(&home, "");
    let after = unpacked(&home, "after");
    let differ =
        Command::new("diff").args(["-r", "--no-dereference"]).args([&before, &after]).output().unwrap();
    let differ = String::from_utf8_lossy(&differ.stdout).into_owned();
    let lines: Vec<&str> =
        differ.lines().filter(|line| line.starts_with(['<', '>', 'O', 'F', 'B'])).collect();
    assert!(lines.iter().all(|line| line.contains("IMAGE=")), "{differ}");
    assert!(
        !before.join("usr/libexec/hoopy/hoopyd").exists() && !before.join("etc/init.d/hoopy-serve").exists()
    );
}

#[test]
fn a_page_that_can_be_reached_from_elsewhere_has_to_be_asked_for() {
    let home = system("[monitor]\nlisten = [\"0.0.0.0:80\"]\n");
    let said = home.fails(3, &["build", "s", "--store", "st"]);
    assert!(
        said.contains("0.0.0.0:80 can be reached from elsewhere") && said.contains("access = \"anyone\""),
        "{said}"
    );
    write(&home, "[monitor]\nlisten = [\"nas\"]\n");
    let said = home.fails(3, &["build", "s", "--store", "st"]);
    assert!(said.contains("expected ADDRESS:PORT or INTERFACE:PORT"), "{said}");
    write(&home, "[monitor]\nlisten = [\"[::]:80\"]\naccess = \"anyone\"\nnames = [\"nas.example.org\"]\n");
    let open = unpacked(&home, "open");
    let settings = fs::read_to_string(open.join("usr/libexec/hoopy/monitor.json")).unwrap();
    assert!(settings.contains("[::]:80") && settings.contains("nas.example.org"), "{settings}");
}

#[test]
fn a_page_needs_something_that_runs_it() {
    let home = system("[monitor]\n");
    fs::write(home.path("s/packages"), "busybox\nlinux-virt\n").unwrap();
    let said = home.fails(3, &["build", "s", "--store", "st"]);
    assert!(said.contains("[monitor] needs OpenRC") && said.contains("alpine-base"), "{said}");
}
