//! A layer in the sandbox's pipe, which both ends read: what is read can be written, and is then read as the same. The
//! first byte says whether contents are in the stream, or only where they begin.
#![no_main]

use std::io::Read;

use hoopy_store::layer::Entry;
use hoopy_store::layer::stream::Reader;
use hoopy_store::layer::stream::Writer;

type Part = (Entry, Option<u64>, Vec<u8>);

/// All up to the end, and whether there was one.
fn read(bytes: &[u8], places: bool) -> (Vec<Part>, bool) {
    let mut reader = if places { Reader::of_places(bytes) } else { Reader::new(bytes) };
    let mut read = Vec::new();
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => {
                let mut content = Vec::new();
                if reader.content().read_to_end(&mut content).is_err() {
                    assert!(reader.is_broken() && reader.next_entry().is_err());
                    return (read, false);
                }
                read.push((entry, reader.place(), content));
            }
            Ok(None) => return (read, true),
            Err(_) => {
                assert!(reader.is_broken() && reader.next_entry().is_err());
                return (read, false);
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let places = first & 1 == 1;
    let (found, _) = read(bytes, places);
    let mut writer = Writer::new(Vec::new());
    for (entry, place, content) in &found {
        let written = match place {
            Some(place) => writer.placed(entry, *place),
            None => writer.entry(entry, &mut &content[..]),
        };
        written.expect("what was read can be written");
    }
    let again = writer.finish().expect("memory takes all");
    assert_eq!(read(&again, places), (found, true));
});
