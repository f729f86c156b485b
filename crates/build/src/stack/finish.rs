//! What every image gets at the end, and its name inside it.
//!
//! `/var/run` is `/run`; `/dev` has what init needs before devtmpfs is
//! mounted, and nothing else; no package cache, and no index of one.

use hoopy_base::report::Observer;
use hoopy_boot::release::{self, Release};
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};

use super::{Stack, StackError, attributes, passwords};

/// The layer that ends every root.
pub fn layer(stack: &Stack, epoch: u64, store: &Store, observer: &dyn Observer) -> Result<Layer, StackError> {
    let mut builder = Builder::new(store, epoch);
    var_run(stack, &mut builder)?;
    passwords::warn(stack, store, observer)?;
    empty_dev(stack, &mut builder)?;
    attributes::restore(stack, &mut builder, observer)?;
    for dir in ["var/cache/apk", "etc/apk/cache"] {
        let dir = EntryPath::new(dir)?;
        for (path, entry) in stack.tree.below(&dir).filter(|(_, e)| !e.is_dir()) {
            builder.add(path, Kind::Whiteout, entry.mode);
        }
    }
    let layer = builder.finish(store)?;
    // The builder knows nothing of directories below; those it added to reach a path are there already.
    let entries = hoopy_store::tree::settle::settle(
        &layer.entries,
        &stack.tree,
        &hoopy_store::tree::settle::Accounts::default(),
        hoopy_store::tree::settle::Directories::Keep(&hoopy_store::tree::settle::NO_MODES),
    );
    let entries = entries.map_err(|source| StackError::Lost { origin: "finish".to_owned(), source })?;
    let kept = vec![true; layer.entries.len()];
    Ok(layer.settled(store.put_layer(&entries)?, entries, &kept))
}

/// The layer with `/etc/hoopy-release`: lines of `KEY=value`, as `/etc/os-release` has them. `name` gets the image's name
/// alone.
pub fn release(
    release: &Release,
    name: Option<&EntryPath>,
    epoch: u64,
    store: &Store,
) -> Result<Layer, StackError> {
    let mut text = format!("IMAGE={}\n", release.image);
    if let Some(commit) = &release.commit {
        text += &format!("COMMIT={commit}\nDIRTY={}\n", if release.dirty { "yes" } else { "no" });
    }
    let mut builder = Builder::new(store, epoch);
    builder.add_bytes(&EntryPath::new(release::FILE)?, 0o644, text.as_bytes())?;
    if let Some(name) = name {
        builder.add_bytes(name, 0o644, format!("{}\n", release.image).as_bytes())?;
    }
    Ok(builder.finish(store)?)
}

fn var_run(stack: &Stack, builder: &mut Builder) -> Result<(), StackError> {
    let var_run = EntryPath::new("var/run")?;
    let run = EntryPath::new("run")?;
    let leads = stack.tree.follow(&var_run).is_some_and(|e| e.path == run);
    if !leads {
        builder.add(&var_run, Kind::Symlink(b"/run".to_vec()), 0o777);
    }
    Ok(())
}

/// The kernel opens `/dev/console` for init before anything is mounted (init/main.c, `console_on_rootfs`).
fn empty_dev(stack: &Stack, builder: &mut Builder) -> Result<(), StackError> {
    let dev = EntryPath::new("dev")?;
    for (path, entry) in stack.tree.below(&dev) {
        builder.add(path, Kind::Whiteout, entry.mode);
    }
    builder.add(&EntryPath::new("dev/console")?, Kind::Char { major: 5, minor: 1 }, 0o600);
    builder.add(&EntryPath::new("dev/null")?, Kind::Char { major: 1, minor: 3 }, 0o666);
    Ok(())
}
