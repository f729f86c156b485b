//! Who gets in from elsewhere: TLS, a certificate that is exchanged, the password, interfaces that come and go.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use hoopy_boot::monitor::Settings;
use hoopyd::http::{Endpoint, server};
use hoopyd::serve::{Collector, MachineSite, Shared};
use tempfile::TempDir;

use super::authority::Authority;
use super::server::Page;

/// A page that is reached with TLS and wants a password.
struct Secure {
    port: u16,
    shared: Shared,
    dir: TempDir,
    authority: Authority,
}

impl Secure {
    /// One that wants the password.
    fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, Settings { password: true, ..Settings::default() })
    }

    fn with(files: &[(&str, &str)], settings: Settings) -> Self {
        let (dir, authority) = (Page::machine(files), Authority::new());
        authority.issue(dir.path(), "DNS:nas.home.arpa", "1");
        let hash = Command::new("openssl").args(["passwd", "-6", "right"]).output().unwrap();
        fs::write(dir.path().join("etc/hoopy/page.password"), hash.stdout).unwrap();
        let listen = vec!["https://[::]:443".parse().unwrap()];
        let settings = Settings { listen, ..settings };
        let collector = Collector::new(dir.path(), settings.clone());
        let certificate = collector.certificate();
        let shared = Shared::new(collector);
        let site = MachineSite::new(dir.path(), &settings, shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || server::serve(vec![Endpoint::tls(listener, certificate)], &site));
        Self { port, shared, dir, authority }
    }

    /// What curl gets, and the status in front of it.
    fn get(&self, path: &str, more: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}"]);
        curl.arg("--cacert").arg(self.authority.certificate());
        curl.args(["--resolve", &format!("nas.home.arpa:{}:127.0.0.1", self.port)]);
        let out = curl.args(more).arg(format!("https://nas.home.arpa:{}{path}", self.port)).output().unwrap();
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }
}

const RIGHT: [&str; 2] = ["--user", "me:right"];

#[test]
fn from_elsewhere_the_page_is_shown_to_those_who_know_the_password() {
    let page = Secure::new(&[("etc/monitor.d/long.sh", "#!/bin/sh\nseq 1 100000\n")]);
    assert!(page.get("/status.json", &RIGHT).contains("\"host\": \"nas\""));
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
    let long = page.get("/long.sh", &RIGHT);
    assert!(long.contains("\n100000\n") && long.ends_with("200"), "{} bytes", long.len());
    for path in ["/", "/status.json", "/long.sh", "/style.css", "/unlock/"] {
        let without = page.get(path, &[]);
        assert!(without.contains("password required") && without.ends_with("401"), "{path}: {without}");
    }
}

#[test]
fn passwords_are_guessed_a_few_times_and_who_knows_it_reads_on() {
    let page = Secure::new(&[]);
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
    let wrong = ["--user", "me:wrong"];
    for _ in 0..5 {
        assert!(page.get("/", &wrong).ends_with("401"));
    }
    assert!(page.get("/", &wrong).ends_with("429"));
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
    // Guessed rightly in the end: too late.
    assert!(page.get("/", &["--user", "other:right"]).ends_with("429"));
}

#[test]
fn with_certificates_a_reader_needs_one_of_the_right_signer() {
    let page = Secure::with(&[], Settings { certificates: true, ..Settings::default() });
    page.shared.look();
    assert!(page.shared.seen().status.summary.contains("page-readers.crt: "), "nobody is let in by mistake");
    let [readers, others] = [Authority::new(), Authority::new()];
    fs::copy(readers.certificate(), page.path("etc/hoopy/page-readers.crt")).unwrap();
    page.shared.look();
    let own = readers.reader();
    let with = |reader: &[String; 2]| {
        page.get("/status.json", &["--cert", reader[0].as_str(), "--key", reader[1].as_str()])
    };
    assert!(with(&own).ends_with("200"));
    let foreign = with(&others.reader());
    assert!(foreign.ends_with("000") || foreign.contains("alert"), "{foreign}");
    let without = page.get("/status.json", &[]);
    assert!(!without.contains("\"host\"") && without.contains("certificate required"), "{without}");
    // Another signer counts for the next client.
    fs::copy(others.certificate(), page.path("etc/hoopy/page-readers.crt")).unwrap();
    page.shared.look();
    assert!(with(&others.reader()).ends_with("200"));
    assert!(!with(&own).contains("\"host\""));
}

#[test]
fn a_password_that_is_exchanged_counts_at_once() {
    let page = Secure::new(&[]);
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
    let hash = Command::new("openssl").args(["passwd", "-6", "other"]).output().unwrap();
    fs::write(page.path("etc/hoopy/page.password"), hash.stdout).unwrap();
    assert!(page.get("/status.json", &RIGHT).ends_with("401"));
    assert!(page.get("/status.json", &["--user", "me:other"]).ends_with("200"));
    fs::remove_file(page.path("etc/hoopy/page.password")).unwrap();
    assert!(page.get("/status.json", &["--user", "me:other"]).ends_with("401"));
    page.shared.look();
    assert!(page.shared.seen().status.summary.contains("no password that it can use"));
}

#[test]
fn a_certificate_is_exchanged_without_a_restart() {
    let page = Secure::new(&[]);
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
    page.authority.issue(page.dir.path(), "DNS:elsewhere.home.arpa", "2");
    page.shared.look();
    assert!(page.get("/status.json", &RIGHT).contains("no alternative certificate subject name matches"));
    page.authority.issue(page.dir.path(), "DNS:nas.home.arpa", "3");
    page.shared.look();
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_and_the_last_one_stays() {
    let page = Secure::new(&[]);
    let others = Authority::new();
    let foreign = tempfile::tempdir().unwrap();
    others.issue(foreign.path(), "DNS:nas.home.arpa", "1");
    fs::copy(foreign.path().join("etc/hoopy/page.key"), page.path("etc/hoopy/page.key")).unwrap();
    page.shared.look();
    let summary = page.shared.seen().status.summary.clone();
    assert!(summary.contains("The page has no certificate that it can use"), "{summary}");
    assert!(summary.contains("page.key: expected the key of page.crt, found that of another"), "{summary}");
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
    fs::remove_file(page.path("etc/hoopy/page.crt")).unwrap();
    page.shared.look();
    let summary = page.shared.seen().status.summary.clone();
    assert!(summary.contains("page.crt: ") && summary.contains("root/etc/hoopy/page.crt"), "{summary}");
}

#[test]
fn a_certificate_that_expires_soon_or_is_of_the_first_version_is_told() {
    let page = Secure::new(&[]);
    let etc = page.path("etc/hoopy");
    let openssl = |args: &str| {
        let mut openssl = Command::new("openssl");
        let out = openssl.args(args.split(' ')).current_dir(&etc).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        page.shared.look();
        page.shared.seen().status.summary.clone()
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=nas -keyout page.key";
    assert!(!openssl(&format!("req -x509 {key} -days 15 -out page.crt")).contains("certificate"));
    let told = openssl(&format!("req -x509 {key} -days 10 -out page.crt"));
    let soon = |days| told.contains(&format!("The page's certificate expires in {days} days: put a new one"));
    assert!(soon(9) || soon(10), "{told}");
    openssl(&format!("req {key} -out page.csr"));
    let told = openssl("x509 -req -in page.csr -signkey page.key -days 90 -out page.crt");
    assert!(told.contains("expected a certificate of version 3, found version 1"), "{told}");
    fs::write(etc.join("page.crt"), "").unwrap();
    page.shared.look();
    let told = page.shared.seen().status.summary.clone();
    assert!(told.contains("page.crt: expected a certificate as PEM, found none"), "{told}");
}

#[test]
fn nothing_older_than_tls_1_3_is_spoken() {
    let page = Secure::new(&[]);
    let old = page.get("/", &["--tls-max", "1.2"]);
    assert!(old.contains("alert") && old.contains("\n000"), "{old}");
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", page.port)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: nas\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.len() < 16 && !answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn clients_that_do_not_finish_their_handshake_keep_nobody_out() {
    let page = Secure::new(&[]);
    let silent: Vec<_> = (0..100)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(("127.0.0.1", page.port)).unwrap();
            let _ = client.write_all(b"\x16\x03\x01\x02\x00\x01");
            client
        })
        .collect();
    let begun = Instant::now();
    assert!(page.get("/status.json", &RIGHT).ends_with("200"));
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(silent);
}

/// In a network of its own, whose interfaces nobody minds.
#[test]
fn an_interface_that_appears_later_is_listened_on_and_so_is_the_next_of_its_name() {
    let mut own = Command::new("unshare");
    own.args(["--user", "--map-root-user", "--net"]).arg(std::env::current_exe().unwrap());
    let out = own.args(["--ignored", "--exact", "page::tls::in_a_network_of_its_own"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the test above starts it, in a network of its own"]
fn in_a_network_of_its_own() {
    let ip =
        |args: &str| assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "{args}");
    let dir = Page::machine(&[]);
    // Beside the loopback on the same port, in either order.
    let listen = ["http://vpn0:8080", "127.0.0.1:8080", "[::]:8081", "vpn0:8081"];
    let listen = listen.map(|text| text.parse().unwrap()).to_vec();
    let settings = Settings { listen, ..Settings::default() };
    let collector = Collector::new(dir.path(), settings.clone());
    let unheard = collector.unheard();
    let endpoints = hoopyd::serve::listen(&settings.listen, &collector.certificate(), &collector.unheard());
    let site = MachineSite::new(dir.path(), &settings, Shared::new(collector));
    thread::spawn(move || server::serve(endpoints, &site));
    ip("link set lo up");
    for address in ["10.9.9.1", "10.9.9.2"] {
        // What this machine sends to itself comes in by `lo`, which is not listened on: a far one has to ask.
        let mut far = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
        let there = far.id().to_string();
        let elsewhere = || fs::read_link(format!("/proc/{there}/ns/net")).unwrap();
        while elsewhere() == fs::read_link("/proc/self/ns/net").unwrap() {
            thread::sleep(Duration::from_millis(20));
        }
        let in_far = |args: &[&str]| {
            let mut enter = Command::new("nsenter");
            enter.args(["--net", "--target", &there]).args(args).output().unwrap()
        };
        ip(&format!("link add vpn0 type veth peer name far0 netns {there}"));
        ip(&format!("addr add {address}/24 dev vpn0"));
        ip("link set vpn0 up");
        for args in ["ip addr add 10.9.9.9/24 dev far0", "ip link set far0 up"] {
            assert!(in_far(&args.split(' ').collect::<Vec<_>>()).status.success(), "{args}");
        }
        let url = format!("http://{address}:8080/status.txt");
        let until = Instant::now() + Duration::from_secs(15);
        loop {
            let out = in_far(&["curl", "--silent", "--max-time", "2", &url]);
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            if said.contains("All is well") {
                break;
            }
            assert!(Instant::now() < until, "{address}: {said}");
            thread::sleep(Duration::from_millis(200));
        }
        let out = in_far(&["curl", "--silent", "--max-time", "2", &url.replace("8080", "8081")]);
        assert!(String::from_utf8_lossy(&out.stdout).contains("All is well"), "{out:?}");
        // The loopback is listened on where that was asked for, and nowhere else.
        assert!(std::net::TcpStream::connect("127.0.0.1:8080").is_ok());
        assert!(std::net::TcpStream::connect("127.0.0.1:8081").is_err());
        assert_eq!(unheard.all(), std::collections::BTreeMap::new());
        ip("link del vpn0");
        far.kill().unwrap();
        far.wait().unwrap();
    }
}
