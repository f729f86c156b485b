//! Asking a registry of container images which one a tag names now.
//!
//! Source: the OCI Distribution Specification 1.1, "Pulling manifests", and for the token Docker's "Token Authentication
//! Specification" (distribution.github.io/distribution/spec/auth/token).

use std::io::Read as _;

use hoopy_base::digest::ContentId;
use serde::Deserialize;

use super::source::Client;
use super::{FetchError, source};

/// Longest manifest: the specification asks registries to take at least 4 MiB, and has them refuse longer ones.
const MAX_MANIFEST: u64 = 4 << 20;

/// Longest answer with a token.
const MAX_TOKEN: u64 = 64 << 10;

/// The kinds of manifest that podman takes, lists for several architectures first.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// An image as its registry knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaggedImage<'a> {
    /// The registry's host, with a port where it has one.
    pub registry: &'a str,
    /// The name there.
    pub repository: &'a str,
    /// The tag.
    pub tag: &'a str,
}

impl TaggedImage<'_> {
    fn address(&self) -> String {
        // Docker's registry is not at the host that its images are named by.
        let host = if self.registry == "docker.io" { "registry-1.docker.io" } else { self.registry };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}/manifests/{}", self.repository, self.tag)
    }

    fn name(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag)
    }

    fn refused(&self, reason: String) -> FetchError {
        FetchError::Image { image: self.name(), reason }
    }
}

/// Whether it is this computer, whose registry has no certificate: container tools take it without one too.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "127.0.0.1"
}

/// An answer, whatever its status.
struct Answer {
    status: u16,
    /// What the registry asks for before it answers.
    challenge: Option<String>,
    body: Vec<u8>,
}

/// The digest of the image that this tag names now: of the list for all architectures, where there is one.
///
/// # Errors
/// [`FetchError`].
pub fn digest(client: &Client, image: &TaggedImage<'_>) -> Result<ContentId, FetchError> {
    client.retry(|| digest_once(client, image)).map_err(|error| match error {
        refused @ FetchError::Image { .. } => refused,
        source => FetchError::Registry { image: image.name(), source: Box::new(source) },
    })
}

fn digest_once(client: &Client, image: &TaggedImage<'_>) -> Result<ContentId, FetchError> {
    let address = image.address();
    let mut answer = get(client, &address, None, MAX_MANIFEST)?;
    if answer.status == 401
        && let Some(challenge) = answer.challenge.as_deref().and_then(Challenge::parse)
    {
        let token = token(client, image, &challenge)?;
        answer = get(client, &address, Some(&token), MAX_MANIFEST)?;
    }
    match answer.status {
        200 => Ok(ContentId::of(&answer.body)),
        404 => Err(image.refused("the registry has no such image".to_owned())),
        401 | 403 => Err(image
            .refused("the registry gives it to nobody without a password, or has no such image".to_owned())),
        429 => Err(image.refused(
            "the registry has had too many questions from here (HTTP status 429): try again later".to_owned(),
        )),
        status => Err(image.refused(format!("the registry answered HTTP status {status}"))),
    }
}

/// A token for somebody without a password.
fn token(client: &Client, image: &TaggedImage<'_>, challenge: &Challenge) -> Result<String, FetchError> {
    #[derive(Deserialize)]
    struct Token {
        #[serde(alias = "access_token")]
        token: String,
    }
    let host = challenge.realm.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let is_own = challenge.realm.starts_with("http://") && is_loopback(host);
    if !is_own && !challenge.realm.starts_with("https://") {
        let reason = format!("expected an https: address that gives tokens, found {:?}", challenge.realm);
        return Err(image.refused(reason));
    }
    let between = if challenge.realm.contains('?') { '&' } else { '?' };
    let address = format!(
        "{}{between}service={}&scope=repository:{}:pull",
        challenge.realm,
        encoded(&challenge.service),
        image.repository
    );
    let answer = get(client, &address, None, MAX_TOKEN)?;
    let token = serde_json::from_slice::<Token>(&answer.body).ok().filter(|_| answer.status == 200);
    // It becomes a header.
    let token = token.filter(|token| token.token.bytes().all(|byte| byte.is_ascii_graphic()));
    token.map(|token| token.token).ok_or_else(|| {
        image.refused(format!("{host} gave no token to ask with (HTTP status {})", answer.status))
    })
}

/// What is in an address, and stands for nothing else there.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Where tokens come from: `Bearer realm="https://...",service="..."`.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: String,
}

impl Challenge {
    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let value = |key: &str| {
            let from = rest.split(',').find_map(|part| part.trim().strip_prefix(key)?.strip_prefix("=\""))?;
            from.strip_suffix('"').map(str::to_owned)
        };
        Some(Self { realm: value("realm")?, service: value("service").unwrap_or_default() })
    }
}

fn get(client: &Client, address: &str, token: Option<&str>, limit: u64) -> Result<Answer, FetchError> {
    let response = client.call(address, |request| {
        // What a 401 asks for is in its headers.
        let request = request.config().http_status_as_error(false).build().header("Accept", ACCEPT);
        match token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    })?;
    let mut response = match response {
        Ok(response) => response,
        Err(status) => return Ok(Answer { status, challenge: None, body: Vec::new() }),
    };
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, challenge) = (response.status().as_u16(), header("WWW-Authenticate"));
    let mut body = Vec::new();
    let reader = source::Paced::new(response.body_mut().as_reader(), client.limits().body);
    reader.take(limit + 1).read_to_end(&mut body).map_err(|e| FetchError::broken(address, &e))?;
    if body.len() as u64 > limit {
        return Err(FetchError::TooLarge { place: address.to_owned(), limit });
    }
    Ok(Answer { status, challenge, body })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A registry that has `library/x:1` for those with its token, and answers so many questions.
    fn registry(questions: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let own = host.clone();
        thread::spawn(move || {
            for stream in listener.incoming().take(questions) {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let first = lines.next().unwrap();
                let rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let has_token =
                    rest.iter().any(|line| line.eq_ignore_ascii_case("authorization: bearer t0ken"));
                let challenge =
                    format!("WWW-Authenticate: Bearer realm=\"http://{own}/token\",service=\"a b\"\r\n");
                let (status, more, body) = match first.split(' ').nth(1).unwrap() {
                    "/token?service=a%20b&scope=repository:library/x:pull" => {
                        (200, "", "{\"token\":\"t0ken\"}")
                    }
                    "/v2/library/x/manifests/1" if has_token => (200, "", "{}"),
                    "/v2/library/x/manifests/1" => (401, challenge.as_str(), ""),
                    _ => (404, "", ""),
                };
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        host
    }

    #[test]
    fn a_tag_is_asked_for_with_the_token_that_the_registry_wants() {
        let host = registry(4);
        let client = Client::default();
        let image = |tag| TaggedImage { registry: &host, repository: "library/x", tag };
        assert_eq!(digest(&client, &image("1")).unwrap(), ContentId::of(b"{}"));
        let error = digest(&client, &image("2")).unwrap_err().to_string();
        assert_eq!(error, format!("{host}/library/x:2: the registry has no such image"));
    }

    #[test]
    fn tokens_come_over_https_alone() {
        let image = TaggedImage { registry: "r.example", repository: "x", tag: "1" };
        for realm in ["http://r.example/token", "file:///etc/passwd", "http://127.0.0.1.example/x", ""] {
            let challenge = Challenge { realm: realm.to_owned(), service: String::new() };
            let error = token(&Client::default(), &image, &challenge).unwrap_err().to_string();
            assert!(error.contains("expected an https: address"), "{error}");
        }
    }

    #[test]
    fn a_challenge_names_where_tokens_come_from() {
        let docker =
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"a:b:c\"";
        let found = Challenge::parse(docker).unwrap();
        assert_eq!((&*found.realm, &*found.service), ("https://auth.docker.io/token", "registry.docker.io"));
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
        assert_eq!(Challenge::parse("Bearer service=\"x\""), None);
    }

    #[test]
    fn images_of_docker_are_asked_for_at_its_registry() {
        let at = |registry| TaggedImage { registry, repository: "library/x", tag: "1" }.address();
        assert_eq!(at("docker.io"), "https://registry-1.docker.io/v2/library/x/manifests/1");
        assert_eq!(at("localhost:5000"), "http://localhost:5000/v2/library/x/manifests/1");
        assert_eq!(at("ghcr.io"), "https://ghcr.io/v2/library/x/manifests/1");
    }
}
