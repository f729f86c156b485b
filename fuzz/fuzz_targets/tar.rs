//! An archive: its entries, and all of their data.
#![no_main]

use std::io;

use hoopy_apk::tar::Reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(_)) = reader.next() {
        if io::copy(&mut reader, &mut io::sink()).is_err() {
            return;
        }
    }
});
