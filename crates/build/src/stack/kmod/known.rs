//! Which versions of kmod are known to write what `hoopy-kmod` writes, and which stacks would not run them as they are.

use hoopy_apk::Record;
use hoopy_base::digest::ContentId;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::{EntryPath, Kind};
use hoopy_store::tree::Tree;

/// SHA-256 of the trigger's text, and the kmod that it came with. Another text may do anything; another kmod may write
/// other files: before a line is added, `crates/kmod/tests/oracle.rs` must pass with it.
const KNOWN: [(&str, &str); 1] =
    [("ffa9c255f44ed83911be3b76e2dc0c2e11b9f044ed31b715bf53c2b6c8d15d3b", "34.2")];

/// Where depmod reads configuration (depmod.d(5)); `lib` is read by other builds of it.
const CONFIGURATION: [&str; 5] =
    ["run/depmod.d", "etc/depmod.d", "usr/local/lib/depmod.d", "usr/lib/depmod.d", "lib/depmod.d"];

/// Whether `text` is the trigger of a known kmod.
pub fn is_known(record: &Record, text: &[u8]) -> bool {
    // A revision of the package, `-r1`, is the same kmod built anew.
    let upstream = record.version.as_str().rsplit_once("-r").map_or("", |(upstream, _)| upstream);
    &*record.name == "kmod"
        && KNOWN
            .iter()
            .any(|(digest, version)| *version == upstream && ContentId::of(text).to_string() == *digest)
}

/// Whether the trigger would run the depmod of `package` there, by a shell, and without configuration.
pub fn is_plain(package: &Package, tree: &Tree) -> bool {
    let path = |path: &str| EntryPath::new(path).ok();
    let follow = |at: &str| path(at).and_then(|path| tree.follow(&path));
    let is_file = |at: &str| follow(at).is_some_and(|entry| matches!(entry.kind, Kind::File { .. }));
    let program = follow("sbin/depmod")
        .filter(|found| package.layer.entry(&found.path).is_some_and(|own| own.kind == found.kind));
    let configured = CONFIGURATION
        .iter()
        .filter_map(|at| path(at))
        .any(|path| tree.get(&path).is_some() || tree.follow(&path).is_some());
    program.is_some_and(|found| matches!(found.kind, Kind::File { .. }) && found.mode & 0o111 != 0)
        && is_file("bin/sh")
        && !configured
}
