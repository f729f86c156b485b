//! An initramfs: its members, their entries, and the tree that they make.
#![no_main]

use hoopy_inspect::image::root::Root;
use hoopy_inspect::image::split::{Limits, Splitter};

/// Little, so that a bomb is found by the bound and not by the fuzzer's own.
const LIMITS: Limits = Limits { unpacked: 4 << 20, entries: 4096, names: 1 << 20, segments: 64 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut root = Root::default();
    let mut take = |found: hoopy_inspect::image::split::Found<'_>| root.take(&found);
    let mut splitter = Splitter::new(LIMITS, &mut take);
    let read = splitter.buffer(bytes, 0);
    let end = splitter.segments.last().map_or(0, |segment| segment.offset + segment.size);
    assert!(end <= bytes.len() as u64 && (read.is_err() || splitter.segments.iter().all(|s| s.size > 0)));
    root.walk(root.top(), &mut |path, _, _| {
        assert!(!path.split(|&b| b == b'/').any(|name| matches!(name, b"" | b"." | b"..")));
    });
});
