//! A v2 package as bytes: gzip members, and whatever they hold.
#![no_main]

use hoopy_apk::package::open;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(mut opened) = open(bytes) else { return };
    opened.data.bound(bytes.len() as u64);
    while let Ok(Some(mut file)) = opened.data.next_file() {
        if file.skip().is_err() {
            return;
        }
    }
    let _ = opened.data.finish();
});
