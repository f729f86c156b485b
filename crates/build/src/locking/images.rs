//! Images of declared containers: the digest of each that is named by a tag.

use std::path::{Path, PathBuf};

use hoopy_base::digest::ContentId;
use hoopy_base::jobs;
use hoopy_base::report::Event;
use hoopy_lock::LockedImage;

use super::pins::Keep;
use crate::context::Context;
use crate::fetch::registry::{self, TaggedImage};
use crate::fetch::{Client, DOWNLOADS, FetchError};
use crate::quadlet::{self, Declared, Image};

/// Asks for the digests of the images that the system directory `dir` names by a tag. One that was locked before keeps its
/// digest where its registry does not answer: it must not keep packages from being updated.
///
/// # Errors
/// [`FetchError`] for an image that was not locked before.
pub(super) fn lock(dir: &Path, keep: Keep<'_>, context: Context<'_>) -> Result<Vec<LockedImage>, FetchError> {
    let stays = |name: &String| keep.moving_images.is_some_and(|moving| !moving.contains(name));
    let lock = |image: &Image| {
        let name = image.reference();
        let before = keep.images.iter().find(|before| before.name == name);
        if let Some(before) = before.filter(|before| stays(&before.name)) {
            return Ok(before.clone());
        }
        match (ask(image, context.client), before) {
            (Ok(sha256), _) => Ok(LockedImage { sha256, name }),
            (Err(error), Some(before)) => {
                let warning = format!("the lock keeps the digest that it had: {error}");
                context.observer.event(Event::Warning(&warning));
                Ok(before.clone())
            }
            (Err(error), None) => Err(error),
        }
    };
    jobs::map_on(DOWNLOADS, &quadlet::tagged(dir), lock)
}

/// What is wrong with files of the system directory `dir` of which no image can be read, a sentence each. A build stops at the
/// first of them; a lock is made without.
pub fn unread(dir: &Path) -> Vec<String> {
    quadlet::unread(dir).iter().map(|file| format!("the lock has no image for {file}")).collect()
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
    let mut declared = quadlet::declared(dir);
    declared.retain(|declared| declared.image.tag.is_some() && declared.image.digest.is_some());
    let mut images: Vec<&Image> = declared.iter().map(|declared| &declared.image).collect();
    images.sort_by_key(|image| image.reference());
    images.dedup_by_key(|image| image.reference());
    let now = |image: &&Image| Ok::<_, std::convert::Infallible>((image.reference(), ask(image, client)));
    let Ok(now) = jobs::map_on(DOWNLOADS, &images, now);
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (name, sha256) in now {
        let of_name = declared.iter().filter(|declared| declared.image.reference() == name);
        match sha256 {
            Err(error) => failed.push(error),
            Ok(sha256) => found.extend(
                of_name.filter(|declared| declared.image.digest != Some(sha256.to_string())).map(
                    |Declared { file, line, .. }| Newer {
                        file: file.clone(),
                        line: *line,
                        name: name.clone(),
                        sha256,
                    },
                ),
            ),
        }
    }
    (found, failed)
}
