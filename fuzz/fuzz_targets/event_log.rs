//! What a machine's firmware measured: the event log of its TPM.
#![no_main]

use hoopy_trust::event_log::EventLog;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(log) = EventLog::parse(bytes) {
        for program in log.applications().iter().chain(&log.option_roms()) {
            assert!(!program.path.is_empty() && !program.path.contains(char::is_control));
        }
        for authority in log.authorities() {
            assert!(!authority.variable.contains(char::is_control));
        }
    }
});
