//! Images that others' tools made and signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_inspect::image::describe::FileKind;

use super::*;

/// Where distributions put the real stub.
const STUB: &str = if cfg!(target_arch = "aarch64") {
    "/usr/lib/systemd/boot/efi/linuxaa64.efi.stub"
} else {
    "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
};

fn tool(program: &str, args: &[&str], dir: &Path) -> bool {
    let out = Command::new(program).args(args).current_dir(dir).output();
    let Ok(out) = out else {
        hoopy_testkit::skip(format_args!("{program} is not installed"));
        return false;
    };
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    true
}

/// An image put together the way guides tell: with objcopy, on the real stub.
fn made_by_objcopy(dir: &Path) -> Option<PathBuf> {
    if !Path::new(STUB).exists() {
        hoopy_testkit::skip(format_args!("{STUB} is not there"));
        return None;
    }
    let early = archive(&[("kernel".to_owned(), Is::Dir), of("kernel/early", "microcode")]);
    let main = packed(Codec::Gzip { level: 6 }, &archive(&[of("init", "#!/bin/sh\n")]));
    fs::write(dir.join("initrd"), [early, main].concat()).unwrap();
    fs::write(dir.join("osrel"), "ID=other\nNAME=\"Other Linux\"\n").unwrap();
    fs::write(dir.join("cmdline"), "quiet splash\0").unwrap();
    fs::write(dir.join("uname"), "6.1.0-other").unwrap();
    fs::write(dir.join("linux"), "no kernel at all").unwrap();
    let mut args = Vec::new();
    let sections = [
        ("osrel", 0x20000),
        ("cmdline", 0x30000),
        ("uname", 0x38000),
        ("initrd", 0x40000),
        ("linux", 0x0200_0000),
    ];
    for (name, address) in sections {
        args.push(format!("--add-section=.{name}={name}"));
        args.push(format!("--change-section-vma=.{name}={address:#x}"));
    }
    args.extend([STUB.to_owned(), "image.efi".to_owned()]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    tool("objcopy", &args, dir).then(|| dir.join("image.efi"))
}

#[test]
fn an_image_made_by_objcopy_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = made_by_objcopy(dir.path()) else { return };
    let image = Image::open(&path, Limits::default()).unwrap();
    let d = image.describe().unwrap();
    assert_eq!(
        (d.kind, d.machine, d.kernel.as_deref()),
        (FileKind::Uki, Some("x86_64"), Some("6.1.0-other"))
    );
    assert_eq!(d.command_line.as_deref(), Some("quiet splash"));
    assert_eq!(d.os_release["NAME"], "Other Linux");
    assert!(d.problems.is_empty() && d.signatures.is_empty(), "{:?}", d.problems);
    assert_eq!(d.segments.iter().map(|s| s.codec.name()).collect::<Vec<_>>(), ["none", "gzip"]);
    assert_eq!(image.read(b"init").unwrap(), b"#!/bin/sh\n");
    assert_eq!(image.read(b"kernel/early").unwrap(), b"microcode");
}

#[test]
fn who_signed_an_image_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = made_by_objcopy(dir.path()) else { return };
    let key = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/O=Somebody/CN=A key of theirs",
        "-keyout",
        "key",
        "-out",
        "cert",
    ];
    let signed = tool("openssl", &key, dir.path())
        && tool(
            "sbsign",
            &["--key", "key", "--cert", "cert", "--output", "signed.efi", path.to_str().unwrap()],
            dir.path(),
        );
    if !signed {
        return;
    }
    let d = Image::open(&dir.path().join("signed.efi"), Limits::default()).unwrap().describe().unwrap();
    assert_eq!(d.signatures.len(), 1);
    assert_eq!(d.signatures[0].signer.as_deref(), Some("O=Somebody, CN=A key of theirs"));
}

#[test]
fn an_image_with_lies_in_its_headers_is_refused_or_read_but_never_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = made_by_objcopy(dir.path()) else { return };
    let good = fs::read(&path).unwrap();
    // Every byte of the headers, turned over, and the file cut after them.
    for at in 0..0x400 {
        let mut bytes = good.clone();
        bytes[at] ^= 0xFF;
        bytes.truncate(good.len() - at);
        if let Ok(image) = opened(&bytes) {
            image.describe().unwrap();
        }
    }
}
