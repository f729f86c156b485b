//! Unlocking with passkeys: in Chromium with a virtual authenticator, over TLS under an authority that it was told to trust,
//! and beside age's TypeScript implementation.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use hoopy_boot::monitor::Settings;
use hoopyd::http::{Answer, Endpoint, Request, Response, Site, server};
use hoopyd::serve::{Collector, MachineSite, Shared};
use serde_json::Value;
use tempfile::TempDir;

use super::authority::Authority;
use super::server::{Page, split};

/// A volume: what it gets on standard input is the key, or it stays locked.
const PROGRAM: &str = "#!/bin/sh\ncd \"${0%/*}\" || exit 1\nif [ \"$1\" = --status ]; then [ -e ../open ]; exit; fi\n\
    [ \"$(cat)\" = 'the key of tank' ] || { echo 'wrong key' >&2; exit 1; }\ntouch ../open\n";

/// The page, and age's own implementation as a script beside it.
struct WithAge {
    site: MachineSite,
    age: Vec<u8>,
}

impl Site for WithAge {
    fn answer(&self, request: &Request) -> Answer {
        if request.path == "/age.mjs" {
            let body = self.age.clone().into();
            return Answer::Ready(Response { status: 200, content_type: "text/javascript", body });
        }
        self.site.answer(request)
    }
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

fn done(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// age's TypeScript implementation as one file, from npm.
fn age() -> Vec<u8> {
    let dir = target().join("npm-age-0.3.1");
    let bundle = dir.join("age.mjs");
    if !bundle.exists() {
        fs::create_dir_all(&dir).unwrap();
        let packages = ["age-encryption@0.3.1", "esbuild@0.25.12"];
        let install = ["install", "--no-audit", "--no-fund", "--prefix", "."];
        done(Command::new("npm").args(install).args(packages).current_dir(&dir));
        let mut esbuild = Command::new("node_modules/.bin/esbuild");
        esbuild.args(["node_modules/age-encryption/dist/index.js", "--bundle", "--format=esm"]);
        done(esbuild.arg("--outfile=age.mjs").current_dir(&dir));
    }
    fs::read(bundle).unwrap()
}

/// A page that is reached with TLS under this authority, and wants a password.
fn serve(dir: &Path, age: Vec<u8>) -> (u16, Shared) {
    let settings =
        Settings { password: true, names: vec!["nas.home.arpa".to_owned()], ..Settings::default() };
    let settings = Settings { listen: vec!["https://[::]:443".parse().unwrap()], ..settings };
    let collector = Collector::new(dir, settings.clone());
    let certificate = collector.certificate();
    let shared = Shared::new(collector);
    let site = WithAge { site: MachineSite::new(dir, &settings, shared.clone()), age };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || server::serve(vec![Endpoint::tls(listener, certificate)], &site));
    (port, shared)
}

fn machine() -> TempDir {
    let dir = Page::machine(&[("etc/hoopy/unlock.d/tank", PROGRAM)]);
    let hash = Command::new("openssl").args(["passwd", "-6", "right"]).output().unwrap();
    fs::write(dir.path().join("etc/hoopy/page.password"), hash.stdout).unwrap();
    fs::create_dir_all(dir.path().join("etc/hoopy/passkeys/tank")).unwrap();
    dir
}

#[test]
fn passkeys_are_enrolled_and_unlock_in_a_browser_and_age_understands_the_files() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let (dir, foreign) = (machine(), machine());
    authority.issue(dir.path(), "DNS:nas.home.arpa", "1");
    strangers.issue(foreign.path(), "DNS:nas.home.arpa", "1");
    let (port, shared) = serve(dir.path(), age());
    let (foreign_port, _) = serve(foreign.path(), Vec::new());
    // Chromium reads the authorities of its user from here.
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join(".pki/nssdb");
    fs::create_dir_all(&store).unwrap();
    let store = format!("sql:{}", store.display());
    done(Command::new("certutil").args(["-N", "--empty-password", "-d", &store]));
    let mut trust = Command::new("certutil");
    done(trust.args(["-A", "-n", "home", "-t", "C,,", "-d", &store, "-i"]).arg(authority.certificate()));
    let screenshots = target().join("screenshots");
    fs::create_dir_all(&screenshots).unwrap();

    let mut node = Command::new("node");
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/passkey.mjs"));
    node.arg(home.path().join("profile")).arg(format!("https://nas.home.arpa:{port}/unlock/"));
    node.arg(format!("https://nas.home.arpa:{foreign_port}/unlock/")).arg(screenshots);
    let node = node.env("HOME", home.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut node = node.expect("node: `cargo xtask setup` installs it");
    let mut input = node.stdin.take().unwrap();
    let passkeys = dir.path().join("etc/hoopy/passkeys/tank");
    let open = dir.path().join("etc/hoopy/open");
    let mut last = Value::Null;
    for line in BufReader::new(node.stdout.take().unwrap()).lines() {
        last = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(name) = last["keep"].as_str() {
            fs::write(passkeys.join(format!("{name}.age")), last["text"].as_str().unwrap()).unwrap();
        }
        if last["lock"] == true {
            assert!(open.exists(), "the volume is open");
            assert_eq!(last["opened"], "the key of tank", "age opens what the page made");
            fs::remove_file(&open).unwrap();
            shared.look_at_volumes();
            // What is left has no passkey that the page could name.
            fs::remove_file(passkeys.join("desk.age")).unwrap();
        }
        let _ = input.write_all(b"\n");
    }
    node.wait().unwrap();
    assert_eq!(last["done"], true, "{last}");
    assert_eq!(last["typageOpens"], "Unlocked.", "the page opens what age made: {last}");
    assert_eq!(last["foreign"], "net::ERR_CERT_AUTHORITY_INVALID");
    assert!(open.exists());
}

/// What a client without a browser sends.
fn post(page: &Page, path: &str, fields: &str, body: &str) -> (u16, String) {
    let head = format!("POST {path} HTTP/1.0\r\nHost: localhost:80\r\nContent-Length: {}\r\n", body.len());
    split(&page.raw(format!("{head}{fields}\r\n{body}").as_bytes()))
}

/// An age file that is for something else than a passkey.
const OTHER: &str = "age-encryption.org/v1\n-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

const OWN: &str = "Origin: http://localhost:80\r\n";

#[test]
fn keys_come_from_this_page_alone_and_wrong_ones_are_limited() {
    let page = Page::serving(machine(), |site, _, _| site);
    let zeros = "A".repeat(43);
    let enroll = |text: &str| {
        format!(
            "{{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"first\":\"{zeros}\",\"second\":\"{zeros}\",\"credential\":\"AAAA\",\"key\":\"{text}\"}}"
        )
    };
    let key = "dGhlIGtleSBvZiB0YW5r";
    for fields in
        ["", "Origin: https://localhost:80\r\n", "Origin: http://evil.example\r\n", "Origin: null\r\n"]
    {
        assert_eq!(post(&page, "/unlock/tank/enroll", fields, &enroll(key)).0, 403, "{fields}");
        assert_eq!(post(&page, "/unlock/tank", fields, "{}").0, 403, "{fields}");
    }
    let (status, sealed) = post(&page, "/unlock/tank/enroll", OWN, &enroll(key));
    assert!(status == 200 && sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"), "{sealed}");
    fs::write(page.path("etc/hoopy/passkeys/tank/phone.age"), sealed).unwrap();
    let state = page.get("/unlock/tank").1;
    assert!(state.contains("\"credential\":\"AAAA\"") && state.contains("\"name\":\"phone\""), "{state}");

    for path in ["/unlock/nothing", "/unlock/..", "/unlock/tank/x", "/unlock/tank/phone.age"] {
        assert_eq!(post(&page, path, OWN, "{}").0, 404, "{path}");
    }
    let other = "B".repeat(42) + "A";
    let unlock = |name: &str, first: &str| {
        let body = format!("{{\"passkey\":\"{name}\",\"first\":\"{first}\",\"second\":\"{zeros}\"}}");
        post(&page, "/unlock/tank", OWN, &body).0
    };
    assert_eq!(unlock("../../page.password", &zeros), 404);
    for (name, text) in [("empty", ""), ("text", "not age"), ("other", OTHER)] {
        fs::write(page.path(&format!("etc/hoopy/passkeys/tank/{name}.age")), text).unwrap();
        for _ in 0..6 {
            assert_eq!(unlock(name, &zeros), 400, "a file that is for no passkey is no guess: {name}");
        }
    }
    assert_eq!(post(&page, "/unlock/tank", OWN, "[").0, 400);
    for _ in 0..5 {
        assert_eq!(unlock("phone", &other), 403);
    }
    assert_eq!(unlock("phone", &zeros), 429, "also the right one has to wait");
    assert_eq!(post(&page, "/unlock/tank/enroll", OWN, &enroll(key)).0, 200, "to add one is no guess");
    assert!(!page.path("etc/hoopy/open").exists());
}

#[test]
fn a_key_that_the_program_refuses_is_told() {
    let page = Page::serving(machine(), |site, _, _| site);
    let zeros = "A".repeat(43);
    let said = format!("\"first\":\"{zeros}\",\"second\":\"{zeros}\"");
    let enroll = format!(
        "{{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\",{said},\"credential\":\"AAAA\",\"key\":\"d3Jvbmc\"}}"
    );
    let sealed = post(&page, "/unlock/tank/enroll", OWN, &enroll).1;
    fs::write(page.path("etc/hoopy/passkeys/tank/phone.age"), sealed).unwrap();
    assert_eq!(post(&page, "/unlock/tank", OWN, &format!("{{\"passkey\":\"phone\",{said}}}")).0, 202);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let state = page.get("/unlock/tank").1;
        if state.contains("\"failed\"") {
            return assert!(state.contains("wrong key") && !state.contains("d3Jvbmc"), "{state}");
        }
        assert!(std::time::Instant::now() < until, "{state}");
        thread::sleep(std::time::Duration::from_millis(50));
    }
}
