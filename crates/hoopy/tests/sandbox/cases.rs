//! The cases, each in a scene of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use hoopy::layer::{Entry, Kind};
use hoopy::sandbox::{Ended, MAX_LAYERS, SandboxError};

use crate::scene::{Layer, Scene, sandbox, script};

type Case = (&'static str, fn(&Scene));

macro_rules! cases {
    ($($name:ident)*) => { &[$((stringify!($name), $name)),*] };
}

pub const ALL: &[Case] = cases! {
    captures_owners_modes_and_contents
    captures_nothing_of_a_script_that_changes_nothing
    captures_deletions_and_shows_them_to_the_next_script
    captures_a_directory_put_in_the_place_of_another
    captures_hard_links_as_links
    keeps_file_capabilities_through_a_copy_up
    gives_no_network_but_a_loopback_device
    gives_the_hosts_network_where_it_is_asked_for
    shows_nothing_of_the_host
    binds_a_directory_read_only_and_runs_the_script_from_it
    takes_powers_over_the_host_from_root
    does_not_wait_for_daemons_left_behind
    shows_the_output_and_line_of_a_failing_script
    tells_a_missing_interpreter_from_a_failure
    goes_on_after_a_failed_script
    names_the_signal_that_killed_a_script
    leaves_nothing_behind_when_killed
    removes_what_another_boot_unpacked
    stacks_400_layers
    stacks_as_many_layers_as_it_says_and_no_more
    does_not_follow_links_in_a_layer
    refuses_a_layer_cut_short
    keeps_lower_layers_as_they_are
    clears_unpacked_layers_that_nobody_uses
    runs_sessions_side_by_side
};

fn find<'a>(layer: &'a Layer, path: &str) -> &'a Entry {
    let found = layer.entries.iter().find(|entry| entry.path.as_bytes() == path.as_bytes());
    found.unwrap_or_else(|| panic!("no {path} in {:?}", paths(layer)))
}

fn paths(layer: &Layer) -> Vec<String> {
    layer.entries.iter().map(|entry| entry.path.to_string()).collect()
}

fn captures_owners_modes_and_contents(scene: &Scene) {
    let (layer, output) = scene.change(
        &[],
        "mkdir -p /var/lib/x; echo hello $1 > /var/lib/x/f; chown 100:65534 /var/lib/x/f; chmod 4751 /var/lib/x/f
         ln -s f /var/lib/x/l; chown -h 7:8 /var/lib/x/l; mkfifo /var/lib/x/p; touch -d @1234567890 /var/lib/x/f
         chown 42 /etc/passwd; id -u; stat -c %u:%a /tmp",
    );
    assert_eq!(output, "0\n0:1777\n");
    assert_eq!(
        paths(&layer),
        ["etc", "etc/passwd", "var", "var/lib", "var/lib/x", "var/lib/x/f", "var/lib/x/l", "var/lib/x/p"]
    );
    let file = find(&layer, "var/lib/x/f");
    assert_eq!((file.user.id, file.group.id, file.mode, file.mtime), (100, 65534, 0o4751, 1_234_567_890));
    assert_eq!(file.size(), "hello 1.0-r0\n".len() as u64);
    let link = find(&layer, "var/lib/x/l");
    assert_eq!((link.user.id, link.group.id, &link.kind), (7, 8, &Kind::Symlink(b"f".to_vec())));
    assert_eq!(find(&layer, "var/lib/x/p").kind, Kind::Fifo);
    assert_eq!((find(&layer, "etc/passwd").user.id, find(&layer, "etc/passwd").size()), (42, 22));
    assert!(layer.entries.iter().all(|entry| entry.xattrs.is_empty()), "overlayfs's own attributes show");
    // And the next script sees just that
    let (_, seen) = scene.change(&[&layer], "stat -c '%n %u:%g %a %Y' /var/lib/x/f; cat /var/lib/x/f");
    assert_eq!(seen, "/var/lib/x/f 100:65534 4751 1234567890\nhello 1.0-r0\n");
}

fn captures_nothing_of_a_script_that_changes_nothing(scene: &Scene) {
    let (layer, _) =
        scene.change(&[], "ls -lR /etc /dev >/dev/null; echo x > /dev/shm/x; cat /bin/busybox > /dev/null");
    assert_eq!(paths(&layer), [""; 0]);
}

fn captures_deletions_and_shows_them_to_the_next_script(scene: &Scene) {
    let more =
        Layer::default().dir("etc").dir("etc/d").file("etc/d/a", b"a", 0o644).file("etc/d/b", b"b", 0o644);
    let (layer, _) = scene.change(&[&more], "rm /etc/d/a; rm /etc/passwd");
    assert_eq!(paths(&layer), ["etc", "etc/d", "etc/d/a", "etc/passwd"]);
    assert_eq!(find(&layer, "etc/d/a").kind, Kind::Whiteout);
    assert_eq!(find(&layer, "etc/passwd").kind, Kind::Whiteout);
    let (_, seen) = scene.change(&[&more, &layer], "ls /etc /etc/d");
    assert_eq!(seen, "/etc:\nd\n\n/etc/d:\nb\n");
}

fn captures_a_directory_put_in_the_place_of_another(scene: &Scene) {
    let more = Layer::default().dir("etc").dir("etc/d").file("etc/d/a", b"a", 0o644);
    let (layer, _) = scene.change(&[&more], "rm -r /etc/d; mkdir /etc/d; echo n > /etc/d/new");
    assert_eq!(paths(&layer), ["etc", "etc/d", "etc/d/new"]);
    assert_eq!(find(&layer, "etc").kind, Kind::Dir { opaque: false });
    assert_eq!(find(&layer, "etc/d").kind, Kind::Dir { opaque: true });
    let (_, seen) = scene.change(&[&more, &layer], "ls /etc/d");
    assert_eq!(seen, "new\n");
}

fn captures_hard_links_as_links(scene: &Scene) {
    let (layer, _) =
        scene.change(&[], "echo x > /etc/z; ln /etc/z /etc/a; ln /etc/z /tmp/m; ln /etc/passwd /etc/p");
    assert!(matches!(find(&layer, "etc/a").kind, Kind::File { size: 2, .. }));
    assert_eq!(find(&layer, "etc/z").kind, Kind::Hardlink(find(&layer, "etc/a").path.clone()));
    assert_eq!(find(&layer, "tmp/m").kind, Kind::Hardlink(find(&layer, "etc/a").path.clone()));
    assert!(matches!(find(&layer, "etc/p").kind, Kind::File { size: 22, .. }));
    assert_eq!(find(&layer, "etc/passwd").kind, Kind::Hardlink(find(&layer, "etc/p").path.clone()));
    let (_, seen) = scene.change(&[&layer], "stat -c %h /etc/z /etc/p; cat /tmp/m");
    assert_eq!(seen, "3\n2\nx\n");
}

fn keeps_file_capabilities_through_a_copy_up(scene: &Scene) {
    // VFS_CAP_REVISION_2 with the effective bit, CAP_NET_RAW permitted (include/uapi/linux/capability.h)
    let value: Vec<u8> = [0x0200_0001_u32, 1 << 13, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut more = Layer::default().dir("bin").file("bin/ping", b"x", 0o755);
    more.entries[1].xattrs.insert(b"security.capability".to_vec(), value.clone());
    let (layer, _) = scene.change(&[&more], "touch /bin/ping");
    assert_eq!(find(&layer, "bin/ping").xattrs.get(&b"security.capability"[..]), Some(&value));
}

fn gives_no_network_but_a_loopback_device(scene: &Scene) {
    let (_, output) = scene.change(&[], "ip -o link | grep -c .; ip link show lo; ls /sys/class/net");
    assert!(output.starts_with("1\n"), "{output}");
    assert!(output.contains("LOOPBACK,UP"), "{output}");
    assert!(output.ends_with("lo\n"), "{output}");
}

fn gives_the_hosts_network_where_it_is_asked_for(scene: &Scene) {
    let mut online = script("cat /etc/resolv.conf; ls /proc/self/ns -l | grep net");
    online.network = true;
    let mut session = scene.session();
    let base = scene.base.unpack(&mut session);
    let captured = session.run(&[base], &online).unwrap_or_else(|e| panic!("{e}"));
    let output = String::from_utf8(captured.output).unwrap();
    let rest = output.strip_prefix(&fs::read_to_string("/etc/resolv.conf").unwrap()).unwrap();
    let hosts = fs::read_link("/proc/self/ns/net").unwrap();
    assert!(rest.trim_end().ends_with(hosts.to_str().unwrap()), "{output}");
    assert_eq!(captured.entries, []);
}

fn shows_nothing_of_the_host(scene: &Scene) {
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

fn binds_a_directory_read_only_and_runs_the_script_from_it(scene: &Scene) {
    let host = tempfile::tempdir_in(scene.lowers.parent().unwrap()).unwrap();
    fs::write(host.path().join("neighbour"), "n\n").unwrap();
    fs::write(host.path().join("setup.sh"), "#!/bin/sh\necho not this one").unwrap();
    let mut setup =
        script("echo $0; cat neighbour; ! touch x 2>/dev/null; ! chmod 700 /mnt 2>/dev/null; pwd");
    setup.name = "setup.sh".into();
    (setup.bind, setup.cwd) = (Some(host.path().into()), "/mnt".into());
    let mut session = scene.session();
    let base = scene.base.unpack(&mut session);
    let captured = session.run(&[base], &setup).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(String::from_utf8_lossy(&captured.output), "/mnt/setup.sh\nn\n/mnt\n");
    assert_eq!(captured.entries, []);
    assert!(!host.path().join("x").exists());
}

fn takes_powers_over_the_host_from_root(scene: &Scene) {
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

fn does_not_wait_for_daemons_left_behind(scene: &Scene) {
    let start = Instant::now();
    let (_, output) = scene.change(&[], "sleep 1000 & (sleep 1001 &) ; echo done");
    assert_eq!(output, "done\n");
    assert!(start.elapsed() < Duration::from_secs(60));
}

fn shows_the_output_and_line_of_a_failing_script(scene: &Scene) {
    let error = scene.run(&[], "echo before\nno-such-command\necho after").unwrap_err();
    let message = error.to_string();
    let SandboxError::ScriptFailed { name, ended, line, output } = error else { panic!("{message}") };
    assert_eq!((name.as_str(), ended, line), ("test-1.0-r0.post-install", Ended::Exit(127), Some(4)));
    assert!(output.starts_with(b"before\n") && !output.ends_with(b"after\n"));
    assert!(
        message.starts_with("test-1.0-r0.post-install failed with exit status 127 at line 4\nbefore\n"),
        "{message}"
    );
}

fn tells_a_missing_interpreter_from_a_failure(scene: &Scene) {
    let mut session = scene.session();
    let base = scene.base.unpack(&mut session);
    let mut other = script("");
    other.body = b"#!/usr/bin/python3 -u\nprint()\n".to_vec();
    let error = session.run(&[base], &other).unwrap_err();
    assert!(
        matches!(&error, SandboxError::NoInterpreter { interpreter, .. } if interpreter == "/usr/bin/python3 -u"),
        "{error}"
    );
    other.body = b"echo hello\n".to_vec();
    assert!(matches!(session.run(&[base], &other).unwrap_err(), SandboxError::NoShebang { .. }));
    other.body = b"#!/etc/passwd\n".to_vec();
    assert!(matches!(session.run(&[base], &other).unwrap_err(), SandboxError::CannotExecute { .. }));
}

fn goes_on_after_a_failed_script(scene: &Scene) {
    let mut session = scene.session();
    let base = scene.base.unpack(&mut session);
    assert!(session.run(&[base], &script("exit 3")).is_err());
    assert!(session.run(&[base, hoopy::digest::LayerId::of(b"x")], &script("")).is_err());
    let mut elsewhere = script("true");
    elsewhere.cwd = "/no/such".into();
    let error = session.run(&[base], &elsewhere).unwrap_err();
    assert!(error.to_string().starts_with("cannot enter /no/such: "), "{error}");
    assert!(session.run(&[base], &script("true")).is_ok());
}

fn names_the_signal_that_killed_a_script(scene: &Scene) {
    let error = scene.run(&[], "kill -9 $$").unwrap_err();
    assert!(matches!(error, SandboxError::ScriptFailed { ended: Ended::Signal(9), .. }), "{error}");
}

/// Dies with the case, however that ends.
struct Victim(std::process::Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other side of the next case.
pub fn be_killed(dir: &Path) -> ExitCode {
    let scene = Scene::new(dir);
    let mut session = sandbox(&dir.join("lowers")).session().unwrap();
    let base = scene.base.unpack(&mut session);
    let _ = session.run(&[base], &script("touch /started; sleep 1000 & sleep 1000"));
    ExitCode::FAILURE
}

fn leaves_nothing_behind_when_killed(scene: &Scene) {
    let dir = scene.lowers.parent().unwrap();
    for file in [crate::scene::BUSYBOX.to_owned(), crate::scene::loader()] {
        fs::create_dir_all(dir.join(&file).parent().unwrap()).unwrap();
        fs::copy(scene.root().join(&file), dir.join(&file)).unwrap();
    }
    let victim = Command::new(std::env::current_exe().unwrap()).arg("--victim").arg(dir).spawn().unwrap();
    let mut victim = Victim(victim);
    // Two helpers, PID 1, the script's shell and what it started
    wait_until("the script runs", || descendants(victim.0.id()).len() >= 6);
    let family = descendants(victim.0.id());
    assert_eq!(work_dirs(&scene.lowers).len(), 1);
    victim.0.kill().unwrap();
    victim.0.wait().unwrap();
    wait_until("all processes are gone", || {
        family
            .iter()
            .all(|pid| !fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()))
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*scene.lowers.to_string_lossy()), "{mounts}");
    // Whatever is left of the directory, the next session takes away
    let mut session = scene.session();
    assert_eq!(work_dirs(&scene.lowers).len(), 1);
    let base = scene.base.unpack(&mut session);
    assert!(session.run(&[base], &script("true")).is_ok());
    drop(session);
    assert_eq!(work_dirs(&scene.lowers).len(), 0);
}

fn work_dirs(lowers: &Path) -> Vec<std::path::PathBuf> {
    let dirs = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    dirs(lowers)
        .flat_map(|boot| {
            dirs(&boot).filter(|path| path.to_string_lossy().contains("/work-")).collect::<Vec<_>>()
        })
        .collect()
}

fn descendants(of: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let all: Vec<u32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
        .collect();
    let is_below =
        |pid: &u32| std::iter::successors(Some(*pid), |pid| parent(*pid)).skip(1).any(|pid| pid == of);
    all.into_iter().filter(is_below).collect()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn removes_what_another_boot_unpacked(scene: &Scene) {
    let mut session = scene.session();
    scene.base.unpack(&mut session);
    drop(session);
    let current =
        fs::read_dir(&scene.lowers).unwrap().map(|e| e.unwrap()).find(|e| e.path().is_dir()).unwrap();
    let name = current.file_name().into_string().unwrap();
    let other = scene.lowers.join(name.replacen(&name[..8], "00000000", 1));
    fs::rename(current.path(), &other).unwrap();
    let session = scene.session();
    assert!(!other.exists() && current.path().exists());
    assert!(!session.has(scene.base.id()));
}

fn many(count: usize) -> Vec<Layer> {
    (0..count)
        .map(|n| Layer::default().dir("n").file(&format!("n/{n}"), n.to_string().as_bytes(), 0o644))
        .collect()
}

fn stacks_400_layers(scene: &Scene) {
    let (_, output) =
        scene.change(&many(400).iter().collect::<Vec<_>>(), "ls /n | grep -c .; cat /n/0 /n/399");
    assert_eq!(output, "400\n0399");
}

fn stacks_as_many_layers_as_it_says_and_no_more(scene: &Scene) {
    let mut layers = many(MAX_LAYERS - 1);
    let id = layers.len() - 1;
    layers[id] = Layer::default().dir("n").add("n/0", Kind::Whiteout, 0);
    layers[1] = Layer::default().add("n", Kind::Dir { opaque: true }, 0o755).file("n/0", b"", 0o644);
    let (layer, output) =
        scene.change(&layers.iter().collect::<Vec<_>>(), "ls /n | grep -c .; ! test -e /n/0; rm /n/5");
    assert_eq!(output, format!("{}\n", layers.len() - 3));
    assert_eq!(find(&layer, "n/5").kind, Kind::Whiteout);
    layers.push(Layer::default().dir("extra"));
    let error = scene.run(&layers.iter().collect::<Vec<_>>(), "true").unwrap_err();
    assert!(matches!(error, SandboxError::TooManyLayers { .. }), "{error}");
}

fn does_not_follow_links_in_a_layer(scene: &Scene) {
    let outside = scene.lowers.parent().unwrap();
    let evil = Layer::default().link("d", outside.to_str().unwrap()).file("d/escaped", b"x", 0o644);
    let mut session = scene.session();
    let error = session.unpack(evil.id(), &mut |writer| evil.write(writer)).unwrap_err();
    assert!(matches!(error, SandboxError::Unpack { .. }), "{error}");
    assert!(error.to_string().contains("d/escaped"), "{error}");
    assert!(!outside.join("escaped").exists() && !session.has(evil.id()));
    // And goes on
    assert!(scene.base.unpack(&mut session) == scene.base.id());
}

fn refuses_a_layer_cut_short(scene: &Scene) {
    let mut session = scene.session();
    let id = scene.base.id();
    let error =
        session.unpack(id, &mut |_| Err(std::io::Error::other("the package is corrupt"))).unwrap_err();
    assert_eq!(error.to_string(), format!("read layer {id}: the package is corrupt"));
    assert!(!scene.session().has(id));
}

fn keeps_lower_layers_as_they_are(scene: &Scene) {
    let (_, first) = scene.change(&[], "cat /etc/passwd; echo x >> /etc/passwd; rm -r /tmp; chmod 700 /etc");
    let (_, second) = scene.change(&[], "cat /etc/passwd; stat -c %a /etc /tmp");
    assert_eq!(second, format!("{first}755\n1777\n"));
}

fn clears_unpacked_layers_that_nobody_uses(scene: &Scene) {
    let sandbox = scene.sandbox();
    let mut session = sandbox.session().unwrap();
    let base = scene.base.unpack(&mut session);
    assert!(!sandbox.clear().unwrap() && session.has(base));
    drop(session);
    assert!(sandbox.clear().unwrap());
    assert!(!sandbox.session().unwrap().has(base));
}

fn runs_sessions_side_by_side(scene: &Scene) {
    let sandbox = scene.sandbox();
    let start = Instant::now();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut session = sandbox.session().unwrap();
                let base = scene.base.unpack(&mut session);
                session.run(&[base], &script("echo x > /etc/x; sleep 1")).unwrap()
            });
        }
    });
    assert!(start.elapsed() < Duration::from_secs(30));
}
