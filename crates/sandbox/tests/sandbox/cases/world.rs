//! What a script finds around it, and what it may do.

use std::fs;
use std::path::Path;

use hoopy_sandbox::Lowers;

use crate::scene::{Layer, Scene, script};

pub fn gives_no_network_but_a_loopback_device(scene: &Scene) {
    let (_, output) = scene.change(&[], "ip -o link | grep -c .; ip link show lo; ls /sys/class/net");
    assert!(output.starts_with("1\n"), "{output}");
    assert!(output.contains("LOOPBACK,UP"), "{output}");
    assert!(output.ends_with("lo\n"), "{output}");
}

pub fn gives_the_hosts_network_where_it_is_asked_for(scene: &Scene) {
    let mut online = script("cat /etc/resolv.conf; ls /proc/self/ns -l | grep net");
    online.network = true;
    let mut session = scene.session();
    let base = scene.alone(&mut session);
    let captured = session.run(&base, &online).unwrap_or_else(|e| panic!("{e}"));
    let output = String::from_utf8(captured.output).unwrap();
    let rest = output.strip_prefix(&fs::read_to_string("/etc/resolv.conf").unwrap()).unwrap();
    let hosts = fs::read_link("/proc/self/ns/net").unwrap();
    assert!(rest.trim_end().ends_with(hosts.to_str().unwrap()), "{output}");
    assert_eq!(captured.entries, []);
}

pub fn shows_nothing_of_the_host(scene: &Scene) {
    let (_, output) = scene.change(
        &[],
        "ls /; ls /dev; hostname; env; ls /proc | grep -c '^[0-9]'; grep -c . /proc/mounts; ls -l /proc/self/fd 2>/dev/null | grep -c -- '->'",
    );
    let expected = "bin\ndev\netc\nlib\nmnt\nproc\nsys\ntmp\n\
                    fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n\
                    localhost\n";
    let rest = output.strip_prefix(expected).unwrap_or_else(|| panic!("{output}"));
    assert!(rest.contains("PATH=/bin\n"), "{output}");
    assert!(!output.contains("HOME") && !output.contains("CARGO"), "{output}");
    let counts: Vec<u32> = output.lines().rev().take(3).map(|n| n.parse().unwrap()).collect();
    assert!(counts[0] <= 4, "open files: standard ones and the directory itself: {output}");
    assert!(
        counts[1] <= 31,
        "mounts: root, proc, sys, dev, pts, six devices, and what is closed of proc: {output}"
    );
    assert!(counts[2] <= 5, "processes: PID 1, the script and what it runs: {output}");
}

pub fn reaches_no_file_of_the_helpers(scene: &Scene) {
    let (_, output) = scene
        .change(&[], "ls /proc/1/fd 2>&1 || true; cat /proc/1/maps 2>&1 || true; ls -l /proc/1/exe 2>&1");
    assert!(output.contains("/proc/1/fd': Permission denied"), "{output}");
    assert!(output.contains("/proc/1/maps': Permission denied"), "{output}");
    assert!(!output.contains("->"), "{output}");
}

pub fn keeps_the_resolver_of_an_image_that_a_script_leaves_alone(scene: &Scene) {
    for (before, expected) in [(Some("../run/resolv.conf"), true), (None, false)] {
        let image = Layer::default().dir("etc");
        let image = before.into_iter().fold(image, |image, to| image.link("etc/resolv.conf", to));
        let (layer, output) =
            online(scene, &image, "cat /etc/resolv.conf; chmod u+r /etc/resolv.conf; touch /etc/x");
        assert_eq!(output, fs::read_to_string("/etc/resolv.conf").unwrap());
        assert_eq!(layer.entries.iter().map(|e| e.path.to_string()).collect::<Vec<_>>(), ["etc", "etc/x"]);
        // And it is there again where there is no network
        let (_, output) = scene.change(&[&image, &layer], "readlink /etc/resolv.conf || echo none");
        assert_eq!(output, if expected { "../run/resolv.conf\n" } else { "none\n" });
    }
}

pub fn captures_what_a_script_makes_of_the_resolver(scene: &Scene) {
    let before = fs::read("/etc/resolv.conf").unwrap();
    let mut image = Layer::default().dir("etc").file("etc/resolv.conf", b"nameserver 192.0.2.1\n", 0o644);
    image.entries[0].mode = 0o751;
    for (script, then, expected) in [
        ("echo nameserver 192.0.2.2 > /etc/resolv.conf", "cat", "nameserver 192.0.2.2\n"),
        ("ln -sf ../tmp/r /etc/resolv.conf", "readlink", "../tmp/r\n"),
        ("rm /etc/resolv.conf", "cat", ""),
        (
            "cp /etc/resolv.conf /etc/y; mv /etc/y /etc/resolv.conf",
            "cat",
            std::str::from_utf8(&before).unwrap(),
        ),
    ] {
        let (layer, _) = online(scene, &image, script);
        let (_, output) = scene.change(
            &[&image, &layer],
            &format!("{then} /etc/resolv.conf 2>/dev/null || true; stat -c %a /etc"),
        );
        assert_eq!(output, format!("{expected}751\n"), "{script}");
    }
    assert_eq!(fs::read("/etc/resolv.conf").unwrap(), before);
}

pub fn names_the_hosts_that_the_image_does(scene: &Scene) {
    let image = Layer::default().dir("etc").file("etc/hosts", b"192.0.2.1 nas\n", 0o644);
    let (layer, output) = online(scene, &image, "cat /etc/hosts; echo 192.0.2.2 tv >> /etc/hosts");
    assert_eq!(output, "192.0.2.1 nas\n");
    let (_, output) = scene.change(&[&image, &layer], "cat /etc/hosts");
    assert_eq!(output, "192.0.2.1 nas\n192.0.2.2 tv\n");
    let (layer, output) = online(scene, &Layer::default(), "cat /etc/hosts");
    assert_eq!((output, layer.entries.len()), (fs::read_to_string("/etc/hosts").unwrap(), 0));
}

/// Runs a script with the host's network over the base and `image`.
fn online(scene: &Scene, image: &Layer, body: &str) -> (Layer, String) {
    let mut online = script(body);
    online.network = true;
    let mut session = scene.session();
    let layers = [&scene.base, image];
    layers.iter().for_each(|layer| layer.unpack(&mut session));
    let lowers = Lowers::of(layers.iter().map(|layer| (layer.id(), &layer.entries[..]))).unwrap();
    let mut captured = session.run(&lowers, &online).unwrap_or_else(|e| panic!("{e}"));
    let layer = Layer::of(&mut captured);
    (layer, String::from_utf8(captured.output).unwrap())
}

pub fn lends_a_directory_with_its_owners(scene: &Scene) {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let dir = tempfile::tempdir_in(scene.lowers.parent().unwrap()).unwrap();
    fs::create_dir_all(dir.path().join("private/deep")).unwrap();
    fs::write(dir.path().join("private/key"), "k\n").unwrap();
    fs::set_permissions(dir.path().join("private/key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(dir.path().join("private"), fs::Permissions::from_mode(0o700)).unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        chown(dir.path().join("private/deep"), Some(1000), Some(100)).unwrap();
    }
    let mut setup = script("cat private/key; stat -c '%u:%g %a' private private/key private/deep; ls hidden");
    setup.hidden = vec!["hidden".into()];
    (setup.bind, setup.cwd) = (Some(dir.path().into()), "/mnt".into());
    fs::create_dir(dir.path().join("hidden")).unwrap();
    fs::write(dir.path().join("hidden/x"), "").unwrap();
    let mut session = scene.session();
    let base = scene.alone(&mut session);
    let deep = if root { "1000:100" } else { "0:0" };
    let expected = format!("k\n0:0 700\n0:0 600\n{deep} 755\n");
    let captured = session.run(&base, &setup).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(String::from_utf8_lossy(&captured.output), expected);
    if root && overlay(dir.path()) {
        // A filesystem that maps no owners: the directory is copied
        setup.bind = Some(dir.path().into());
        let captured = session.run(&base, &setup).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(String::from_utf8_lossy(&captured.output), expected);
        let left = fs::read_dir(&scene.lowers)
            .unwrap()
            .flatten()
            .flat_map(|d| fs::read_dir(d.path()).unwrap().flatten());
        let left: Vec<_> =
            left.map(|e| e.file_name()).filter(|n| n.to_string_lossy().contains("lent")).collect();
        assert!(left.is_empty(), "{left:?}");
        rustix::mount::unmount(dir.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

/// Lays an overlay over a directory; false where that cannot be.
fn overlay(dir: &Path) -> bool {
    let empty = dir.with_extension("empty");
    fs::create_dir(&empty).unwrap();
    let options = format!("lowerdir={}:{}", dir.display(), empty.display());
    let options = std::ffi::CString::new(options).unwrap();
    rustix::mount::mount("overlay", dir, "overlay", rustix::mount::MountFlags::empty(), options.as_c_str())
        .is_ok()
}

pub fn binds_a_directory_read_only_and_runs_the_script_from_it(scene: &Scene) {
    let host = tempfile::tempdir_in(scene.lowers.parent().unwrap()).unwrap();
    fs::write(host.path().join("neighbour"), "n\n").unwrap();
    fs::write(host.path().join("setup.sh"), "#!/bin/sh\necho not this one").unwrap();
    let mut setup =
        script("echo $0; cat neighbour; ! touch x 2>/dev/null; ! chmod 700 /mnt 2>/dev/null; pwd");
    setup.name = "setup.sh".into();
    (setup.bind, setup.cwd) = (Some(host.path().into()), "/mnt".into());
    let mut session = scene.session();
    let base = scene.alone(&mut session);
    let captured = session.run(&base, &setup).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(String::from_utf8_lossy(&captured.output), "/mnt/setup.sh\nn\n/mnt\n");
    assert_eq!(captured.entries, []);
    assert!(!host.path().join("x").exists());
}

pub fn takes_powers_over_the_host_from_root(scene: &Scene) {
    let (_, output) = scene.change(
        &[],
        "! mount -t tmpfs x /tmp 2>/dev/null; ! hostname other 2>/dev/null; ! ip link set lo down 2>/dev/null
         grep -E 'NoNewPrivs|CapBnd|CapEff' /proc/self/status",
    );
    assert!(output.contains("NoNewPrivs:\t1"), "{output}");
    let sets: Vec<&str> =
        output.lines().filter_map(|line| Some(line.split_once("Cap")?.1.split_once('\t')?.1)).collect();
    assert_eq!(sets.len(), 2, "{output}");
    // SYS_MODULE 16, SYS_RAWIO 17, SYS_ADMIN 21, SYS_BOOT 22, SYS_TIME 25
    let forbidden = 1 << 16 | 1 << 17 | 1 << 21 | 1 << 22 | 1 << 25;
    assert!(sets.iter().all(|set| u64::from_str_radix(set, 16).unwrap() & forbidden == 0), "{output}");
}
