//! What the server of the page takes of memory, in a process of its own: what other tests take would count.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[expect(dead_code, reason = "the tests of the page use all of it")]
#[path = "page/server.rs"]
mod server;

use std::fs;
use std::io::{Read as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use server::Page;

/// One test after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resident memory of this process, in KiB.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `HOOPY_LOAD_SECONDS` makes it long: `cargo xtask prove` runs a minute of it.
#[test]
fn five_hundred_requests_a_second_are_answered_with_flat_memory() {
    let seconds = std::env::var("HOOPY_LOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let _alone = alone();
    let page = Page::new();
    let mut client = page.connect();
    let mut ask = |count: u32| {
        let mut buffer = vec![0; 64 << 10];
        for n in 0..count {
            let path = ["/status.json", "/live", "/metrics"][n as usize % 3];
            if n % 500 == 0 {
                client = page.connect();
            }
            client.write_all(format!("GET {path} HTTP/1.1\r\nHost: nas\r\n\r\n").as_bytes()).unwrap();
            let mut answer = Vec::new();
            while !is_whole(&answer) {
                let read = client.read(&mut buffer).unwrap();
                assert!(read > 0, "closed in the middle: {}", String::from_utf8_lossy(&answer));
                answer.extend(&buffer[..read]);
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        }
    };
    ask(500);
    let before = memory();
    for _ in 0..seconds {
        let begun = Instant::now();
        ask(500);
        page.shared.look();
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "500 requests took {took:?}");
        std::thread::sleep(Duration::from_secs(1).saturating_sub(took));
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 1024, "{grown} KiB more after {seconds} s");
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("Content-Length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

#[test]
fn nonsense_costs_nothing() {
    let _alone = alone();
    let page = Page::new();
    let endless = vec![b'A'; 1 << 20];
    let before = memory();
    for round in 0..200_u32 {
        let mut client = page.connect();
        let _ = client.write_all(match round % 4 {
            0 => &endless,
            1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            2 => b"GET / HTTP/1.1\r\n\r\n",
            _ => b"\r\n\r\n\r\n\0\0\0",
        });
        let mut answer = Vec::new();
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = client.read_to_end(&mut answer);
    }
    assert_eq!(page.get("/status.json").0, 200);
    let grown = memory().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more");
}
