//! What `apk` in the image reads: keys, repositories, world and architecture. At the bottom, as
//! alpine-make-rootfs does it: packages and scripts find them there.

use hoopy_base::arch::Arch;
use hoopy_store::Store;
use hoopy_store::layer::EntryPath;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;

use super::StackError;
use crate::config::Repository;
use crate::fetch::is_remote;

/// The layer.
pub fn layer(
    arch: Arch,
    repositories: &[Repository],
    world: &[String],
    keys: &[(String, Vec<u8>)],
    epoch: u64,
    store: &Store,
) -> Result<Layer, StackError> {
    let mut builder = Builder::new(store, epoch);
    let mut file = |path: &str, text: &[u8]| -> Result<(), StackError> {
        Ok(builder.add_bytes(&EntryPath::new(path)?, 0o644, text)?)
    };
    file("etc/apk/arch", format!("{arch}\n").as_bytes())?;
    file("etc/apk/repositories", addresses(repositories).as_bytes())?;
    file("etc/apk/world", lines(world.iter().map(String::as_str)).as_bytes())?;
    for (name, pem) in keys {
        file(&format!("etc/apk/keys/{name}"), pem)?;
    }
    Ok(builder.finish(store)?)
}

/// A repository in a directory of this machine means nothing on another, so it is left out: the image must not
/// depend on where it was built.
fn addresses(repositories: &[Repository]) -> String {
    let remote = repositories.iter().filter(|r| is_remote(&r.location));
    lines(remote.map(|r| match &r.tag {
        Some(tag) => format!("@{tag} {}", r.location),
        None => r.location.clone(),
    }))
}

fn lines(items: impl Iterator<Item = impl AsRef<str>>) -> String {
    items.fold(String::new(), |text, item| text + item.as_ref() + "\n")
}
