//! `--kexec`, with a kexec that writes down what it is given, and a machine that comes back as what was loaded.

use std::fs;

use super::remote::{EFI, OLD, Remote, loader, segments};

/// Loads: keeps the files and the command line. The older system call only, as Alpine's kernels.
const KEXEC: &str = r#"#!/bin/sh
[ "$1" = -c ] || { echo "kexec_file_load failed: Function not implemented"; exit 1; }
[ ! -e /refuses ] || { cat /refuses; exit 1; }
for arg; do
	case $arg in
	--initrd=*) cp "${arg#*=}" /loaded.initrd ;;
	--command-line=*) printf %s "${arg#*=}" >/loaded.cmdline ;;
	/*) cp "$arg" /loaded.linux ;;
	esac
done
echo 1 >/sys/kernel/kexec_loaded
"#;

/// In place of `reboot`: what the service would start comes up, in a new boot.
const REBOOT: &str = r#"#!/bin/sh
cp /etc/init.d/hoopy-kexec /service && [ -e /etc/runlevels/shutdown/hoopy-kexec ] || exit 1
rm /etc/init.d/hoopy-kexec /etc/runlevels/shutdown/hoopy-kexec
cp /next-release /etc/hoopy-release
echo other-boot >/boot-id
"#;

/// In place of `cat`: a boot that a test can end, and a switch that it can turn.
const CAT: &str = r#"#!/bin/sh
case $1 in */boot_id) set -- /boot-id ;; */kexec_load_disabled) set -- /kexec-disabled ;; esac
exec busybox cat "$@"
"#;

/// A machine that can do it, and runs `s-1`.
fn able(layout: &str) -> Remote {
    let far = Remote::new(layout);
    for dir in ["sbin", "sys/class", "sys/kernel", "etc/init.d", "etc/runlevels/shutdown"] {
        fs::create_dir_all(far.root(dir)).unwrap();
    }
    for (name, text) in
        [("bin/kexec", KEXEC), ("bin/reboot", REBOOT), ("bin/cat", CAT), ("sbin/openrc-run", "#!/bin/sh\n")]
    {
        let _ = fs::remove_file(far.root(name));
        far.program(&format!("far/{name}"), text);
    }
    fs::write(far.root("sys/kernel/kexec_loaded"), "0\n").unwrap();
    fs::write(far.root("boot-id"), "first-boot\n").unwrap();
    fs::write(far.root("kexec-disabled"), "0\n").unwrap();
    fs::write(far.root("next-release"), "IMAGE=s-2\n").unwrap();
    far
}

#[test]
fn the_image_is_loaded_from_the_partition_and_started_at_the_end_of_a_shutdown() {
    let far = able("single");
    let (_, one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &segments(20));
    far.lay("s-1", &[(EFI, &one)]);
    let said = far.ok(&["-C", "s", "deploy", "--image", &path, "--kexec"]);
    assert!(said.contains("starting it with kexec") && said.contains("far runs s-2"), "{said}");
    assert!(far.read(EFI) == two && far.read(OLD) == one, "a reboot starts the same");
    let initrd: Vec<u8> = segments(20).into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert!(fs::read(far.root("loaded.initrd")).unwrap() == initrd);
    assert!(fs::read(far.root("loaded.linux")).unwrap() == loader());
    assert_eq!(fs::read_to_string(far.root("loaded.cmdline")).unwrap(), "rdinit=/sbin/init hoopy.kexec");
    let service = fs::read_to_string(far.root("service")).unwrap();
    assert!(service.contains("after killprocs savecache mount-ro"), "{service}");
    assert!(service.contains("\t/bin/kexec -e\n") && service.contains("umount \"$point\""), "{service}");
    let left: Vec<_> = fs::read_dir(far.root("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_machine_that_comes_back_as_it_was_fell_back() {
    let far = able("ab");
    let (_, one) = far.image("1", &segments(10));
    let (path, _) = far.image("2", &segments(20));
    far.lay("s-1", &[(EFI, &loader()), ("EFI/Linux/s-1.efi", &one)]);
    fs::write(far.root("next-release"), "IMAGE=s-1\n").unwrap();
    let out = far.run(&["-C", "s", "deploy", "--image", &path, "--kexec"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(9), "{said}");
    assert!(said.contains("far fell back to s-1: s-2 did not start"), "{said}");
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-1.efi", "EFI/Linux/s-2+3.efi"]);
}

#[test]
fn what_is_missing_is_told_before_anything_is_changed() {
    let far = able("single");
    let (_, one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &segments(20));
    far.lay("s-1", &[(EFI, &one)]);
    let deploy = ["-C", "s", "deploy", "--image", &path, "--kexec"];
    let refused = |words: &str| {
        let said = far.fails(&deploy);
        assert!(said.contains(words), "{words}: {said}");
    };
    fs::write(far.root("kexec-disabled"), "1\n").unwrap();
    refused(
        "kernel.kexec_load_disabled is set, as in all of Alpine's kernels: add kexec_load_disabled=0 to `cmdline`",
    );
    fs::write(far.root("kexec-disabled"), "0\n").unwrap();
    fs::rename(far.root("etc/runlevels/shutdown"), far.root("etc/runlevels/off")).unwrap();
    refused("far cannot do --kexec: it has no OpenRC with a runlevel shutdown");
    fs::rename(far.root("etc/runlevels/off"), far.root("etc/runlevels/shutdown")).unwrap();
    fs::rename(far.root("sys/kernel/kexec_loaded"), far.root("sys/kernel/off")).unwrap();
    refused("its kernel was built without CONFIG_KEXEC; nothing was changed");
    fs::rename(far.root("sys/kernel/off"), far.root("sys/kernel/kexec_loaded")).unwrap();
    fs::rename(far.root("bin/kexec"), far.root("bin/off")).unwrap();
    refused("it has no kexec: add kexec-tools to `packages`");
    fs::rename(far.root("bin/off"), far.root("bin/kexec")).unwrap();
    assert_eq!(far.files(), [EFI]);
    assert!(far.read(EFI) == one);

    // What only the attempt can tell comes after; the image is in its place then.
    fs::write(far.root("refuses"), "kexec_load failed: Operation not permitted\n").unwrap();
    refused(
        "far could not load the image with kexec: the kernel takes only what is signed by a key that it trusts",
    );
    assert!(far.read(EFI) == two && !far.root("etc/init.d/hoopy-kexec").exists());
    fs::write(far.root("refuses"), "Cannot determine the file type of /x\n").unwrap();
    refused(
        "Cannot determine the file type of /x\nhint: the image is in place, and starts with the next boot",
    );
    fs::remove_file(far.root("refuses")).unwrap();
    let said = far.ok(&deploy);
    assert!(said.contains("s-2 is in place already: starting it with kexec"), "{said}");
    assert_eq!(fs::read_to_string(far.root("etc/hoopy-release")).unwrap(), "IMAGE=s-2\n");
}
