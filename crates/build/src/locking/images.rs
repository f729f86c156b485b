//! Images of declared containers: the digest of each that is named by a tag.

use std::path::{Path, PathBuf};

use hoopy_base::digest::ContentId;
use hoopy_lock::LockedImage;

use crate::fetch::registry::{self, TaggedImage};
use crate::fetch::{Client, FetchError};
use crate::quadlet::{self, Image};

/// Asks for the digests of the images that the system directory `dir` names by a tag. Those in `kept` stay.
///
/// # Errors
/// [`FetchError`].
pub(super) fn lock(
    dir: &Path,
    kept: &[LockedImage],
    client: &Client,
) -> Result<Vec<LockedImage>, FetchError> {
    let lock = |image: Image| {
        let name = image.reference();
        if let Some(kept) = kept.iter().find(|kept| kept.name == name) {
            return Ok(kept.clone());
        }
        Ok(LockedImage { sha256: ask(&image, client)?, name })
    };
    quadlet::tagged(dir).into_iter().map(lock).collect()
}

fn ask(image: &Image, client: &Client) -> Result<ContentId, FetchError> {
    let Image { registry, repository, tag, .. } = image;
    let tag = tag.as_deref().unwrap_or("latest");
    registry::digest(client, &TaggedImage { registry, repository, tag })
}

/// An image that a file names by tag and digest, where the tag names another by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// The file, from the system directory.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// Registry, name and tag.
    pub name: String,
    /// The digest of what it names now.
    pub sha256: ContentId,
}

/// The images of the system directory `dir` that files name by tag and digest, and of which there are others by now; with
/// what could not be asked.
pub fn newer(dir: &Path, client: &Client) -> (Vec<Newer>, Vec<FetchError>) {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let both = |image: &Image| image.tag.is_some() && image.digest.is_some();
    for quadlet::Declared { file, line, image } in
        quadlet::declared(dir).into_iter().filter(|d| both(&d.image))
    {
        match ask(&image, client) {
            Ok(sha256) if image.digest.as_deref() == Some(&*sha256.to_string()) => {}
            Ok(sha256) => found.push(Newer { file, line, name: image.reference(), sha256 }),
            Err(error) => failed.push(error),
        }
    }
    (found, failed)
}
