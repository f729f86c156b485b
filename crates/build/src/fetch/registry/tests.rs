#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use crate::fetch::Limits;

const MANIFEST: &str =
    r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json"}]}"#;

/// What a list of images is sent as.
const KIND: &str = "application/vnd.oci.image.index.v1+json";

/// A registry that answers so: status, headers and body by the request's path and whether it has the token.
fn registry(answer: impl Fn(&str, bool, &str) -> (u16, String, &'static str) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let own = host.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let has_token = rest.iter().any(|line| line.eq_ignore_ascii_case("authorization: bearer t0ken"));
            let (status, headers, body) =
                answer(first.split(' ').nth(1).unwrap_or_default(), has_token, &own);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    host
}

fn client() -> Client {
    Client::new(Limits { waits: [Duration::ZERO; 3], ..Limits::default() })
}

fn kind() -> String {
    format!("Content-Type: {KIND}\r\n")
}

fn ask(host: &str, tag: &str) -> Result<ContentId, String> {
    digest(&client(), &TaggedImage { registry: host, repository: "library/x", tag })
        .map_err(|e| e.to_string())
}

#[test]
fn a_tag_is_asked_for_with_the_token_that_the_registry_wants() {
    let host = registry(|path, has_token, own| match path {
        // Both names, as Docker's.
        "/token?service=a%20b&scope=repository%3Alibrary%2Fx%3Apull" => {
            (200, String::new(), "{\"token\":\"t0ken\",\"access_token\":\"t0ken\",\"expires_in\":300}")
        }
        "/v2/library/x/manifests/1" if has_token => (200, kind(), MANIFEST),
        "/v2/library/x/manifests/1" => {
            let bearer = format!("Bearer Realm=\"http://{own}/token\", service = \"a b\"");
            (401, format!("WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: {bearer}\r\n"), "")
        }
        _ => (404, String::new(), ""),
    });
    assert_eq!(ask(&host, "1"), Ok(ContentId::of(MANIFEST.as_bytes())));
    assert_eq!(ask(&host, "2"), Err(format!("{host}/library/x:2: the registry has no such image")));
}

#[test]
fn what_is_no_manifest_is_no_image() {
    let host = registry(|path, _, _| match path.rsplit('/').next().unwrap_or_default() {
        "page" => (200, "Content-Type: text/html\r\n".to_owned(), "<html>Room number?</html>"),
        "part" => (200, kind(), "{\"schemaVersion\":2,"),
        "old" => (200, kind(), "{\"schemaVersion\":1}"),
        "other" => (200, kind() + "Docker-Content-Digest: sha256:00\r\n", MANIFEST),
        "busy" => (503, String::new(), ""),
        _ => (200, kind().replace("json", "json; charset=utf-8"), MANIFEST),
    });
    assert!(ask(&host, "good").is_ok());
    for (tag, found) in [
        ("page", "expected the manifest of an image, found \"text/html\""),
        ("part", "something else, or only part of one"),
        ("old", "something else, or only part of one"),
        ("other", "expected the manifest sha256:00, found sha256:"),
        ("busy", "HTTP status 503"),
    ] {
        let error = ask(&host, tag).unwrap_err();
        assert!(error.contains(found), "{tag}: {error}");
    }
}

#[test]
fn only_what_may_pass_is_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let host = registry(move |path, _, own| {
        count.fetch_add(1, Ordering::SeqCst);
        match path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default() {
            "503" => (503, String::new(), ""),
            "429" => (429, String::new(), ""),
            "400" => (400, String::new(), ""),
            "page" => (200, "Content-Type: text/html\r\n".to_owned(), "<html>Room number?</html>"),
            "part" => (200, kind(), "{"),
            "chart" => (200, kind(), "{\"schemaVersion\":2,\"manifests\":[]}"),
            _ => (401, format!("WWW-Authenticate: Bearer realm=\"http://{own}/page\"\r\n"), ""),
        }
    });
    let waits = [Duration::from_millis(1); 3];
    let client = Client::new(Limits { waits, ..Limits::default() });
    for (tag, expected, found) in [
        ("503", 4, "HTTP status 503"),
        ("429", 4, "HTTP status 429"),
        ("400", 1, "HTTP status 400"),
        ("page", 1, "found \"text/html\""),
        ("part", 1, "only part of one"),
        ("chart", 1, "found an empty one"),
        // Once for the image, once for the token
        ("closed", 2, "expected a token to ask with, found none"),
    ] {
        asked.store(0, Ordering::SeqCst);
        let image = TaggedImage { registry: &host, repository: "library/x", tag };
        let error = digest(&client, &image).unwrap_err().to_string();
        assert!(error.contains(found), "{tag}: {error}");
        assert_eq!(asked.load(Ordering::SeqCst), expected, "{tag}: {error}");
    }
}

#[test]
fn tokens_come_over_https_alone() {
    let image = TaggedImage { registry: "r.example", repository: "x", tag: "1" };
    for realm in [
        "http://r.example/token",
        "file:///etc/passwd",
        "http://127.0.0.1.example/x",
        "http://localhost:x@127.0.0.9/token",
        "http://localhost@127.0.0.9/token",
        "",
    ] {
        let challenge = Challenge { realm: realm.to_owned(), service: String::new(), scope: None };
        let error = token(&client(), &image, &challenge).unwrap_err().to_string();
        assert!(error.contains("expected an https: address"), "{error}");
    }
}

#[test]
fn images_of_docker_are_asked_for_at_its_registry() {
    let at = |registry, repository| TaggedImage { registry, repository, tag: "1" }.address();
    assert_eq!(at("docker.io", "library/x"), "https://registry-1.docker.io/v2/library/x/manifests/1");
    assert_eq!(at("docker.io", "x"), at("docker.io", "library/x"));
    assert_eq!(at("localhost:5000", "library/x"), "http://localhost:5000/v2/library/x/manifests/1");
    assert_eq!(at("ghcr.io", "x"), "https://ghcr.io/v2/x/manifests/1");
}
