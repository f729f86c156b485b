//! Alerts, with the ready programs and receivers on this computer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread::{self, JoinHandle};

use hoopy_boot::status::{Problem, Severity, Status};
use hoopyd::serve::alerts::{self, book::Book};
use tempfile::TempDir;

fn program(root: &Path, name: &str, text: &str) {
    let path = root.join("etc/hoopy/alert.d").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn full() -> Status {
    let problem = Problem {
        id: "filesystem /srv".into(),
        severity: Severity::Critical,
        what: "/srv is 98% full".into(),
        remedy: "make room on it".into(),
    };
    Status { host: "nas".into(), problems: vec![problem], ..Status::default() }
}

/// Looks every ten seconds, without waiting for them.
fn look(root: &Path, book: &mut Book, status: &Status, times: std::ops::Range<u64>) {
    times.step_by(10).for_each(|now| alerts::turn(root, book, status, now));
}

#[test]
fn every_program_is_told_once_also_over_a_reboot() {
    let dir = TempDir::new().unwrap();
    let root = dir.path();
    for name in ["one", "two"] {
        program(root, name, &format!("#!/bin/sh\ncat >>{}/{name}\n", root.display()));
    }
    look(root, &mut Book::default(), &full(), 0..500);
    // The machine boots: what was told lies on its disk.
    let mut book = alerts::read(root);
    look(root, &mut book, &full(), 500..1000);
    look(root, &mut book, &Status { host: "nas".into(), ..Status::default() }, 1000..2000);
    for name in ["one", "two"] {
        let told = fs::read_to_string(root.join(name)).unwrap();
        let events: Vec<serde_json::Value> =
            told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["problem", "over"], "{told}");
        assert_eq!(events[0]["title"], "nas: /srv is 98% full");
        assert_eq!(events[0]["id"], "filesystem /srv");
    }
}

#[test]
fn a_program_that_fails_is_told_later_and_holds_up_no_other() {
    let dir = TempDir::new().unwrap();
    let root = dir.path();
    let at = root.display();
    program(
        root,
        "a-broken",
        &format!("#!/bin/sh\necho x >>{at}/tries\n[ -e {at}/mended ] && cat >{at}/broken\n"),
    );
    program(root, "b-good", &format!("#!/bin/sh\ncat >>{at}/good\n"));
    let mut book = Book::default();
    look(root, &mut book, &full(), 0..600);
    assert_eq!(fs::read_to_string(root.join("good")).unwrap().lines().count(), 1);
    let tries = fs::read_to_string(root.join("tries")).unwrap().lines().count();
    assert!((2..6).contains(&tries), "{tries} tries within ten minutes");
    fs::write(root.join("mended"), "").unwrap();
    look(root, &mut book, &full(), 600..2000);
    assert!(fs::read_to_string(root.join("broken")).unwrap().contains("98% full"));
}

/// Answers one request, and gives it back.
fn receiver() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let received = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = client.read(&mut buffer).unwrap();
            text.extend(&buffer[..read]);
            let shown = String::from_utf8_lossy(&text);
            let whole = shown.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let head = head.to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0)
            });
            if read == 0 || whole {
                break;
            }
        }
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    (address, received)
}

/// A ready program, reading its settings from a file of this test.
fn ready(root: &Path, name: &str, settings: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/alert.d").join(name);
    let text = fs::read_to_string(source).unwrap();
    let file = root.join("settings");
    fs::write(&file, settings).unwrap();
    assert!(text.contains("/etc/conf.d/hoopy-alert"), "{name} reads no settings");
    program(root, name, &text.replace("/etc/conf.d/hoopy-alert", &file.display().to_string()));
}

#[test]
fn the_ready_program_for_ntfy_sends_a_message() {
    let dir = TempDir::new().unwrap();
    let (address, received) = receiver();
    ready(dir.path(), "ntfy", &format!("NTFY_URL={address}\n"));
    look(dir.path(), &mut Book::default(), &full(), 0..40);
    let request = received.join().unwrap();
    assert!(request.starts_with("POST /hook HTTP/1."), "{request}");
    assert!(
        request.contains("Title: nas: /srv is 98% full\r\n") && request.contains("Priority: 5\r\n"),
        "{request}"
    );
    assert!(request.ends_with("/srv is 98% full: make room on it."), "{request}");
}

#[test]
fn the_ready_program_for_a_webhook_sends_the_event() {
    let dir = TempDir::new().unwrap();
    let (address, received) = receiver();
    ready(dir.path(), "webhook", &format!("WEBHOOK_URL={address}\n"));
    look(dir.path(), &mut Book::default(), &full(), 0..40);
    let request = received.join().unwrap();
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(event["severity"], "critical");
    assert!(request.contains("Content-Type: application/json\r\n"), "{request}");
}

#[test]
fn the_ready_program_for_mail_hands_a_message_to_sendmail() {
    let dir = TempDir::new().unwrap();
    let root = dir.path();
    let sendmail = root.join("sendmail");
    fs::write(&sendmail, format!("#!/bin/sh\necho \"$@\" >{0}/arguments\ncat >{0}/mail\n", root.display()))
        .unwrap();
    fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).unwrap();
    ready(root, "mail", &format!("MAIL_TO=me@example.org\nSENDMAIL={}\n", sendmail.display()));
    look(root, &mut Book::default(), &full(), 0..40);
    let mail = fs::read_to_string(root.join("mail")).unwrap();
    assert!(mail.contains("To: me@example.org\nSubject: [critical] nas: /srv is 98% full\n"), "{mail}");
    assert!(mail.ends_with("/srv is 98% full: make room on it.\n"), "{mail}");
    assert_eq!(fs::read_to_string(root.join("arguments")).unwrap(), "-t\n");
}
