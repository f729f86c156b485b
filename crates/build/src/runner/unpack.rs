//! Unpacks one layer from the store for scripts.

use hoopy_sandbox::{SandboxError, Session};
use hoopy_store::Store;
use hoopy_store::layer::Layer;

/// Unpacks `layer` out of the store: by the kernel alone, from file to file, where the contents need not be looked at
/// on the way. Where that cannot be, as when only one of this user's groups may read the store, they go through a pipe.
pub fn unpack_one(session: &mut Session, layer: &Layer, store: &Store) -> Result<(), SandboxError> {
    let _span = tracing::debug_span!("unpack", layers = %layer.id).entered();
    let contents = layer.vouched(store).and_then(|path| std::fs::canonicalize(path).ok());
    let copied = contents.map(|contents| {
        session.unpack_from(layer.id, Some(&contents), &mut |writer| {
            let mut entries = layer.places();
            entries.try_for_each(|(entry, place)| writer.placed(entry, place))
        })
    });
    match copied {
        None | Some(Err(SandboxError::Unpack { .. })) => {}
        Some(done) => return done,
    }
    session.unpack(layer.id, &mut |writer| {
        let streamed = layer.stream(store, &mut |entry, content| writer.entry(entry, content));
        streamed.map_err(std::io::Error::other)
    })
}
