//! What a registry answers with: the manifest of an image that podman can run, and nothing else that registries keep.

use hoopy_base::digest::ContentId;
use serde::Deserialize;

/// Lists of images for several architectures.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// One image.
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// What an image is configured by. Charts of Helm, signatures and other artifacts have something else there.
const CONFIGURATIONS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// The kinds of manifest that podman takes, lists first: the header `Accept`.
pub fn accepted() -> String {
    [INDEXES, IMAGES].concat().join(", ")
}

/// Why an answer names no image.
#[derive(Debug, PartialEq, Eq)]
pub enum NoImage {
    /// It is no manifest: a page that asks for a login at a hotel has the status 200, too.
    Other(String),
    /// It is one, of something that cannot be run.
    Unfit(String),
}

/// As much of a manifest as is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    config: Option<Part>,
    manifests: Option<Vec<Part>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    media_type: String,
}

/// The digest of the manifest `body` that was sent as `kind`; `expected` is what the registry says that its digest is.
///
/// # Errors
/// [`NoImage`].
pub fn digest(kind: &str, expected: Option<&str>, body: &[u8]) -> Result<ContentId, NoImage> {
    let plain = kind.split(';').next().unwrap_or_default().trim();
    if !INDEXES.contains(&plain) && !IMAGES.contains(&plain) {
        return Err(NoImage::Other(format!("expected the manifest of an image, found {kind:?}")));
    }
    let manifest = serde_json::from_slice::<Manifest>(body).ok().filter(|read| read.schema_version == 2);
    let Some(manifest) = manifest else {
        let found = "expected the manifest of an image, found something else, or only part of one";
        return Err(NoImage::Other(found.to_owned()));
    };
    let found = ContentId::of(body);
    if let Some(told) = expected
        && told.starts_with("sha256:")
        && told != format!("sha256:{found}")
    {
        return Err(NoImage::Other(format!("expected the manifest {told}, found sha256:{found}")));
    }
    if INDEXES.contains(&plain) { list(&manifest) } else { image(&manifest) }.map(|()| found)
}

fn list(manifest: &Manifest) -> Result<(), NoImage> {
    let listed = manifest.manifests.as_deref().unwrap_or_default();
    if listed.iter().any(|part| IMAGES.contains(&&*part.media_type)) {
        return Ok(());
    }
    let found = match listed.first() {
        None => "an empty one".to_owned(),
        Some(part) => format!("one with {:?}", part.media_type),
    };
    Err(NoImage::Unfit(format!("expected a list of images for architectures, found {found}")))
}

fn image(manifest: &Manifest) -> Result<(), NoImage> {
    let found = manifest.config.as_ref().map(|part| &*part.media_type).unwrap_or_default();
    if CONFIGURATIONS.contains(&found) {
        return Ok(());
    }
    Err(NoImage::Unfit(format!("expected the image of a container, found another artifact ({found:?})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_podman_could_not_run_is_no_image() {
        let unfit = |kind: &str, body: &str| match digest(kind, None, body.as_bytes()) {
            Err(NoImage::Unfit(why)) => why,
            other => panic!("{body}: {other:?}"),
        };
        let helm = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"}}"#;
        assert!(
            unfit(IMAGES[0], helm)
                .contains("another artifact (\"application/vnd.cncf.helm.config.v1+json\")")
        );
        assert!(unfit(IMAGES[1], r#"{"schemaVersion":2}"#).contains("another artifact (\"\")"));
        for empty in [r#"{"schemaVersion":2}"#, r#"{"schemaVersion":2,"manifests":[]}"#] {
            assert!(unfit(INDEXES[0], empty).ends_with("found an empty one"));
        }
        let nested = format!(r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}"}}]}}"#, INDEXES[0]);
        assert!(unfit(INDEXES[1], &nested).contains("found one with"));
        let plain = format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"{}"}}}}"#, CONFIGURATIONS[1]);
        assert_eq!(digest(IMAGES[1], None, plain.as_bytes()), Ok(ContentId::of(plain.as_bytes())));
    }
}
