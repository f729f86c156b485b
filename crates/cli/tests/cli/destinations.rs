//! Files that the user names to be written: links, pipes, devices and standard output stay what they are.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::{Command, Stdio};

use hoopy_testkit::Home;

/// An initramfs to tell about.
fn archive(home: &Home) {
    fs::create_dir_all(home.path("files/etc")).unwrap();
    fs::write(home.path("files/etc/motd"), "hello\n").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "find . | cpio -o --quiet -H newc >../initrd"]).current_dir(home.path("files"));
    assert!(shell.status().unwrap().success());
}

#[test]
fn a_page_goes_to_standard_output_and_nothing_with_it() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    archive(&home);
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let page = home.ok(&["inspect", "initrd", "--html", name]);
        assert!(page.starts_with("<!") && page.trim_end().ends_with("</html>"), "{name}: {page:.100}");
    }
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink(), "it is not replaced");
    assert!(!home.path("-").exists());
}

#[test]
fn a_file_that_standard_output_is_appended_to_keeps_what_it_had() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    archive(&home);
    let path = home.path("log");
    fs::write(&path, "before\n").unwrap();
    let log = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut command = home.command(&["inspect", "initrd", "--html", "/dev/stdout"]);
    assert!(command.stdout(Stdio::from(log)).status().unwrap().success());
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\n<!"), "{text:.100}");
}

#[test]
fn a_link_a_pipe_and_a_device_stay_what_they_are() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    archive(&home);
    symlink("real.html", home.path("link.html")).unwrap();
    home.ok(&["inspect", "initrd", "--html", "link.html"]);
    assert!(home.path("link.html").is_symlink());
    assert!(fs::read_to_string(home.path("real.html")).unwrap().starts_with("<!"));

    assert!(Command::new("mkfifo").arg(home.path("pipe")).status().unwrap().success());
    let reader = Command::new("cat").arg(home.path("pipe")).stdout(Stdio::piped()).spawn().unwrap();
    home.ok(&["inspect", "initrd", "--html", "pipe"]);
    assert!(reader.wait_with_output().unwrap().stdout.starts_with(b"<!"));
    assert!(fs::metadata(home.path("pipe")).unwrap().file_type().is_fifo());

    home.ok(&["inspect", "initrd", "--html", "/dev/null"]);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}
