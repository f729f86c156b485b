//! `hoopy.lock`: what is read is written and read again as the same.
#![no_main]

use std::path::Path;

use hoopy_lock::Lock;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let path = Path::new("hoopy.lock");
    let Ok(lock) = Lock::parse(path, text) else { return };
    let again = Lock::parse(path, &lock.text()).expect("what was written");
    assert_eq!(again.text(), lock.text());
});
