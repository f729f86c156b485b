use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::server::{Page, split};

#[test]
fn nothing_but_reading_is_possible() {
    let page = Page::new();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "BREW"] {
        let answer = page.raw(format!("{method} / HTTP/1.1\r\nHost: nas\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("Allow: GET, HEAD\r\n"), "{answer}");
    }
    let head = page.raw(b"HEAD /status.json HTTP/1.1\r\nHost: nas\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_body_is_not_read() {
    let page = Page::new();
    let post = b"POST / HTTP/1.1\r\nHost: nas\r\nContent-Length: 1000000000\r\n\r\n";
    assert!(page.raw(post).starts_with("HTTP/1.1 413 "));
}

#[test]
fn a_name_of_somebody_elses_gets_nothing() {
    let page = Page::new();
    let by = |host: &str| {
        split(&page.raw(format!("GET /status.json HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())).0
    };
    for host in
        ["nas", "NAS.local:8080", "nas.lan.", "127.0.0.1:1", "[::1]:80", "localhost", "nas.example.org"]
    {
        assert_eq!(by(host), 200, "{host}");
    }
    for host in ["evil.example", "nas.evil.example", "localhost.evil.example", "xnas", "nas.example.org.evil"]
    {
        assert_eq!(by(host), 421, "{host}");
    }
}

#[test]
fn several_requests_sent_at_once_are_answered_in_order() {
    let page = Page::new();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: nas\r\n\r\n");
    let last = "GET /status.txt HTTP/1.1\r\nHost: nas\r\nConnection: close\r\n\r\n";
    let answer = page.raw(format!("{}{}{last}", get("/metrics"), get("/nothing")).as_bytes());
    let statuses: Vec<&str> =
        answer.split("HTTP/1.1 ").skip(1).map(|part| part.get(..3).unwrap_or_default()).collect();
    assert_eq!(statuses, ["200", "404", "200"], "{answer}");
}

#[test]
fn a_table_full_of_clients_that_say_nothing_keeps_nobody_out() {
    let page = Page::new();
    let begun = Instant::now();
    let silent: Vec<TcpStream> = (0..300)
        .map(|n| {
            let mut client = page.connect();
            if n % 2 == 0 {
                client.write_all(b"GET / HTTP/1.1\r\nHos").unwrap();
            }
            client
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(page.get("/status.json").0, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(silent);
}

#[test]
fn a_client_that_sends_its_head_byte_by_byte_is_left_in_time() {
    let page = Page::new();
    let mut client = page.connect();
    let begun = Instant::now();
    let mut ended = false;
    while begun.elapsed() < Duration::from_secs(30) && !ended {
        ended = client.write_all(b"X").is_err();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(ended && begun.elapsed() > Duration::from_secs(5), "after {:?}", begun.elapsed());
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    let page = Page::with(&[("etc/monitor.d/x.sh", "#!/bin/sh\nexec yes\n")]);
    let stuck: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut client = page.connect();
            client.write_all(b"GET /x.sh HTTP/1.1\r\nHost: nas\r\n\r\n").unwrap();
            client
        })
        .collect();
    assert_eq!(page.get("/status.json").0, 200);
    // Its program ends in its time, whether anybody reads or not.
    let until = Instant::now() + Duration::from_secs(25);
    while page.get("/x.sh").0 == 503 {
        assert!(Instant::now() < until, "four clients that do not read have all scripts");
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(stuck);
}
