//! `.PKGINFO`: what is read is written and read again as the same.
#![no_main]

use hoopy_apk::package::PackageInfo;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(info) = PackageInfo::parse(text) else { return };
    let again = PackageInfo::parse(&info.text()).expect("what was written");
    assert_eq!(again.text(), info.text());
});
