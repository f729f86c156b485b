//! The page in a real browser. Its pictures stay in `target/screenshots`, for people to look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopyd::http::{Answer, Request, Site};
use hoopyd::serve::{MachineSite, Shared};
use tempfile::TempDir;

use super::server::Page;

/// It neither asks anybody for anything nor minds being root.
const HEADLESS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--enable-logging=stderr",
];

/// What Chromium makes of the page, and what its console says.
fn browse(page: &Page, options: &[&str]) -> String {
    let profile = TempDir::new().unwrap();
    let mut command = Command::new("chromium");
    command.args(HEADLESS).args(options).arg(format!("--user-data-dir={}", profile.path().display()));
    let out = command.arg(format!("http://{}/", page.address)).output();
    let out = out.expect("Chromium: `cargo xtask setup` installs it");
    let console = String::from_utf8_lossy(&out.stderr);
    assert!(!console.contains("CONSOLE"), "{console}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn mountinfo() -> String {
    // The size of what is there on this computer: the page wants some filesystem.
    "1 1 0:1 / / ro - tmpfs none rw\n".to_owned()
}

/// A machine with something of everything.
fn full(extra: &[(&str, &str)]) -> TempDir {
    let index = "#!/bin/sh\necho 'nas-2026112101, up 3 days'\necho\necho 'pool tank: ONLINE, 61% full, scrubbed on Sunday'\necho '2026-11-29 01:22:33 disk /dev/disk/by-id/ata-WDC_WD80EFZX-68UW8N0_R6GAAAAA temperature 34 C, 21034 hours, no errors'\n";
    let mounts = mountinfo();
    let files = [
        ("etc/monitor.d/index.sh", index),
        ("etc/monitor.d/disks.sh", "#!/bin/sh\n"),
        ("etc/monitor.d/backups.sh", "#!/bin/sh\n"),
        ("proc/self/mountinfo", &*mounts),
        ("proc/spl/kstat/zfs/tank/state", "ONLINE\n"),
        ("run/hoopy/health", "STATE=good\nACTION=blessed\nSLOT=nas-2026112101.efi\n"),
        ("run/hoopy/health.log", "--- sshd\nlistens on port 22\n"),
        ("run/openrc/started/cron", ""),
        ("sys/class/hwmon/hwmon0/name", "k10temp\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "45500\n"),
        ("sys/class/hwmon/hwmon0/temp1_label", "Tctl\n"),
    ];
    Page::machine(&[&files, extra].concat())
}

/// An hour of a machine that does something.
fn an_hour(dir: &Path, shared: &Shared) {
    for n in 0..400_u64 {
        let wave = (n % 90) * 3;
        let write = |path: &str, text: String| fs::write(dir.join(path), text).unwrap();
        write("proc/uptime", format!("{}.0 0\n", 93_000 + n * 10));
        write("proc/loadavg", format!("{}.{:02} 0.4 0.3 1/100 1\n", wave / 90, wave % 90));
        write(
            "proc/meminfo",
            format!("MemTotal: 8000000 kB\nMemAvailable: {} kB\n", 5_000_000 - wave * 5000),
        );
        write("sys/class/hwmon/hwmon0/temp1_input", format!("{}\n", 40_000 + wave * 60));
        let (received, sent) = (n * n * 20_000, n * 900_000 * (1 + n % 3));
        let link = format!("  eth0: {received} 5 0 0 0 0 0 0 {sent} 7 0 0 0 0 0 0\n");
        write("proc/net/dev", format!("a\nb\n{link}    wg0: 5000 5 0 0 0 0 0 0 7000 7 0 0 0 0 0 0\n"));
        shared.look();
    }
}

fn screenshots() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screenshots");
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn the_page_is_drawn_light_dark_and_on_a_phone() {
    let well = Page::serving(full(&[]), |site, dir, shared| {
        an_hour(&dir, &shared);
        site
    });
    let troubled = [
        ("proc/spl/kstat/zfs/tank/state", "DEGRADED\n"),
        ("run/openrc/failed/smartd", ""),
        ("proc/mdstat", "md0 : active raid1 sda1[0] sdb1[1]\n   1000 blocks [2/2] [UU]\n"),
    ];
    let troubled = Page::serving(full(&troubled), |site, dir, shared| {
        an_hour(&dir, &shared);
        site
    });
    let dark = "--blink-settings=preferredColorScheme=0";
    let light = "--blink-settings=preferredColorScheme=1";
    for (page, name, size, scheme) in [
        (&well, "light", "1100,1500", light),
        (&troubled, "dark", "1100,1500", dark),
        (&troubled, "phone", "500,2200", light),
        (&well, "phone-dark", "500,2200", dark),
    ] {
        let file = screenshots().join(format!("agent-{name}.png"));
        let _ = fs::remove_file(&file);
        let shot = format!("--screenshot={}", file.display());
        browse(page, &[&shot, &format!("--window-size={size}"), scheme]);
        let size = fs::metadata(&file).map_or(0, |meta| meta.len());
        assert!(size > 20_000, "{name}: {size} bytes");
    }
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let page = Page::serving(full(&[]), |site, dir, shared| {
        an_hour(&dir, &shared);
        Measuring(site)
    });
    let dom = browse(&page, &["--dump-dom", "--window-size=500,900"]);
    assert!(dom.contains("data-width=\"fits\""), "{dom}");
}

/// The page with a script of the test's in place of its own.
struct Measuring(MachineSite);

impl Site for Measuring {
    fn answer(&self, request: &Request) -> Answer {
        let mut answer = self.0.answer(request);
        if let Answer::Ready(response) = &mut answer
            && request.path == "/live.js"
        {
            let script = "const all = document.documentElement;\
                all.dataset.width = all.scrollWidth <= all.clientWidth ? 'fits' : all.scrollWidth;";
            response.body = script.as_bytes().into();
        }
        answer
    }
}

/// A machine that falls ill when it is asked for news.
struct Ailing {
    site: MachineSite,
    dir: PathBuf,
    shared: Shared,
}

impl Site for Ailing {
    fn answer(&self, request: &Request) -> Answer {
        if request.path == "/live" {
            fs::write(self.dir.join("proc/spl/kstat/zfs/tank/state"), "DEGRADED\n").unwrap();
            self.shared.look();
        }
        self.site.answer(request)
    }
}

#[test]
fn a_page_that_is_open_shows_what_happens_meanwhile() {
    let page = Page::serving(full(&[]), |site, dir, shared| Ailing { site, dir, shared });
    let dom = browse(&page, &["--dump-dom", "--virtual-time-budget=15000"]);
    assert!(dom.contains("Pool tank (zfs) is DEGRADED: run zpool status"), "{dom}");
    assert!(dom.contains("scrubbed on Sunday") && !dom.contains("has not answered"), "{dom}");
}

#[test]
fn a_page_whose_machine_has_gone_says_so() {
    let page = Page::serving(full(&[]), |site, _, _| Gone(site));
    let dom = browse(&page, &["--dump-dom", "--virtual-time-budget=15000"]);
    assert!(dom.contains("The machine has not answered since"), "{dom}");
}

/// A machine that shows its page once.
struct Gone(MachineSite);

impl Site for Gone {
    fn answer(&self, request: &Request) -> Answer {
        if request.path == "/live" {
            let response =
                hoopyd::http::Response { status: 200, content_type: "text/html", body: "".as_bytes().into() };
            // A body that cannot be what was asked for ends the connection in the browser's eyes.
            return Answer::Ready(hoopyd::http::Response { status: 503, ..response });
        }
        self.0.answer(request)
    }
}
