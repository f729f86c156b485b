#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::fstab::parse;

const UUID: &str = "UUID=1b0c2f0e-1111-4222-8333-444455556666";

#[test]
fn the_same_line_gives_the_same_bytes() {
    for line in [
        format!("{UUID} /a ext4"),
        "LABEL=d /a ext4".to_owned(),
        "LABEL=D /a vfat".to_owned(),
        format!("{UUID} none swap"),
    ] {
        let mount = parse(line.as_bytes()).remove(0);
        let maker = Maker::of(&mount.filesystem).unwrap();
        let made = || {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(40 << 20).unwrap();
            match maker.make(file.path(), &mount, &Programs::default()) {
                Ok(()) => Some(std::fs::read(file.path()).unwrap()),
                Err(e @ MkfsError::NoTool { .. }) => {
                    hoopy_testkit::skip(e);
                    None
                }
                Err(e) => panic!("{e}"),
            }
        };
        let Some(first) = made() else { continue };
        std::thread::sleep(std::time::Duration::from_millis(2100));
        assert!(made().unwrap() == first, "{line}");
    }
}

/// Writes what is no hole in a new filesystem over noise, as `hoopy flash` does on a used stick.
#[test]
fn what_lies_under_the_holes_of_ext4_does_no_harm() {
    use std::os::unix::fs::FileExt as _;
    let mount = parse(format!("{UUID} /a ext4").as_bytes()).remove(0);
    let made = tempfile::NamedTempFile::new().unwrap();
    made.as_file().set_len(300 << 20).unwrap();
    match Maker::of("ext4").unwrap().make(made.path(), &mount, &Programs::default()) {
        Err(e @ MkfsError::NoTool { .. }) => return hoopy_testkit::skip(e),
        other => other.unwrap(),
    }
    let made = std::fs::File::open(made.path()).unwrap();
    let used = tempfile::NamedTempFile::new().unwrap();
    (0..300).for_each(|mib| used.as_file().write_all_at(&[0xa5; 1 << 20], mib << 20).unwrap());
    for range in crate::sparse::data(&made).unwrap() {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        made.read_exact_at(&mut bytes, range.start).unwrap();
        used.as_file().write_all_at(&bytes, range.start).unwrap();
    }
    let fsck = Programs::default().find("e2fsck").unwrap();
    let checked = Command::new(fsck).args(["-f", "-n"]).arg(used.path()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
