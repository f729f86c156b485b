//! `hoopy update`: what it says moved, and that nothing else does.

use std::fs;

use hoopy_testkit::{Home, package};

const BEFORE: &str = "\
package tool 1.0-r0
depends tool-libs=1.0-r0 helper
file usr/bin/tool 755 one
package tool-libs 1.0-r0
file usr/lib/tool 644 one
package helper 1.0-r0
file usr/bin/helper 755 one
package leaver 1.0-r0
file usr/bin/leaver 755 one
package other 1.0-r0
depends tool leaver
file usr/bin/other 755 one
";

/// Newer versions of all; the old ones are still there, but for those of the tool itself.
const AFTER: &str = "\
package tool 1.1-r0
depends tool-libs=1.1-r0 helper newcomer
file usr/bin/tool 755 two, and longer
package tool-libs 1.1-r0
file usr/lib/tool 644 two
package tool-libs 1.0-r0
file usr/lib/tool 644 one
package helper 1.0-r0
file usr/bin/helper 755 one
package helper 1.1-r0
file usr/bin/helper 755 two
package newcomer 1.0-r0
file usr/bin/newcomer 755 one
package leaver 1.0-r0
file usr/bin/leaver 755 one
package other 1.0-r0
depends tool leaver
file usr/bin/other 755 one
package other 2.0-r0
depends tool
file usr/bin/other 755 two
";

/// A system that is locked to the mirror `before`, and a mirror `after`.
fn home() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    package::extended_mirror(&home.path("before"), "x86_64", BEFORE);
    package::extended_mirror(&home.path("after"), "x86_64", AFTER);
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/packages"), "alpine-base\nlinux-virt\nother\n").unwrap();
    home.ok(&["lock", "s", "--arch", "x86_64", "--mirror", "before", "--quiet"]);
    home
}

fn update(home: &Home, mirror: &str, more: &[&str]) -> String {
    home.ok(&[&["-C", "s", "update"][..], more, &["--mirror", &format!("../{mirror}"), "--quiet"]].concat())
}

/// Sizes hang on the signature, and so on the key that this machine made for the stand-in.
fn sizeless(text: &str) -> String {
    let is_number = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_digit());
    let word = |w: &str| match w.strip_prefix('(') {
        Some(inner) if is_number(inner) => "(#".to_owned(),
        None if is_number(w) => "#".to_owned(),
        _ => w.to_owned(),
    };
    text.lines().map(|l| l.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn one_package_moves_with_what_it_needs_and_nothing_else() {
    let home = home();
    insta::assert_snapshot!(sizeless(&update(&home, "after", &["tool"])), @r"
    in       newcomer 1.0-r0 (# B)
    up       tool 1.0-r0 -> 1.1-r0 (# B -> # B)
    up       tool-libs 1.0-r0 -> 1.1-r0 (# B -> # B)
    ");
    assert!(update(&home, "after", &["tool"]).contains("no changes"));
}

#[test]
fn the_sizes_are_those_of_the_files() {
    let home = home();
    let size = |file: &str| fs::metadata(home.path(file)).unwrap().len();
    let (old, new) = ("before/v3.23/main/x86_64/tool-1.0-r0.apk", "after/v3.23/main/x86_64/tool-1.1-r0.apk");
    let wanted = format!("up       tool 1.0-r0 -> 1.1-r0 ({} B -> {} B)\n", size(old), size(new));
    assert!(update(&home, "after", &["tool"]).contains(&wanted), "{wanted}");
}

#[test]
fn without_a_name_all_move_and_a_dry_run_writes_nothing() {
    let home = home();
    let before = fs::read_dir(home.path("s")).unwrap().count();
    insta::assert_snapshot!(sizeless(&update(&home, "after", &["--dry-run"])), @r"
    up       helper 1.0-r0 -> 1.1-r0 (# B -> # B)
    out      leaver 1.0-r0 (# B)
    in       newcomer 1.0-r0 (# B)
    up       other 1.0-r0 -> 2.0-r0 (# B -> # B)
    up       tool 1.0-r0 -> 1.1-r0 (# B -> # B)
    up       tool-libs 1.0-r0 -> 1.1-r0 (# B -> # B)
    ");
    assert_eq!(fs::read_dir(home.path("s")).unwrap().count(), before);
    assert_eq!(update(&home, "after", &["--dry-run"]), update(&home, "after", &[]));
    // A mirror that goes back in time does so only where it is told to.
    let lock = fs::read(home.path("s/hoopy.lock")).unwrap();
    let said = home.fails(5, &["-C", "s", "update", "--mirror", "../before", "--quiet"]);
    assert!(said.contains("the mirror is older than the lock:"), "{said}");
    assert!(
        said.contains("helper 1.0-r0, and before 1.1-r0") && said.contains("--allow-downgrade"),
        "{said}"
    );
    assert!(fs::read(home.path("s/hoopy.lock")).unwrap() == lock);
    insta::assert_snapshot!(sizeless(&update(&home, "before", &["--allow-downgrade"])), @r"
    down     helper 1.1-r0 -> 1.0-r0 (# B -> # B)
    in       leaver 1.0-r0 (# B)
    out      newcomer 1.0-r0 (# B)
    down     other 2.0-r0 -> 1.0-r0 (# B -> # B)
    down     tool 1.1-r0 -> 1.0-r0 (# B -> # B)
    down     tool-libs 1.1-r0 -> 1.0-r0 (# B -> # B)
    ");
}
