//! A kernel module, as an object and packed: its sections, symbols and what it says of itself, and the indexes over it.
#![no_main]

use hoopy_kmod::{Lists, Module, NAMES, files};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut room = Vec::new();
    let packed = Module::read(b"kernel/b.ko.gz", bytes, &mut room);
    let Ok(module) = Module::read(b"kernel/a.ko", bytes, &mut room).or(packed) else { return };
    let lists = Lists { order: b"kernel/a.ko\nkernel/b.ko\n", builtin: b"", builtin_modinfo: b"" };
    if let Ok(files) = files(vec![module], &lists) {
        assert_eq!(files.len(), NAMES.len());
    }
});
