//! `Image=`: a registry, a name, and a tag or a digest. A tag can name another image tomorrow: the lock has the digest of the one
//! that it named when the lock was made.

use hoopy_lock::LockedImage;

const DIGEST: &str = "@sha256:";

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Its registry.
    pub registry: String,
    /// Its name there.
    pub repository: String,
    /// Its tag, where the file has one.
    pub tag: Option<String>,
    /// Its digest, in hexadecimal.
    pub digest: Option<String>,
}

/// By its digest alone, where that is known: podman goes by it.
impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.digest {
            Some(digest) => write!(f, "{}/{}{DIGEST}{digest}", self.registry, self.repository),
            None => f.write_str(&self.reference()),
        }
    }
}

impl Image {
    /// Its name with the tag, if there is one: what the lock calls it.
    pub fn reference(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        format!("{}/{}{tag}", self.registry, self.repository)
    }

    /// Takes the digest that the lock has for its tag, unless the file itself has one; whether there is one then.
    pub fn pin(&mut self, locked: &[LockedImage]) -> bool {
        if self.digest.is_none() {
            let name = self.reference();
            self.digest =
                locked.iter().find(|image| image.name == name).map(|image| image.sha256.to_string());
        }
        self.digest.is_some()
    }

    /// Reads `registry/name:tag`, `registry/name@sha256:digest`, or both.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((transport, _)) = text.split_once(":/").or_else(|| text.split_once("://")) {
            return Err(format!(
                "expected NAME:TAG or NAME@sha256:DIGEST, found an archive or transport, {transport}: name the image, and \
                 the archive as Archive= in [X-Hoopy]"
            ));
        }
        let (name, digest) =
            text.split_once(DIGEST).map_or((text, None), |(name, digest)| (name, Some(digest)));
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if let Some(digest) = digest.filter(|digest| digest.len() != 64 || !digest.bytes().all(is_hex)) {
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
        let (path, tag) = path.split_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        if tag.is_none() && digest.is_none() {
            return Err(format!("expected a tag or a digest behind the name, as {name}:1, found {text:?}"));
        }
        let is_part = |part: &str| {
            let edge = |byte: Option<u8>| {
                byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            };
            let inner =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
            edge(part.bytes().next()) && edge(part.bytes().last()) && part.bytes().all(inner)
        };
        let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins_tag = |tag: &str| !tag.is_empty() && !tag.starts_with(['.', '-']);
        if !is_host_and_port(registry)
            || !path.split('/').all(is_part)
            || tag.is_some_and(|tag| !begins_tag(tag) || tag.len() > 128 || !tag.bytes().all(is_tag))
            || name.len() > 255
        {
            return Err(format!("expected the name of an image, as docker.io/library/caddy, found {name:?}"));
        }
        let (tag, digest) = (tag.map(str::to_owned), digest.map(str::to_owned));
        Ok(Self { registry: registry.to_owned(), repository: path.to_owned(), tag, digest })
    }
}

/// Whether it is a host, with a port or without.
fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|number| number > 0)
    };
    host.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && port.is_none_or(is_port)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::digest::ContentId;

    use super::*;

    #[test]
    fn an_image_is_named_by_its_tag_or_its_digest() {
        let hex = "0123456789abcdef".repeat(4);
        for (text, name) in [
            ("docker.io/library/caddy", "docker.io/library/caddy"),
            ("docker.io/library/caddy:2.8", "docker.io/library/caddy"),
            ("localhost/demo", "localhost/demo"),
            ("registry.example.org:5000/a/b_c", "registry.example.org:5000/a/b_c"),
        ] {
            let image = Image::parse(&format!("{text}@sha256:{hex}")).unwrap();
            assert_eq!(image.to_string(), format!("{name}@sha256:{hex}"));
        }
        for (text, found) in [
            ("docker.io/library/caddy".to_owned(), "expected a tag or a digest behind the name"),
            ("docker.io/library/caddy:-a".to_owned(), "expected the name of an image"),
            ("docker.io/library/caddy:..".to_owned(), "expected the name of an image"),
            ("docker.io/library/caddy:".to_owned(), "expected the name of an image"),
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
            ("localhost:65536/x:1".to_owned(), "expected the name of an image"),
            ("localhost:0/x:1".to_owned(), "expected the name of an image"),
            ("localhost:+80/x:1".to_owned(), "expected the name of an image"),
            ("localhost:/x:1".to_owned(), "Archive= in [X-Hoopy]"),
            ("localhost:80:80/x:1".to_owned(), "expected the name of an image"),
        ] {
            let error = Image::parse(&text).unwrap_err();
            assert!(error.contains(found), "{text}: {error}");
        }
    }

    #[test]
    fn a_tag_is_pinned_by_the_lock_unless_the_file_has_a_digest() {
        let locked = [LockedImage { name: "docker.io/x:1".to_owned(), sha256: ContentId::of(b"x") }];
        let pinned = |text: &str| {
            let mut image = Image::parse(text).unwrap();
            (image.pin(&locked), image.to_string())
        };
        assert_eq!(pinned("docker.io/x:1"), (true, format!("docker.io/x@sha256:{}", ContentId::of(b"x"))));
        assert_eq!(pinned("docker.io/x:2"), (false, "docker.io/x:2".to_owned()));
        let own = format!("docker.io/x@sha256:{}", "0".repeat(64));
        assert_eq!(pinned(&own), (true, own.clone()));
    }
}
