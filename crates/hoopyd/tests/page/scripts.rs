use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use super::server::Page;

fn script(name: &str, text: &str) -> Page {
    Page::with(&[(&format!("etc/monitor.d/{name}"), &format!("#!/bin/sh\n{text}\n"))])
}

#[test]
fn a_script_is_found_by_its_name_and_answers_in_plain_text() {
    let page = script("disks.sh", "echo '<script>'; echo sda fine >&2");
    let answer = page.raw(b"GET /disks.sh HTTP/1.0\r\n\r\n");
    assert!(
        answer.contains("Content-Type: text/plain; charset=utf-8\r\n") && answer.contains("nosniff"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n<script>\nsda fine\n"), "{answer}");
    assert_eq!(page.get("/others.sh").0, 404);
}

#[test]
fn the_page_of_somebody_with_curl_is_the_index_as_frood_has_it() {
    assert_eq!(script("index.sh", "echo hello").get("/"), (200, "hello\n".to_owned()));
    assert_eq!(script("index.sh", "echo hello").get("/index.sh"), (200, "hello\n".to_owned()));
}

#[test]
fn what_is_not_a_script_of_the_directory_is_not_run() {
    let page = script("x.sh", "echo ran");
    let plain = page.path("etc/monitor.d/plain.sh");
    fs::write(&plain, "#!/bin/sh\necho ran\n").unwrap();
    fs::create_dir(page.path("etc/monitor.d/dir.sh")).unwrap();
    for path in
        ["/plain.sh", "/dir.sh", "/x", "/monitor.d/x.sh", "//x.sh", "/./x.sh", "/.hidden.sh", "/x.sh/"]
    {
        assert_eq!(page.get(path).0, 404, "{path}");
    }
    assert_eq!(page.get("/x.sh?a=b&c"), (200, "ran\n".to_owned()));
}

#[test]
fn a_script_that_fails_says_so() {
    let (code, text) = script("x.sh", "echo half; exit 3").get("/x.sh");
    assert_eq!(code, 500);
    assert_eq!(text, "half\n[the script ended with exit status: 3]\n");
}

#[test]
fn a_script_that_hangs_is_ended_with_what_it_started() {
    let page = script("x.sh", "echo begun; sleep 600 & echo $! >\"${0%/*}/pid\"; wait");
    let begun = Instant::now();
    let (code, text) = page.get("/x.sh");
    assert!((9..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(code, 504);
    assert!(text.starts_with("begun\n") && text.contains("it took more than 10 s"), "{text}");
    let pid = fs::read_to_string(page.path("etc/monitor.d/pid")).unwrap();
    assert!(is_gone(pid.trim()), "it still runs");
}

/// Whether a process has ended; it may not have been waited for yet.
fn is_gone(pid: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_script_ends_when_its_reader_leaves() {
    let page = script("x.sh", "echo $$ >\"${0%/*}/pid\"; exec sleep 600");
    let mut client = page.connect();
    client.write_all(b"GET /x.sh HTTP/1.1\r\nHost: nas\r\n\r\n").unwrap();
    let pid = page.path("etc/monitor.d/pid");
    let until = Instant::now() + Duration::from_secs(8);
    while fs::read_to_string(&pid).unwrap_or_default().trim().is_empty() {
        assert!(Instant::now() < until, "it did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    drop(client);
    assert!(is_gone(fs::read_to_string(&pid).unwrap().trim()), "it still runs");
    assert!(begun.elapsed() < Duration::from_secs(5), "that took {:?}", begun.elapsed());
}

#[test]
fn a_script_that_prints_without_end_is_cut() {
    let (code, text) = script("x.sh", "exec yes 'all work and no play'").get("/x.sh");
    assert_eq!(code, 200, "it had begun before that was known");
    assert!(
        text.contains("it printed more than 1024 KiB") && text.len() < (1 << 20) + 200,
        "{} bytes",
        text.len()
    );
}

#[test]
fn a_script_that_leaves_something_running_is_done() {
    let begun = Instant::now();
    assert_eq!(script("x.sh", "echo done; setsid sleep 30 &").get("/x.sh"), (200, "done\n".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn a_script_gets_nothing_of_the_client_and_nothing_of_the_agent() {
    let page = script("x.sh", "env | sort; echo \"$# arguments\"; cat");
    let (_, text) = page.get("/x.sh?PATH=/evil");
    assert!(text.contains("\n0 arguments\n") && !text.contains("evil") && !text.contains("HOME="), "{text}");
}

#[test]
fn no_more_scripts_run_at_once_than_may() {
    let page = script("x.sh", "sleep 2; echo done");
    let mut clients: Vec<_> = (0..10)
        .map(|_| {
            let mut client = page.connect();
            client.write_all(b"GET /x.sh HTTP/1.0\r\n\r\n").unwrap();
            client
        })
        .collect();
    let answers: Vec<String> = clients
        .iter_mut()
        .map(|client| {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        })
        .collect();
    let done = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200 ")).count();
    let busy =
        answers.iter().filter(|a| a.starts_with("HTTP/1.1 503 ") && a.contains("Retry-After: ")).count();
    assert_eq!((done, busy), (4, 6), "{answers:?}");
    assert_eq!(page.get("/x.sh").0, 200, "there is room again");
}

#[test]
fn a_long_answer_comes_in_chunks_that_make_it_whole() {
    let page = script("x.sh", "i=0; while [ $i -lt 5000 ]; do echo \"line $i\"; i=$((i + 1)); done");
    let answer = page.raw(b"GET /x.sh HTTP/1.1\r\nHost: nas\r\nConnection: close\r\n\r\n");
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        body += &after[..length];
        rest = &after[length + 2..];
        if length == 0 {
            break;
        }
    }
    assert_eq!(rest, "");
    assert_eq!(body.lines().count(), 5000);
    assert_eq!(body.lines().last(), Some("line 4999"));
}

#[test]
fn the_page_is_there_while_its_script_hangs() {
    let page = script("index.sh", "exec sleep 600");
    let mut client = page.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: nas\r\nAccept: text/html\r\n\r\n").unwrap();
    let begun = Instant::now();
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&text).contains("All is well") {
        let read = client.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&text));
        text.extend(&buffer[..read]);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
