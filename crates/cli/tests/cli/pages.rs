//! The pages that hoopy writes, in a real browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use hoopy_testkit::Home;

/// It neither asks anybody for anything nor minds being root.
const HEADLESS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--window-size=1200,900",
    "--enable-logging=stderr",
    "--dump-dom",
];

/// What Chromium makes of the page after `then` was done in it, without its scripts. What is wrong in those fails.
fn shown(home: &Home, page: &str, then: &str) -> String {
    let text = fs::read_to_string(home.path(page)).unwrap();
    let copy = home.path("shown.html");
    fs::write(&copy, text.replace("</html>", &format!("<script>{then}</script></html>"))).unwrap();
    let mut command = Command::new("chromium");
    command.args(HEADLESS).arg(format!("--user-data-dir={}", home.path("profile").display()));
    let out = command.arg(format!("file://{}", copy.canonicalize().unwrap().display())).output();
    let out = out.expect("Chromium: `cargo xtask setup` installs it");
    let console = String::from_utf8_lossy(&out.stderr);
    assert!(!console.contains("CONSOLE"), "{console}");
    let dom = String::from_utf8_lossy(&out.stdout).into_owned();
    dom.split("<script").map(|part| part.split_once("</script>").map_or(part, |(_, rest)| rest)).collect()
}

/// An initramfs whose paths are markup, made by cpio.
fn hostile(home: &Home) {
    let tree = home.path("tree");
    let make = |path: &Path, size: usize| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![b'x'; size]).unwrap();
    };
    make(&tree.join("etc/motd"), 3000);
    make(&tree.join("etc/<img src=x onerror=document.title='owned'>"), 3000);
    make(&tree.join("</script><script>document.title='owned'</script>"), 3000);
    make(&tree.join("usr/bin/sh"), 9000);
    let mut cpio = Command::new("sh");
    cpio.args(["-c", "find . | cpio -o --quiet -H newc -O ../initrd"]).current_dir(&tree);
    assert!(cpio.status().unwrap().success());
}

#[test]
fn the_map_shows_where_the_bytes_are_and_what_is_clicked_opens() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    hostile(&home);
    home.ok(&["inspect", "initrd", "--html", "page.html"]);
    let whole = shown(&home, "page.html", "");
    assert!(whole.contains("<title>initrd</title>"), "a path became a script:\n{whole}");
    assert!(!whole.contains("<img"), "a path became markup:\n{whole}");
    assert!(whole.contains("aria-label=\"segment 1: "), "no block for the segment:\n{whole}");
    let open = "document.querySelector('#map [aria-label^=segment]').click();";
    let inside = shown(&home, "page.html", open);
    assert!(inside.contains("<button>segment 1</button>"), "it did not open:\n{inside}");
    assert!(inside.contains("aria-label=\"usr/bin/sh: 8.79 KiB"), "no block for usr:\n{inside}");
    let escape = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}));";
    let back = shown(&home, "page.html", &format!("{open} {escape}"));
    assert!(!back.contains("<button>segment 1</button>"), "Escape does not lead out:\n{back}");
}

#[test]
fn the_page_of_timings_has_a_bar_for_each_work_in_its_place() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    home.ok(&["build", "s", "--store", "st", "--timings=page.html"]);
    // Each bar lies within the width that is the whole time.
    let measure = "const all = [...document.querySelectorAll('.bar')].map(b => [b, b.parentElement].map(e => e.getBoundingClientRect()));\
        const lies = all.filter(([b, p]) => b.width > 0 && b.left >= p.left - 1 && b.right <= p.right + 1).length;\
        document.title = `${lies} of ${all.length}`;";
    let page = shown(&home, "page.html", measure);
    let title = page.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
    let (lie, all) = title.split_once(" of ").unwrap();
    assert!(lie == all && all.parse::<u32>().unwrap() > 10, "bars that lie in their place: {title}");
}
