use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use super::server::{Page, memory};

/// `HOOPY_LOAD_SECONDS` makes it long: `cargo xtask prove` runs a minute of it.
#[test]
fn five_hundred_requests_a_second_are_answered_with_flat_memory() {
    let seconds = std::env::var("HOOPY_LOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
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
