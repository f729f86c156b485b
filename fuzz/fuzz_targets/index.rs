//! The text of an index, which is parsed once its signature is known to be good: what is read is written and read
//! again.
#![no_main]

use hoopy_apk::index::parse;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(records) = parse(text) else { return };
    let written: String = records.iter().map(|r| r.stanza() + "\n").collect();
    let again = parse(&written).expect("what was written");
    assert_eq!(again.len(), records.len());
});
