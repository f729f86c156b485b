//! What clients send to a machine's page: a request is bounded, and its path never leads out.
#![no_main]

use hoopyd::http::request::{Head, MAX_HEAD, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match parse(bytes) {
    Head::Partial => assert!(bytes.len() < MAX_HEAD, "it would be waited for without an end"),
    Head::Refused(status) => assert!((400..500).contains(&status)),
    Head::Whole(request, length) => {
        assert!(length <= bytes.len().min(MAX_HEAD));
        assert!(request.path.starts_with('/') && request.path.split('/').all(|name| name != ".."));
        assert!(request.path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)));
        // What follows it is the next request's.
        assert_eq!(parse(&bytes[..length]), Head::Whole(request, length));
    }
});
