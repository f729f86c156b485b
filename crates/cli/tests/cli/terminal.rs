//! What is shown while a command runs, on a terminal and in a pipe.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use hoopy_testkit::Home;

/// A cold build of a small system, as `script` records it on a terminal of its own.
fn on_a_terminal(more: &str) -> Option<String> {
    if Command::new("script").arg("--version").output().is_err() {
        hoopy_testkit::skip("no script(1), which makes a terminal");
        return None;
    }
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    fs::write(dir.join("setup.sh"), "#!/bin/sh\nsleep 1\n").unwrap();
    fs::set_permissions(dir.join("setup.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    let build = format!("{} build s --store st {more}", env!("CARGO_BIN_EXE_hoopy"));
    let mut command = home.command_of(Path::new("script"), &["-qefc", &build, "/dev/null"]);
    let out = command.env("TERM", "xterm").env("COLUMNS", "80").output().unwrap();
    assert!(out.status.success());
    Some(String::from_utf8(out.stdout).unwrap())
}

#[test]
fn a_terminal_shows_one_line_that_is_gone_in_the_end() {
    let Some(said) = on_a_terminal("") else { return };
    assert!(said.contains("packages and scripts: ") && said.contains("setup.sh"), "{said:?}");
    // Drawn again in place, and never by clearing the screen or the whole line first on its own.
    assert!(!said.contains("\x1b[2J") && !said.contains("\x1b[H"), "{said:?}");
    let last = said.rsplit("image     ").nth(1).unwrap();
    assert!(last.ends_with("\x1b[2K") || last.ends_with('\r') || last.ends_with("\x1b[0m"), "{last:?}");
    // The line of steps that a pipe gets is not there as well.
    assert!(!said.contains("\npackages and scripts: "), "{said:?}");
}

#[test]
fn quiet_prints_the_path_of_the_image_and_warnings() {
    let Some(said) = on_a_terminal("--quiet 2>/dev/null") else { return };
    assert_eq!(said.lines().count(), 1, "{said:?}");
    assert!(said.trim().ends_with(".efi") && !said.contains('\x1b'), "{said:?}");
}

#[test]
fn a_pipe_gets_plain_lines() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    let out = home.run(&["build", "s", "--store", "st"]);
    let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    assert!(!said.contains('\x1b') && !said.contains('\r'), "{said:?}");
}

#[test]
fn timings_are_a_page_of_their_own() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    home.ok(&["build", "s", "--store", "st", "--timings=page.html"]);
    let page = fs::read_to_string(home.path("page.html")).unwrap();
    for name in
        ["steps", "thread 1", "linux-virt-", "post-install", "compress", "import", "root/ and setup.sh"]
    {
        assert!(page.contains(name), "no {name} in\n{page}");
    }
    // Nothing is fetched to show it, and every layer has its name.
    assert!(!page.contains("http") && !page.contains("src=") && !page.contains("<script"));
    home.ok(&["build", "s", "--store", "st", "--timings"]);
    assert!(home.path("timings.html").exists());
}
