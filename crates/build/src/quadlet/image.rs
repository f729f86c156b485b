//! `Image=`: a registry, a name and a digest. Nothing else says which image runs: a tag is another one tomorrow.

const DIGEST: &str = "@sha256:";

/// The very image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its registry and name, without a tag.
    pub name: String,
    /// Its digest, in hexadecimal.
    pub digest: String,
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{DIGEST}{}", self.name, self.digest)
    }
}

impl Image {
    /// Reads `registry/name[:tag]@sha256:digest`. A tag beside a digest is for the reader: podman goes by the digest.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((transport, _)) = text.split_once(":/").or_else(|| text.split_once("://")) {
            return Err(format!(
                "expected NAME@sha256:DIGEST, found an archive or transport, {transport}: what is in it can be \
                 another image tomorrow. Name the image by its digest, and the archive as Archive= in [X-Hoopy]"
            ));
        }
        let Some((name, digest)) = text.split_once(DIGEST) else {
            return Err(format!(
                "expected NAME@sha256:DIGEST, found {text:?}: a tag is another image tomorrow"
            ));
        };
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digest.len() != 64 || !digest.bytes().all(is_hex) {
            return Err(format!("expected 64 hexadecimal digits after @sha256:, found {digest:?}"));
        }
        let (registry, path) = name.split_once('/').unwrap_or(("", name));
        let is_registry = registry == "localhost" || registry.contains(['.', ':']);
        if !is_registry {
            return Err(format!(
                "expected a registry before the name, as docker.io/library/{name}, found {name:?}: podman would ask which"
            ));
        }
        // A colon after the last slash is a tag's
        let (path, tag) = path.split_once(':').unwrap_or((path, "latest"));
        let is_part = |part: &str| {
            let edge = |byte: Option<u8>| {
                byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            };
            let inner =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
            edge(part.bytes().next()) && edge(part.bytes().last()) && part.bytes().all(inner)
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
        let begins = registry.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !begins
            || !registry.bytes().all(is_host)
            || !path.split('/').all(is_part)
            || !tag.bytes().all(is_tag)
            || name.len() > 255
        {
            return Err(format!("expected the name of an image, as docker.io/library/caddy, found {name:?}"));
        }
        Ok(Self { name: format!("{registry}/{path}"), digest: digest.to_owned() })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_digest_alone() {
        let hex = "0123456789abcdef".repeat(4);
        for (text, name) in [
            ("docker.io/library/caddy", "docker.io/library/caddy"),
            ("docker.io/library/caddy:2.8", "docker.io/library/caddy"),
            ("localhost/demo", "localhost/demo"),
            ("registry.example.org:5000/a/b_c", "registry.example.org:5000/a/b_c"),
        ] {
            let image = Image::parse(&format!("{text}@sha256:{hex}")).unwrap();
            assert_eq!((image.name.as_str(), image.to_string()), (name, format!("{name}@sha256:{hex}")));
        }
        for (text, found) in [
            ("docker.io/library/caddy:latest".to_owned(), "a tag is another image tomorrow"),
            ("oci-archive:/array/x.tar".to_owned(), "Archive= in [X-Hoopy]"),
            ("docker://docker.io/x".to_owned(), "Archive= in [X-Hoopy]"),
            (format!("caddy@sha256:{hex}"), "expected a registry"),
            (format!("library/caddy@sha256:{hex}"), "expected a registry"),
            ("docker.io/x@sha256:12".to_owned(), "64 hexadecimal digits"),
            (format!("-docker.io/x@sha256:{hex}"), "expected the name of an image"),
            (format!("docker.io/x y@sha256:{hex}"), "expected the name of an image"),
            (format!("docker.io/X@sha256:{hex}"), "expected the name of an image"),
            (format!("docker.io/x:$(id)@sha256:{hex}"), "expected the name of an image"),
            (format!("docker.io/../x@sha256:{hex}"), "expected the name of an image"),
        ] {
            let error = Image::parse(&text).unwrap_err();
            assert!(error.contains(found), "{text}: {error}");
        }
    }
}
