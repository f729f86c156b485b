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
    assert_eq!(failure(&address), format!("{address}: waited 1 s for an answer (4 tries)"));
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
    assert_eq!(failure(&address), format!("{address}: waited 1 s for an answer (4 tries)"));
}

#[test]
fn a_mirror_that_stops_in_the_middle_is_given_up() {
    let (address, asked) = mirror(|stream| {
        let _ = stream.write_all(&[HEAD, &[b'x'; 1000]].concat());
        silent();
    });
    assert_eq!(failure(&address), format!("{address}: waited 1 s for the next byte of it (4 tries)"));
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

/// Sends the headers of an answer in chunks, `first`, and `again` over and over.
fn trickle(first: &'static [u8], again: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    mirror(move |stream| {
        let _ = stream.write_all(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", first].concat());
        while stream.write_all(again).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

/// Such a mirror kept `hoopy lock` for ever: each byte began the time limit anew, and none was one of the answer.
#[test]
fn a_mirror_that_trickles_inside_the_framing_of_chunks_is_given_up() {
    let framings: [(&str, &[u8], &[u8]); 3] =
        [("extension", b"1;", b"x"), ("size", b"", b"0"), ("trailers", b"3\r\nabc\r\n0\r\n", b"X-a: b\r\n")];
    for (framing, first, again) in framings {
        let (address, asked) = trickle(first, again);
        let expected = format!("{address}: waited 1 s for the next byte of it (4 tries)");
        assert_eq!(failure(&address), expected, "{framing}");
        assert_eq!(asked.load(Ordering::Relaxed), 4, "{framing}");
    }
}

/// Ten redirects, each of which is in time, had ten times the time.
#[test]
fn redirects_have_the_time_of_one_answer_together() {
    let (address, asked) = mirror(|stream| {
        std::thread::sleep(Duration::from_millis(200));
        let _ = stream.write_all(
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    });
    assert_eq!(
        failure(&address),
        format!("{address}: waited 1 s for an answer, redirects included (4 tries)")
    );
    // 900 ms in each of four tries.
    assert!(asked.load(Ordering::Relaxed) <= 4 * 5, "{asked:?}");
}

#[test]
fn a_redirect_that_is_in_time_is_followed() {
    let first = AtomicUsize::new(0);
    let (address, _) = mirror(move |stream| {
        let _ = stream.write_all(if first.fetch_add(1, Ordering::Relaxed) == 0 {
            b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-a: b\r\n\r\n"
        });
    });
    assert_eq!(short().read(&address, 10).unwrap(), b"abc");
}
