//! A file of apk 3: an index as it is read once its signature is known to be good, and a package with its data.
#![no_main]

use hoopy_apk::adb::index::parse;
use hoopy_apk::package::open;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The database of an index is the payload of the first block, after the magic, the schema and a header.
    if let Some(database) = bytes.get(12..) {
        let _ = parse(database);
    }
    let Ok(mut opened) = open(bytes) else { return };
    opened.data.bound(bytes.len() as u64);
    while let Ok(Some(mut file)) = opened.data.next_file() {
        assert!(!file.entry.path.split(|&b| b == b'/').any(|name| matches!(name, b"" | b"." | b"..")));
        if file.skip().is_err() {
            return;
        }
    }
    let _ = opened.data.finish();
});
