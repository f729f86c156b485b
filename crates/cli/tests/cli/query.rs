//! `hoopy why`, `tree`, `search` and `info`, on packages whose ties are plain to see.

use std::fs;

use hoopy_testkit::{Home, package};
use insta::assert_snapshot;

const PACKAGES: &str = "\
package server 1.0-r0
about serves files over the wire
depends so:libwire.so.1 cmd:say
file usr/bin/server 755 serve
package libwire 2.1-r0
about the wire, as a library
provides so:libwire.so.1=1.4
depends libc>=1.2
file usr/lib/libwire.so.1 644 wire
package libc 1.2.5-r0
file usr/lib/libc.so 644 c
package say 0.9-r1
about says what it is told
provides cmd:say=0.9-r1
depends libc
file usr/bin/say 755 say
package supervisor 3.0-r0
depends libc loop
file sbin/supervisor 755 supervise
package loop 1-r0
depends supervisor
file usr/bin/loop 755 loop
package server-supervisor 1.0-r0
about its service
install_if supervisor server=1.0-r0
depends server
file etc/init.d/server 755 start
package server-doc 1.0-r0
install_if docs server=1.0-r0
file usr/share/doc/server 644 words
package wirecutter 1.0-r0
about not in the system
depends so:libwire.so.1
file usr/bin/wirecutter 755 cut
";

const WORLD: &str = "# what it is for\nserver\n\nsupervisor>2 # what looks after it\nso:libwire.so.1\n";

/// A locked system, and a mirror that went away when it was locked.
fn home() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    package::extended_mirror(&home.path("mirror"), "x86_64", PACKAGES);
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/packages"), WORLD).unwrap();
    fs::write(home.path("s/hoopy.toml"), "mirror = \"../mirror\"\narch = \"x86_64\"\n").unwrap();
    ask(&home, &["lock", "s", "--quiet"], 0);
    home
}

/// What it prints, with the mirror of `hoopy.toml`, and what it tells; the exit code must be this one.
fn ask(home: &Home, args: &[&str], code: i32) -> String {
    let out = home.command(args).env_remove("HOOPY_MIRROR").output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8(text).unwrap().replace(home.path("").to_str().unwrap(), "HOME/");
    assert_eq!(out.status.code(), Some(code), "{args:?}: {text}");
    text
}

fn cut_off(home: &Home) {
    fs::rename(home.path("mirror"), home.path("gone")).unwrap();
}

#[test]
fn why_gives_the_shortest_chain_of_every_line_without_a_mirror() {
    let home = home();
    cut_off(&home);
    assert_snapshot!(ask(&home, &["-C", "s", "why", "libc"], 0), @"
    libc 1.2.5-r0 (2 B, from main)
    ./packages:2: server > libwire (so:libwire.so.1) > libc
    ./packages:4: supervisor (supervisor>2) > libc
    ./packages:5: libwire (so:libwire.so.1) > libc
    ");
}

#[test]
fn why_answers_for_what_provides_a_name() {
    assert_snapshot!(ask(&home(), &["-C", "s", "why", "cmd:say"], 0), @"
    say 0.9-r1 (4 B, from main)
    ./packages:2: server > say (cmd:say)
    ");
}

#[test]
fn why_tells_what_brings_a_package_together() {
    assert_snapshot!(ask(&home(), &["-C", "s", "why", "server-supervisor"], 0), @"
    server-supervisor 1.0-r0 (6 B, from main)
    ./packages:2: server > server-supervisor (installed automatically with supervisor server=1.0-r0)
    ./packages:4: supervisor (supervisor>2) > server-supervisor (installed automatically with supervisor server=1.0-r0)
    ");
}

#[test]
fn why_knows_what_hoopy_takes_for_itself() {
    let text = ask(&home(), &["-C", "s", "why", "systemd-efistub"], 0);
    assert!(text.ends_with("hoopy itself uses it: the image begins with its EFI stub\n"), "{text}");
}

#[test]
fn why_of_a_package_that_is_not_locked_fails_and_says_what_is_near() {
    let home = home();
    assert_snapshot!(ask(&home, &["-C", "s", "why", "libwier"], 1), @"
    error: libwier is not among the packages of ./hoopy.lock (did you mean libwire?)
    hint: `hoopy search TEXT` finds packages by part of a name or description
    ");
    assert_snapshot!(ask(&home, &["-C", "s", "why", "wirecutter"], 1), @"
    error: wirecutter is not among the packages of ./hoopy.lock; main has it
    hint: `hoopy info PKG` describes packages that are not locked
    ");
}

#[test]
fn why_says_that_the_lock_is_not_for_these_packages() {
    let home = home();
    fs::write(home.path("s/packages"), "server\nsay\n").unwrap();
    assert_snapshot!(ask(&home, &["-C", "s", "why", "libwire"], 0), @"
    libwire 2.1-r0 (5 B, from main)
    ./packages:1: server > libwire (so:libwire.so.1)
    ./hoopy.lock: libwire (so:libwire.so.1)
    warning: ./hoopy.lock does not fit the system: `say` is new, `so:libwire.so.1` is gone, `supervisor>2` is gone
    ");
}

#[test]
fn why_as_json() {
    assert_snapshot!(ask(&home(), &["-C", "s", "why", "server-supervisor", "--json"], 0));
}

#[test]
fn the_tree_marks_what_was_shown_and_ends_in_spite_of_a_cycle() {
    let home = home();
    cut_off(&home);
    assert_snapshot!(stubless(&ask(&home, &["tree", "s"], 0)), @"
    s/packages:2: server, 4 packages, 17 B
    server 1.0-r0 (6 B)
    ├── libwire 2.1-r0 (5 B) so:libwire.so.1
    │   └── libc 1.2.5-r0 (2 B)
    ├── say 0.9-r1 (4 B) cmd:say
    │   └── libc 1.2.5-r0 (2 B)
    └── server-supervisor 1.0-r0 (6 B) installed automatically with supervisor server=1.0-r0
        └── server 1.0-r0 (6 B) (*)

    s/packages:4: supervisor>2, 3 packages, 17 B
    supervisor 3.0-r0 (10 B)
    ├── libc 1.2.5-r0 (2 B)
    └── loop 1-r0 (5 B)
        └── supervisor 3.0-r0 (10 B) (*)

    s/packages:5: so:libwire.so.1, 2 packages, 7 B
    libwire 2.1-r0 (5 B) (*)

    7 packages, 38 B installed
    ");
}

/// The stub's size is that of the stand-in.
fn stubless(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("systemd-efistub"))
        .map(|line| line.to_owned() + "\n")
        .collect()
}

#[test]
fn the_tree_stops_at_its_depth() {
    assert_snapshot!(stubless(&ask(&home(), &["tree", "s", "--depth", "1"], 0)), @"
    s/packages:2: server, 4 packages, 17 B
    server 1.0-r0 (6 B)
    ├── libwire 2.1-r0 (5 B) so:libwire.so.1 ...
    ├── say 0.9-r1 (4 B) cmd:say ...
    └── server-supervisor 1.0-r0 (6 B) installed automatically with supervisor server=1.0-r0 ...

    s/packages:4: supervisor>2, 3 packages, 17 B
    supervisor 3.0-r0 (10 B)
    ├── libc 1.2.5-r0 (2 B)
    └── loop 1-r0 (5 B) ...

    s/packages:5: so:libwire.so.1, 2 packages, 7 B
    libwire 2.1-r0 (5 B)
    └── libc 1.2.5-r0 (2 B)

    7 packages, 38 B installed
    ");
}

#[test]
fn the_tree_without_a_lock_is_what_a_lock_would_hold() {
    let home = home();
    let locked = ask(&home, &["tree", "s", "--quiet"], 0);
    fs::remove_file(home.path("s/hoopy.lock")).unwrap();
    assert_eq!(ask(&home, &["tree", "s", "--quiet"], 0), locked);
    assert!(!home.path("s/hoopy.lock").exists());
}

#[test]
fn the_tree_as_json_is_the_whole_graph() {
    let text = ask(&home(), &["tree", "s", "--json"], 0);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names: Vec<&str> =
        value["packages"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["libc", "libwire", "loop", "say", "server", "server-supervisor", "supervisor", "systemd-efistub"]
    );
    assert_snapshot!(serde_json::to_string(&value["packages"][4]["brings"]).unwrap(), @r#"[{"dependency":"so:libwire.so.1","install-if":false,"name":"libwire"},{"dependency":"cmd:say","install-if":false,"name":"say"},{"dependency":"server=1.0-r0","install-if":true,"name":"server-supervisor"}]"#);
    assert_snapshot!(serde_json::to_string(&value["world"]).unwrap(), @r#"[{"asked":"server","line":2,"packages":["server"]},{"asked":"supervisor>2","line":4,"packages":["supervisor"]},{"asked":"so:libwire.so.1","line":5,"packages":["libwire"]}]"#);
}

#[test]
fn every_package_of_a_real_system_is_brought_by_a_line() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.example("hello");
    home.ok(&["lock", "hello", "--arch", "x86_64", "--quiet"]);
    let tree = home.ok(&["tree", "hello"]);
    assert!(!tree.contains("no line brings it any more"), "{tree}");
    let value: serde_json::Value = serde_json::from_str(&home.ok(&["tree", "hello", "--json"])).unwrap();
    let packages = value["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "{}", packages.len());
    for package in packages.iter().filter(|p| p["role"] == "root") {
        let name = package["name"].as_str().unwrap();
        let found: serde_json::Value =
            serde_json::from_str(&home.ok(&["-C", "hello", "why", name, "--json"])).unwrap();
        let chains = found[0]["chains"].as_array().unwrap();
        assert!(!chains.is_empty(), "{name}");
        for chain in chains {
            let last = chain["steps"].as_array().unwrap().last().unwrap();
            assert_eq!(last["name"], name);
            assert!(chain["line"].is_u64(), "{name}: {chain}");
        }
    }
}

#[test]
fn info_and_search_as_json_say_how_a_package_stands_to_the_lock() {
    let home = home();
    let json = |args: &[&str]| serde_json::from_str::<serde_json::Value>(&ask(&home, args, 0)).unwrap();
    assert_eq!(json(&["-C", "s", "info", "say", "--json"])[0]["locked"]["state"], "yes");
    assert_eq!(json(&["-C", "s", "info", "wirecutter", "--json"])[0]["locked"]["state"], "no");
    assert_eq!(json(&["-C", "s", "search", "say", "--json"])[0]["locked"], "0.9-r1");
    fs::remove_file(home.path("s/hoopy.lock")).unwrap();
    assert_eq!(json(&["-C", "s", "info", "say", "--json"])[0]["locked"]["state"], "no-lock");
    assert_eq!(json(&["-C", "s", "search", "say", "--json"])[0]["locked"], serde_json::Value::Null);
}

#[test]
fn a_lock_whose_indexes_were_lost_asks_the_mirror() {
    let home = home();
    fs::remove_dir_all(home.path(".cache/hoopy/blob")).unwrap();
    let text = ask(&home, &["-C", "s", "why", "say"], 0);
    assert!(text.contains("the indexes of the lock are not in the store: asking the mirror"), "{text}");
    fs::remove_dir_all(home.path(".cache/hoopy/blob")).unwrap();
    let newer = PACKAGES.replace("say 0.9-r1", "say 1.0-r0");
    fs::remove_dir_all(home.path("mirror")).unwrap();
    package::extended_mirror(&home.path("mirror"), "x86_64", &newer);
    assert_snapshot!(ask(&home, &["-C", "s", "why", "libc"], 5), @"
    the indexes of the lock are not in the store: asking the mirror
    error: ./hoopy.lock: no index lists say-0.9-r1 any more: the one that the lock was made from is not in the store, and main has a newer one
    hint: lock what there is now with `hoopy update`, or name packages that `hoopy vendor` kept with --mirror
    ");
}

#[test]
fn search_shows_the_best_first() {
    let home = home();
    assert_snapshot!(ask(&home, &["-C", "s", "search", "WIRE"], 0), @"
    wirecutter 1.0-r0 (main): not in the system
    libwire 2.1-r0 (main, locked): the wire, as a library [so:libwire.so.1]
    server 1.0-r0 (main, locked): serves files over the wire
    ");
    assert_snapshot!(ask(&home, &["-C", "s", "search", "say"], 0), @"say 0.9-r1 (main, locked): says what it is told");
    assert_snapshot!(ask(&home, &["-C", "s", "search", "so:libwire.so.*"], 0), @"libwire 2.1-r0 (main, locked): the wire, as a library [so:libwire.so.1]");
}

#[test]
fn a_search_without_a_find_fails() {
    let home = home();
    assert_snapshot!(ask(&home, &["-C", "s", "search", "nothing-like-it"], 1), @r#"no package matches "nothing-like-it""#);
    assert_snapshot!(ask(&home, &["-C", "s", "search", "no*", "--json", "--quiet"], 1), @r#"
    []
    no package matches "no*"
    "#);
}

#[test]
fn search_takes_the_indexes_of_the_lock_where_the_mirror_is_out_of_reach() {
    let home = home();
    let text = ask(&home, &["-C", "s", "search", "libwire", "--mirror", "http://127.0.0.1:1"], 0);
    assert!(text.starts_with("libwire 2.1-r0 (main, locked)"), "{text}");
    assert!(text.contains("warning: http://127.0.0.1:1/v3.23/"), "{text}");
    fs::remove_file(home.path("s/hoopy.lock")).unwrap();
    ask(&home, &["-C", "s", "search", "libwire", "--mirror", "http://127.0.0.1:1"], 5);
}

/// The size of a file hangs on the key that this machine made for the stand-in.
fn sizeless(text: &str) -> String {
    let line =
        |line: &str| if line.starts_with("size ") { "size       #".to_owned() } else { line.to_owned() };
    text.lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn info_tells_all_that_the_index_says() {
    let home = home();
    assert_snapshot!(sizeless(&ask(&home, &["-C", "s", "info", "libwire"], 0)), @"
    libwire 2.1-r0
    about      the wire, as a library
    repository main
    locked     yes
    size       #
    license    custom
    origin     libwire
    built      2025-10-09
    depends    libc>=1.2
    provides   so:libwire.so.1=1.4
    ");
    assert_snapshot!(sizeless(&ask(&home, &["-C", "s", "info", "server-doc"], 0)), @"
    server-doc 1.0-r0
    about      made for a test
    repository main
    locked     no
    size       #
    license    custom
    origin     server-doc
    built      2025-10-09
    install if docs server=1.0-r0
    ");
    assert_eq!(
        ask(&home, &["-C", "s", "info", "so:libwire.so.1"], 0),
        ask(&home, &["-C", "s", "info", "libwire"], 0)
    );
}

#[test]
fn info_tells_of_another_version_in_the_lock() {
    let home = home();
    fs::remove_dir_all(home.path("mirror")).unwrap();
    let newer = PACKAGES.replace("say 0.9-r1", "say 1.0-r0");
    package::extended_mirror(&home.path("mirror"), "x86_64", &newer);
    let text = ask(&home, &["-C", "s", "info", "say"], 0);
    assert!(text.contains("\nlocked     another version, 0.9-r1\n"), "{text}");
}

#[test]
fn info_of_what_is_nowhere_fails_and_says_what_is_near() {
    assert_snapshot!(ask(&home(), &["-C", "s", "info", "sever"], 1), @"
    error: no repository has sever (did you mean server?)
    hint: `hoopy search TEXT` finds packages by part of a name or description
    ");
}

#[test]
fn a_directory_that_is_no_system_is_refused_by_all_of_them() {
    let home = home();
    for args in
        [&["-C", "nowhere", "why", "libc"][..], &["tree", "nowhere"], &["-C", "nowhere", "search", "x"]]
    {
        ask(&home, args, 3);
    }
    ask(&home, &["-C", "nowhere", "info", "libc"], 3);
}
