//! Building for real: real packages, real scripts.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::digest::ContentId;
use hoopy_testkit::{Home, mirror};
use hoopy_uki::manifest;

fn home() -> Home {
    Home::new(env!("CARGO_BIN_EXE_hoopy"))
}

fn images(system: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(system.join("images")).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

#[test]
fn what_is_built_is_not_built_again() {
    let home = home();
    home.small("s");
    let first = home.ok(&["build", "s"]);
    assert!(first.contains("small-2026092101.efi"), "{first}");
    let second = home.ok(&["build", "s"]);
    assert!(second.contains("up to date"), "{second}");
    assert_eq!(images(&home.path("s")).len(), 1);
}

#[test]
fn a_changed_file_makes_the_next_image() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["build", "s"]);
    fs::write(dir.join("root/etc/motd"), "changed\n").unwrap();
    let second = home.ok(&["build", "s"]);
    assert!(second.contains("small-2026092102.efi"), "{second}");
}

#[test]
fn images_of_the_other_architecture_are_counted_for_themselves() {
    let home = home();
    let dir = home.small("s");
    let other = Arch::ALL.into_iter().find(|arch| Some(*arch) != Arch::host()).unwrap();
    for n in 1..=2 {
        fs::write(dir.join("root/etc/motd"), format!("change {n}\n")).unwrap();
        let said = home.ok(&["build", "s", "--arch", other.as_str()]);
        assert!(said.contains(&format!("small-{other}-202609210{n}.efi")), "{said}");
    }
}

#[test]
fn an_image_says_what_it_is_made_of_and_a_changed_file_changes_little_of_it() {
    let home = home();
    let dir = home.small("s");
    let made_of = |n: usize| {
        let mut file = fs::File::open(&images(&dir)[n]).unwrap();
        let pieces = manifest::of_image(&mut file).unwrap().unwrap();
        for piece in &pieces {
            let mut bytes = vec![0; piece.size as usize];
            file.read_exact_at(&mut bytes, piece.offset).unwrap();
            assert_eq!(ContentId::of(&bytes), piece.sha256, "{piece:?}");
        }
        let known: u64 = pieces.iter().map(|p| p.size).sum();
        // Headers, the section itself, padding
        assert!(file.metadata().unwrap().len() - known < 64 << 10, "{known} bytes are described");
        pieces
    };
    home.ok(&["build", "s"]);
    let first = made_of(0);
    for origin in ["systemd-efistub-252-r0", "root/", "hoopy-release", "hoopy"] {
        assert!(first.iter().any(|p| p.origins == [origin]), "{origin}: {first:#?}");
    }
    // The kernel, its modules, and what is not compressed yet beside them
    assert_eq!(first.iter().filter(|p| p.origins[0].starts_with("linux-virt-")).count(), 3);
    fs::write(dir.join("root/etc/hostname"), "changed\n").unwrap();
    home.ok(&["build", "s"]);
    let second = made_of(1);
    let new = second.iter().filter(|p| !first.iter().any(|old| old.sha256 == p.sha256));
    let new: Vec<_> = new.map(|p| p.origins.join(" ")).collect();
    assert_eq!(new, ["hoopy", "root/", "hoopy-release"], "os-release, the file, and the image's name");
}

#[test]
fn two_directories_and_two_stores_give_the_same_bytes() {
    let home = home();
    for name in ["a", "b"] {
        let dir = home.small(name);
        fs::write(dir.join("setup.sh"), "#!/bin/sh\ndate > /etc/built\nrm /etc/built\nadduser -D me\n")
            .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(if name == "a" { 0o755 } else { 0o775 });
        fs::set_permissions(dir.join("setup.sh"), mode).unwrap();
        home.ok(&["build", name, "--store", &format!("store-{name}")]);
    }
    let [a, b] = ["a", "b"].map(|name| fs::read(&images(&home.path(name))[0]).unwrap());
    assert!(a == b, "the images differ: {} and {} bytes", a.len(), b.len());
}

#[test]
fn an_image_that_was_begun_with_the_last_one_has_the_bytes_of_one_made_from_nothing() {
    let home = home();
    let (dir, other) = (home.small("s"), home.small("other"));
    let setup = "#!/bin/sh\nset -e\ncat root/etc/motd root/etc/motd > /etc/twice\n";
    // Longer, shorter, of the same length, and over what a package brings.
    let texts = ["one\n", "a longer one, by some bytes\n", "2\n", "3\n"];
    for (round, text) in texts.iter().enumerate() {
        let version = format!("{}", 2026092101 + round);
        for dir in [&dir, &other] {
            fs::write(dir.join("setup.sh"), setup).unwrap();
            fs::set_permissions(dir.join("setup.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .unwrap();
            fs::write(dir.join("root/etc/motd"), text).unwrap();
            if round == 3 {
                fs::write(dir.join("root/etc/inittab"), "::sysinit:/sbin/openrc sysinit\n").unwrap();
            }
        }
        home.ok(&["build", "s", "--image-version", &version]);
        home.ok(&["build", "other", "--image-version", &version, "--store", &format!("store-{round}")]);
        let [a, b] =
            ["s", "other"].map(|s| fs::read(home.path(&format!("{s}/images/small-{version}.efi"))).unwrap());
        assert!(a == b, "round {round}: the images differ: {} and {} bytes", a.len(), b.len());
    }
}

#[test]
fn a_lock_for_other_packages_is_refused_with_what_changed() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["lock", "s"]);
    fs::write(dir.join("packages"), "alpine-base\nlinux-virt\ncurl\n").unwrap();
    let message = home.fails(3, &["build", "s"]);
    assert!(message.contains("`curl` is new") && message.contains("hoopy update"), "{message}");
    let changes = home.ok(&["-C", "s", "update"]);
    assert!(changes.contains("in       curl "), "{changes}");
    home.ok(&["build", "s", "--locked"]);
}

#[test]
fn no_lock_is_refused_when_the_user_says_locked() {
    let home = home();
    home.small("s");
    assert!(home.fails(3, &["build", "s", "--locked"]).contains("hoopy lock"));
}

#[test]
fn a_package_that_nobody_has_is_named_with_its_line() {
    let home = home();
    let dir = home.small("s");
    fs::write(dir.join("packages"), "alpine-base\n\nnosuchthing\n").unwrap();
    let message = home.fails(3, &["lock", "s"]);
    assert!(message.contains("packages:3") && message.contains("nosuchthing"), "{message}");
    assert!(!dir.join("hoopy.lock").exists());
}

#[test]
fn an_index_signed_by_nobody_trusted_is_refused() {
    let home = home();
    home.small("s");
    // Alpine's own keys did not sign the stand-in.
    let out = home.command(&["lock", "s"]).env_remove("HOOPY_KEYS").output().unwrap();
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(5), "{message}");
    assert!(message.contains("none of that is trusted") && message.contains("hoopy-stand-in"), "{message}");
}

#[test]
fn a_damaged_package_is_refused_and_a_good_one_taken_later() {
    let home = home();
    home.small("s");
    home.ok(&["lock", "s"]);
    let copy = home.path("mirror");
    let status = std::process::Command::new("cp").arg("-r").arg(mirror().alpine).arg(&copy).status().unwrap();
    assert!(status.success());
    let package = copy.join("v3.23/main").join(std::env::consts::ARCH).join("musl-1.2.5-r23.apk");
    let mut bytes = fs::read(&package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&package, bytes).unwrap();
    let args = ["build", "s", "--store", "fresh", "--mirror", copy.to_str().unwrap()];
    let message = home.fails(5, &args);
    assert!(message.contains("musl-1.2.5-r23.apk") && message.contains("SHA-256"), "{message}");
    assert!(images(&home.path("s")).is_empty());
    home.ok(&["build", "s", "--store", "fresh"]);
}

#[test]
fn a_failing_setup_shows_what_it_said_and_leaves_no_image() {
    let home = home();
    let dir = home.small("s");
    fs::write(dir.join("setup.sh"), "#!/bin/sh\necho before\nfalse || exit 7\n").unwrap();
    let message = home.fails(4, &["build", "s"]);
    assert!(message.contains("setup.sh") && message.contains("before") && message.contains('7'), "{message}");
    assert!(images(&dir).is_empty());
}

#[test]
fn two_kernels_or_none_are_refused() {
    let home = home();
    let dir = home.small("s");
    fs::write(dir.join("packages"), "alpine-base\n").unwrap();
    assert!(home.fails(3, &["build", "s"]).contains("no package in the lock brings a kernel"));
}

#[test]
fn an_image_that_does_not_fit_the_memory_is_refused_with_the_largest_packages() {
    let home = home();
    let dir = home.small("s");
    fs::write(dir.join("hoopy.toml"), "name = \"small\"\nmemory = \"64M\"\n").unwrap();
    let message = home.fails(1, &["build", "s"]);
    assert!(message.contains("linux-virt-") && message.contains("memory"), "{message}");
}

#[test]
fn a_wrong_key_in_the_configuration_is_shown_with_its_line_and_the_valid_keys() {
    let home = home();
    let dir = home.small("s");
    fs::write(dir.join("hoopy.toml"), "name = \"small\"\nmemroy = \"1G\"\n").unwrap();
    let message = home.fails(3, &["build", "s"]);
    assert!(message.contains("hoopy.toml:2:1") && message.contains("memory"), "{message}");
}

#[test]
fn what_is_vendored_builds_with_nothing_else() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["build", "s"]);
    let first = fs::read(&images(&dir)[0]).unwrap();
    home.ok(&["vendor", "s"]);
    fs::remove_dir_all(dir.join("images")).unwrap();
    home.ok(&["build", "s", "--locked", "--store", "fresh", "--mirror", "s/vendor"]);
    assert!(first == fs::read(&images(&dir)[0]).unwrap(), "the vendored build differs");
}

#[test]
fn every_codec_and_output_is_written() {
    let home = home();
    let dir = home.small("s");
    for codec in ["gzip:1", "lz4", "none", "zstd:3"] {
        home.ok(&["build", "s", "--compression", codec]);
    }
    home.ok(&["build", "s", "--output", "kernel+initramfs"]);
    home.ok(&["build", "s", "--output", "tar"]);
    let endings: Vec<_> =
        images(&dir).iter().filter_map(|p| p.extension()?.to_str().map(str::to_owned)).collect();
    assert_eq!(endings, ["efi", "efi", "efi", "efi", "initramfs", "vmlinuz", "tar"]);
}
