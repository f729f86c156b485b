//! An overlay, and all that `hoopy import` reads of it: the archive, the settings in it, and what becomes of each file. The
//! first byte says in which form the rest is an overlay: as it is, encrypted or not; a tar archive, with right sums and
//! compressed, so that what lies behind both is reached; or the texts of some files, with a NUL between them.
#![no_main]

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use hoopy_apk::tar::{Entry, Writer};
use hoopy_base::arch::Arch;
use hoopy_base::jobs::Jobs;
use hoopy_base::report::Silent;
use hoopy_build::config::Overrides;
use hoopy_build::context::Context;
use hoopy_build::fetch::Client;
use hoopy_diskless::import::secrets::Policy;
use hoopy_diskless::import::{Options, Unfinished, import_over_nothing};
use hoopy_diskless::overlay::{NodeKind, Overlay};
use hoopy_diskless::source::{Source, unpack};
use hoopy_fuzz::{gzip, with_right_sums};
use hoopy_store::Store;
use tempfile::TempDir;

/// The files that are read for what they say.
const FILES: [&str; 16] = [
    "etc/apk/world",
    "etc/apk/repositories",
    "etc/apk/arch",
    "etc/apk/protected_paths.d/lbu.list",
    "etc/apk/keys/mine.rsa.pub",
    "etc/lbu/lbu.conf",
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/hostname",
    "etc/fstab",
    "etc/modules",
    "etc/network/interfaces",
    "etc/runlevels/default/sshd",
    "etc/init.d/sshd",
    "lib/apk/db/installed",
];

/// Where things are written, in memory: a thousand inputs a second are nothing for a disk.
static DIR: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
});

static STORE: LazyLock<Arc<Store>> =
    LazyLock::new(|| Arc::new(Store::open(&DIR.path().join("store")).expect("a store")));

/// The archive of these texts.
fn archive(texts: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, text) in FILES.iter().zip(texts.split(|&byte| byte == 0)) {
        writer.entry(&Entry::file(name.as_bytes(), text.len() as u64)).expect("memory");
        writer.write_all(text).expect("memory");
    }
    writer.finish(true).expect("memory")
}

/// An archive never leads out of itself, and nothing lies below what is no directory.
fn check(overlay: &Overlay) {
    for path in overlay.nodes.keys() {
        assert!(!path.as_bytes().split(|&b| b == b'/').any(|name| matches!(name, b"" | b"." | b"..")));
        let mut above = path.parent();
        while let Some(dir) = above {
            assert!(overlay.nodes.get(&dir).is_none_or(|node| matches!(node.kind, NodeKind::Dir)));
            above = dir.parent();
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((form, rest)) = bytes.split_first() else { return };
    let file = match form % 3 {
        0 => rest.to_vec(),
        1 => gzip(&with_right_sums(rest)),
        _ => gzip(&archive(rest)),
    };
    let name = Path::new("fuzz.apkovl.tar.gz");
    let Ok(overlay) = unpack(&file, name, "fuzz", &mut |_: &str| Ok(b"fuzz".to_vec())) else { return };
    check(&overlay);
    let options = Options {
        dir: DIR.path().join("system"),
        kernel: None,
        branch: None,
        arch: Some(Arch::X86_64),
        over: Overrides::default(),
        secrets: Policy::Plain,
        unfinished: Unfinished::default(),
    };
    let (client, jobs) = (Client::default(), Jobs::new(1));
    let context = Context { store: &STORE, client: &client, jobs: &jobs, observer: &Silent };
    let source = Source::Path(name.to_owned());
    if let Ok(report) = import_over_nothing(&source, &overlay, options, context) {
        assert!(!report.to_string().is_empty());
    }
});
