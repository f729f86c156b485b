//! What a script finds around it, and what it may do.

use std::fs;

use crate::scene::{Scene, script};

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
    assert!(counts[1] <= 12, "mounts: root, proc, sys, dev, pts and six devices: {output}");
    assert!(counts[2] <= 5, "processes: PID 1, the script and what it runs: {output}");
}

pub fn reaches_no_file_of_the_helpers(scene: &Scene) {
    // PID 1 may just be closing what it started the script with.
    let (_, output) = scene.change(&[], "for fd in /proc/1/fd/*; do readlink $fd || true; done");
    let harmless = |line: &str| line.starts_with("pipe:") || line.ends_with("null");
    assert!(output.lines().count() >= 3 && output.lines().all(harmless), "{output}");
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
