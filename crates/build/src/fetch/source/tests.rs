#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// A mirror that does this with each connection, once it has read the request; its address, and how often it was asked.
fn mirror(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/x", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                answer(&mut stream);
            });
        }
    });
    (address, asked)
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

fn silent() {
    std::thread::sleep(Duration::from_secs(60));
}

/// The same as ever, in a hundredth of the time.
fn short() -> Client {
    Client::new(Limits {
        connect: Duration::from_millis(300),
        answer: Duration::from_millis(300),
        body: Patience { idle: Duration::from_millis(300), grace: Duration::from_millis(600), rate: 10_000 },
        waits: [Duration::from_millis(10); 3],
    })
}

/// Why reading fails, which must not take long.
fn failure(address: &str) -> String {
    let started = Instant::now();
    let error = short().read(address, 1 << 20).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
    assert!(matches!(error, FetchError::Stalled { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_mirror_that_accepts_and_says_nothing_is_given_up_after_four_tries() {
    let (address, asked) = mirror(|_| silent());
    assert_eq!(failure(&address), format!("{address}: waited 1 s for an answer"));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[test]
fn a_mirror_that_sends_its_headers_letter_by_letter_is_given_up() {
    let (address, _) = mirror(|stream| {
        for byte in HEAD.iter().cycle() {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(failure(&address), format!("{address}: waited 1 s for an answer"));
}

#[test]
fn a_mirror_that_stops_in_the_middle_is_given_up() {
    let (address, asked) = mirror(|stream| {
        let _ = stream.write_all(&[HEAD, &[b'x'; 1000]].concat());
        silent();
    });
    assert_eq!(failure(&address), format!("{address}: waited 1 s for the next byte of it"));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[test]
fn a_mirror_that_trickles_is_given_up() {
    let (address, _) = mirror(|stream| {
        let _ = stream.write_all(HEAD);
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let said = failure(&address);
    assert!(said.starts_with(&format!("{address}: waited 1 s for it, and ")), "{said}");
}

#[test]
fn a_mirror_that_breaks_off_once_is_asked_again() {
    let broken = AtomicUsize::new(0);
    let (address, asked) = mirror(move |stream| {
        if broken.fetch_add(1, Ordering::Relaxed) == 0 {
            let _ = stream.write_all(&[HEAD, b"x"].concat());
            return;
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    });
    assert_eq!(short().read(&address, 10).unwrap(), b"abc");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
