//! A unified kernel image: its headers, what its sections claim, its signatures.
#![no_main]

use hoopy_uki::certificate;
use hoopy_uki::pe::Image;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(image) = Image::parse(bytes) else { return };
    for section in &image.headers.sections {
        assert!(image.data(section).len() <= bytes.len());
    }
    if let Ok(Some(table)) = certificate::table(&image.headers, bytes, bytes.len() as u64) {
        let table = &bytes[table.start as usize..table.end as usize];
        certificate::certificates(table);
    }
});
