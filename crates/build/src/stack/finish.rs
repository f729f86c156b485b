//! What every image gets at the end, and its name inside it.
//!
//! `/var/run` is `/run`; root has no password unless one was set; `/dev` has what init needs before devtmpfs is
//! mounted, and nothing else; no package cache, and no index of one.

use hoopy_base::report::Observer;
use hoopy_boot::release::Release;
use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};

use super::{Stack, StackError, attributes};

/// The layer that ends every root.
pub fn layer(stack: &Stack, epoch: u64, store: &Store, observer: &dyn Observer) -> Result<Layer, StackError> {
    let mut builder = Builder::new(store, epoch);
    var_run(stack, &mut builder)?;
    lock_root(stack, &mut builder, store)?;
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
        hoopy_store::tree::settle::Directories::Keep,
    );
    let entries = entries.map_err(|source| StackError::Lost { origin: "finish".to_owned(), source })?;
    let kept = vec![true; layer.entries.len()];
    Ok(layer.settled(store.put_layer(&entries)?, entries, &kept))
}

/// The layer with `/etc/hoopy-release`: lines of `KEY=value`, as `/etc/os-release` has them.
pub fn release(release: &Release, epoch: u64, store: &Store) -> Result<Layer, StackError> {
    let mut text = format!("IMAGE={}\n", release.image);
    if let Some(commit) = &release.commit {
        text += &format!("COMMIT={commit}\nDIRTY={}\n", if release.dirty { "yes" } else { "no" });
    }
    let mut builder = Builder::new(store, epoch);
    builder.add_bytes(&EntryPath::new("etc/hoopy-release")?, 0o644, text.as_bytes())?;
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

/// An empty password field lets anybody in: it becomes `*`, which nothing matches.
fn lock_root(stack: &Stack, builder: &mut Builder, store: &Store) -> Result<(), StackError> {
    let path = EntryPath::new("etc/shadow")?;
    let Some(entry) = stack.tree.follow(&path).cloned() else { return Ok(()) };
    let text = stack.read(&path, store)?.unwrap_or_default();
    let Some(rest) = text.strip_prefix(b"root::") else { return Ok(()) };
    let text = [b"root:*:", rest].concat();
    builder.add_bytes(&entry.path, entry.mode, &text)?;
    if let Some(new) = builder.get_mut(&entry.path) {
        (new.user, new.group) = (entry.user, entry.group);
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
