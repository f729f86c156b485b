//! A file of apk 3: an index as it is read once its signature is known to be good, and a package with its data.
#![no_main]

use hoopy_apk::adb::index::parse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The database of an index is the payload of the first block, after the magic, the schema and a header.
    if let Some(database) = bytes.get(12..) {
        let _ = parse(database);
    }
    hoopy_fuzz::read_through(bytes, bytes.len() as u64);
});
