//! Asking a registry of container images which one a tag names now.
//!
//! Source: the OCI Distribution Specification 1.1, "Pulling manifests", and for the token Docker's "Token Authentication
//! Specification" (distribution.github.io/distribution/spec/auth/token).

mod challenge;
mod manifest;

use std::io::Read as _;

use hoopy_base::digest::ContentId;
use serde::Deserialize;

use self::challenge::Challenge;
use self::manifest::NoImage;
use super::source::Client;
use super::{FetchError, source};

/// Longest manifest: the specification asks registries to take at least 4 MiB, and has them refuse longer ones.
const MAX_MANIFEST: u64 = 4 << 20;

/// How images of Docker's registry are named.
const DOCKER: &str = "docker.io";

/// Longest answer with a token.
const MAX_TOKEN: u64 = 64 << 10;

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
        let scheme = if is_loopback(host_of(self.registry)) { "http" } else { "https" };
        // Docker's registry is not at the host that its images are named by.
        let host = if self.registry == DOCKER { "registry-1.docker.io" } else { self.registry };
        format!("{scheme}://{host}/v2/{}/manifests/{}", self.repository(), self.tag)
    }

    /// As podman has it: a name without a directory is one of Docker's own.
    fn repository(&self) -> String {
        let is_own = self.registry == DOCKER && !self.repository.contains('/');
        format!("{}{}", if is_own { "library/" } else { "" }, self.repository)
    }

    fn name(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag)
    }

    fn refused(&self, reason: String) -> FetchError {
        FetchError::Image { image: self.name(), reason }
    }
}

/// The name of a host without its port.
fn host_of(registry: &str) -> &str {
    registry.rsplit_once(':').map_or(registry, |(host, _)| host)
}

/// Whether it is this computer, whose registry has no certificate: container tools take it without one too.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "127.0.0.1"
}

/// An answer, whatever its status.
struct Answer {
    status: u16,
    /// What the registry asks for before it answers.
    challenge: Option<Challenge>,
    kind: String,
    /// What it says that the body's digest is.
    digest: Option<String>,
    body: Vec<u8>,
}

/// The digest of the image that this tag names now: of the list for all architectures, where there is one.
///
/// # Errors
/// [`FetchError::Image`] where there is no such image, [`FetchError::Registry`] where that could not be asked.
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
        && let Some(challenge) = answer.challenge.take()
    {
        let token = token(client, image, &challenge)?;
        answer = get(client, &address, Some(&token), MAX_MANIFEST)?;
    }
    match answer.status {
        200 => {
            manifest::digest(&answer.kind, answer.digest.as_deref(), &answer.body).map_err(|no| match no {
                NoImage::Other(reason) => FetchError::Answer { place: address, reason },
                NoImage::Unfit(reason) => image.refused(reason),
            })
        }
        404 => Err(image.refused("the registry has no such image".to_owned())),
        401 | 403 => {
            Err(image.refused("the registry has no such image, or wants a password for it".to_owned()))
        }
        status => Err(of_status(&address, status)),
    }
}

/// An answer without what was asked for. What is too busy, or broken for now, is asked again.
fn of_status(address: &str, status: u16) -> FetchError {
    let (place, reason) = (address.to_owned(), format!("HTTP status {status}"));
    match status {
        408 | 425 | 429 | 500.. => FetchError::Unreachable { place, reason },
        _ => FetchError::Answer { place, reason },
    }
}

/// A token that is given without a password.
fn token(client: &Client, image: &TaggedImage<'_>, challenge: &Challenge) -> Result<String, FetchError> {
    /// Either name has it; Docker's registry gives both.
    #[derive(Deserialize)]
    struct Token {
        token: Option<String>,
        access_token: Option<String>,
    }
    let realm = challenge.realm.parse::<ureq::http::Uri>().ok();
    let host = realm.as_ref().and_then(|realm| realm.host()).unwrap_or_default();
    let is_safe = match realm.as_ref().and_then(|realm| realm.scheme_str()) {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback(host),
        _ => false,
    };
    if !is_safe {
        let reason = format!("expected an https: address that gives tokens, found {:?}", challenge.realm);
        return Err(image.refused(reason));
    }
    let between = if challenge.realm.contains('?') { '&' } else { '?' };
    let scope = challenge.scope.clone().unwrap_or_else(|| format!("repository:{}:pull", image.repository()));
    let address = format!(
        "{}{between}service={}&scope={}",
        challenge.realm,
        encoded(&challenge.service),
        encoded(&scope)
    );
    let answer = get(client, &address, None, MAX_TOKEN)?;
    if answer.status != 200 {
        return Err(of_status(&challenge.realm, answer.status));
    }
    let token = serde_json::from_slice::<Token>(&answer.body).ok();
    let token = token.and_then(|token| token.token.or(token.access_token));
    // It becomes a header.
    let token = token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    token.ok_or_else(|| FetchError::Answer {
        place: challenge.realm.clone(),
        reason: "expected a token to ask with, found none".to_owned(),
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

fn get(client: &Client, address: &str, token: Option<&str>, limit: u64) -> Result<Answer, FetchError> {
    let response = client.call(address, |request| {
        // What a 401 asks for is in its headers.
        let config = request.config().http_status_as_error(false);
        let request =
            config.https_only(address.starts_with("https:")).build().header("Accept", manifest::accepted());
        match token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    })?;
    let mut response = match response {
        Ok(response) => response,
        Err(status) => return Err(of_status(address, status)),
    };
    let all = |name| response.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
    let (status, challenge) =
        (response.status().as_u16(), all("WWW-Authenticate").find_map(Challenge::parse));
    let kind = all("Content-Type").next().unwrap_or_default().to_owned();
    let digest = all("Docker-Content-Digest").next().map(str::to_owned);
    let mut body = Vec::new();
    let reader = source::Paced::new(response.body_mut().as_reader(), client.limits().body);
    reader.take(limit + 1).read_to_end(&mut body).map_err(|e| FetchError::broken(address, &e))?;
    if body.len() as u64 > limit {
        return Err(FetchError::TooLarge { place: address.to_owned(), limit });
    }
    Ok(Answer { status, challenge, kind, digest, body })
}

#[cfg(test)]
mod tests;
