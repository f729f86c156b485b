//! Messages of the sandbox, as both ends read them: what is understood is what would be sent, to the byte.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hoopy_sandbox::read_messages(bytes));
