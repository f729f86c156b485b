//! `hoopy sign`: which programs, and what it warns of.

use std::fs;

use hoopy_testkit::Home;

use super::{home, ok, sbverify, sign_with, system};

fn systemd(name: &str) -> String {
    let name = if cfg!(target_arch = "aarch64") { name.replace("x64", "aa64") } else { name.to_owned() };
    format!("/usr/lib/systemd/boot/efi/{name}")
}

/// What `hoopy sign` says on standard error.
fn warned(home: &Home, arguments: &[&str]) -> String {
    let out = home.run(&[&["-C", "s", "sign"], arguments].concat());
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    said
}

#[test]
fn any_efi_program_is_signed_and_a_changed_one_is_told_of() {
    let home = home();
    let dir = system(&home);
    sign_with(&dir, "{key}");
    let loader = systemd("systemd-bootx64.efi");
    let said = home.ok(&["-C", "s", "sign", &loader, "-o", "../loader.efi"]);
    assert_eq!(said, "../loader.efi: signed by CN=Test-db\n");
    assert!(sbverify(&home, "db", "loader.efi"));
    let first = fs::read(home.path("loader.efi")).unwrap();
    home.ok(&["-C", "s", "sign", "../loader.efi"]);
    assert!(fs::read(home.path("loader.efi")).unwrap() == first, "signed once more");

    let mut changed = first;
    changed[0x2000] ^= 1;
    fs::write(home.path("changed.efi"), changed).unwrap();
    let said = home.ok(&["inspect", "changed.efi"]);
    assert!(said.contains("signed    NOT by CN=Test-db: a signature by CN=Test-db of other bytes"), "{said}");
    let said = home.fails(1, &["-C", "s", "sign", "../s/hoopy.toml"]);
    assert!(said.contains("not an EFI program"), "{said}");
}

/// Whatever starts it has PCR 7 of the image, and can write the image's digests into PCR 11.
#[test]
fn a_program_that_can_start_anything_is_signed_with_a_warning_by_the_key_of_images_alone() {
    let home = home();
    let dir = system(&home);
    sign_with(&dir, "{key}");
    home.ok(&["build", "s"]);
    assert_eq!(warned(&home, &[&systemd("systemd-bootx64.efi"), "-o", "../loader.efi"]), "");
    assert_eq!(warned(&home, &["images/small-2026092101.efi"]), "");
    // A stub without sections is no image, and what follows it is up to whoever writes that.
    let stub = systemd("linuxx64.efi.stub");
    let said = warned(&home, &[&stub, "-o", "../tool.efi"]);
    for text in
        ["warning: ", "neither an image with systemd's stub nor systemd-boot", "same PCR 7", "--key FILE"]
    {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(sbverify(&home, "db", "tool.efi"));
    let image = "../bare.efi";
    fs::write(home.path("line"), "console=tty0").unwrap();
    fs::write(home.path("kernel"), "no kernel").unwrap();
    ok(
        &home.path(""),
        "objcopy",
        &format!("--add-section .linux=kernel --change-section-vma .linux=0x2000000 {stub} bare.efi"),
    );
    let said = warned(&home, &[image, "-o", "../signed.efi"]);
    assert!(said.contains("it has no command line: whoever starts it gives it one"), "{said}");
    // Another key, for tools alone.
    let other = ["--key", "../private/other.key", "--certificate", "../private/other.crt"];
    assert_eq!(warned(&home, &[&[&stub, "-o", "../tool.efi"][..], &other].concat()), "");
    let same = ["--key", "../private/db.key", "--certificate", "../private/db.crt"];
    assert!(warned(&home, &[&[&stub, "-o", "../tool.efi"][..], &same].concat()).contains("warning: "));
}

/// Firmware checks drivers as it checks applications.
#[test]
fn a_driver_is_signed_like_an_application() {
    let home = home();
    let dir = system(&home);
    sign_with(&dir, "{key}");
    let mut driver = fs::read(systemd("systemd-bootx64.efi")).unwrap();
    let header = u32::from_le_bytes(driver[0x3C..0x40].try_into().unwrap()) as usize;
    for subsystem in [11, 12, 13] {
        driver[header + 24 + 68] = subsystem;
        fs::write(home.path("driver.efi"), &driver).unwrap();
        home.ok(&["-C", "s", "sign", "../driver.efi", "-o", "../signed.efi"]);
        assert!(sbverify(&home, "db", "signed.efi"), "subsystem {subsystem}");
    }
    driver[header + 24 + 68] = 3;
    fs::write(home.path("driver.efi"), &driver).unwrap();
    let said = home.fails(1, &["-C", "s", "sign", "../driver.efi"]);
    assert!(said.contains("the subsystem is 0x3: expected 10 to 13"), "{said}");
}
