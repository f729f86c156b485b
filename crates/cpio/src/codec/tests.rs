//! The tools of each format are the oracle.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Stdio};

use super::*;

/// Some of it compresses, some does not, and it is more than two blocks of lz4.
fn data() -> Vec<u8> {
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut data: Vec<u8> = (0..9 << 20).map(|_| noise()).collect();
    data.extend(b"what compresses well ".repeat(500_000));
    data
}

fn encoded(codec: Codec, data: &[u8], size: Option<u64>) -> Vec<u8> {
    let mut encoder = codec.encode(Vec::new(), size).unwrap();
    // Odd pieces: where they end must not show.
    for piece in data.chunks(100_003) {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// A member as its own tool knows it: the zeros behind lz4's are for the kernel only.
fn frame(codec: Codec, packed: &[u8]) -> &[u8] {
    if codec == Codec::Lz4 { packed.strip_suffix(&lz4::END).unwrap() } else { packed }
}

/// What `program -dc` makes of `bytes`, or nothing when it is not there.
fn unpacked(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(program).arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        hoopy_testkit::skip(format_args!("{program} is not installed"));
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} failed");
    Some(output.stdout)
}

fn the_tool_unpacks(codec: Codec, size: Option<u64>) {
    let data = data();
    let packed = encoded(codec, &data, size.map(|_| data.len() as u64));
    assert!(packed.starts_with(codec.magic()));
    let found = unpacked(codec.name(), frame(codec, &packed));
    assert!(found.is_none_or(|found| found == data), "{codec} came back different");
}

#[test]
fn zstd_unpacks_what_it_packs() {
    the_tool_unpacks(Codec::Zstd { level: 3 }, None);
    the_tool_unpacks(Codec::Zstd { level: 9 }, Some(0));
}

#[test]
fn gzip_unpacks_what_it_packs() {
    the_tool_unpacks(Codec::Gzip { level: 6 }, None);
}

#[test]
fn xz_unpacks_what_it_packs() {
    the_tool_unpacks(Codec::Xz { level: 1 }, None);
}

#[test]
fn lz4_unpacks_what_it_packs() {
    the_tool_unpacks(Codec::Lz4, None);
}

#[test]
fn nothing_at_all_is_a_member_too() {
    for codec in Codec::ALL {
        let packed = encoded(codec, b"", Some(0));
        if codec != Codec::None {
            assert!(
                unpacked(codec.name(), frame(codec, &packed)).is_none_or(|found| found.is_empty()),
                "{codec}"
            );
        }
    }
}

#[test]
fn how_it_is_written_does_not_show() {
    let data = &data()[8 << 20..10 << 20];
    for codec in Codec::ALL {
        let mut at_once = codec.encode(Vec::new(), None).unwrap();
        at_once.write_all(data).unwrap();
        at_once.flush().unwrap();
        assert!(at_once.finish().unwrap() == encoded(codec, data, None), "{codec}");
    }
}

#[test]
fn zstd_asks_the_kernel_for_8_mib_at_most() {
    for level in [1, 9, 19, 22] {
        let packed = encoded(Codec::Zstd { level }, b"short", None);
        // RFC 8878, 3.1.1.1: a frame of unknown size has its window in the second byte of its header.
        assert_eq!(packed[4] & 0b0010_0000, 0, "has a window");
        assert_ne!(packed[4] & 0b0000_0100, 0, "has a checksum");
        assert!(packed[5] >> 3 <= 13, "level {level}: a window of 2^{}", 10 + (packed[5] >> 3));
    }
}

#[test]
fn zstd_refuses_another_size_than_promised() {
    for size in [4, 6] {
        let mut encoder = Codec::default().encode(Vec::new(), Some(size)).unwrap();
        let short = encoder.write_all(b"12345").and_then(|()| encoder.finish());
        assert!(short.is_err());
    }
}

#[test]
fn xz_uses_the_check_that_the_kernel_has() {
    let packed = encoded(Codec::Xz { level: 6 }, b"short", None);
    assert_eq!(packed[6..8], [0, 1], "CRC32");
}

#[test]
fn gzip_says_nothing_of_time_or_machine() {
    let packed = encoded(Codec::Gzip { level: 6 }, b"short", None);
    assert_eq!(packed[3..8], [0; 5], "flags and time");
    assert_eq!(packed[9], GZIP_SYSTEM);
}

#[test]
fn names_are_read_as_they_are_written() {
    for codec in Codec::ALL {
        assert_eq!(codec.to_string().parse(), Ok(codec));
        assert_eq!(codec.name().parse(), Ok(codec));
        assert_eq!(Codec::of(codec.magic()), Some(codec));
    }
    assert_eq!("zstd:19".parse(), Ok(Codec::Zstd { level: 19 }));
    assert_eq!("xz:0".parse(), Ok(Codec::Xz { level: 0 }));
}

#[test]
fn refuses_names_and_levels_that_do_not_exist() {
    let refusal = |text: &str| text.parse::<Codec>().unwrap_err().to_string();
    assert_eq!(
        refusal("bzip2"),
        "no compression is called \"bzip2\": expected zstd, gzip, xz, lz4, none or best"
    );
    assert_eq!(refusal("zstd:23"), "zstd has no level \"23\": expected 1 to 22");
    assert_eq!(refusal("gzip:"), "gzip has no level \"\": expected 1 to 9");
    assert_eq!(refusal("lz4:9"), "lz4 has no levels: write \"lz4\"");
}

#[test]
fn a_kernel_that_cannot_unpack_it_is_named_with_what_it_can() {
    let config = "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\nCONFIG_RD_XZ=m\n";
    assert_eq!(Codec::Gzip { level: 1 }.check_kernel_config(config), Ok(()));
    assert_eq!(
        Codec::default().check_kernel_config(config).unwrap_err().to_string(),
        "this kernel cannot unpack an initramfs compressed with zstd:5: its configuration lacks \
         CONFIG_RD_ZSTD=y; it can unpack gzip, none"
    );
    assert!(Codec::None.check_kernel_config("").unwrap_err().to_string().ends_with("none at all"));
}
