//! What is captured of what a script does.

use hoopy_store::layer::Kind;

use super::{find, paths};
use crate::scene::{Layer, Scene};

pub fn captures_owners_modes_and_contents(scene: &Scene) {
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

pub fn captures_nothing_of_a_script_that_changes_nothing(scene: &Scene) {
    let (layer, _) =
        scene.change(&[], "ls -lR /etc /dev >/dev/null; echo x > /dev/shm/x; cat /bin/busybox > /dev/null");
    assert_eq!(paths(&layer), [""; 0]);
}

pub fn captures_deletions_and_shows_them_to_the_next_script(scene: &Scene) {
    let more =
        Layer::default().dir("etc").dir("etc/d").file("etc/d/a", b"a", 0o644).file("etc/d/b", b"b", 0o644);
    let (layer, _) = scene.change(&[&more], "rm /etc/d/a; rm /etc/passwd");
    assert_eq!(paths(&layer), ["etc", "etc/d", "etc/d/a", "etc/passwd"]);
    assert_eq!(find(&layer, "etc/d/a").kind, Kind::Whiteout);
    assert_eq!(find(&layer, "etc/passwd").kind, Kind::Whiteout);
    let (_, seen) = scene.change(&[&more, &layer], "ls /etc /etc/d");
    assert_eq!(seen, "/etc:\nd\n\n/etc/d:\nb\n");
}

pub fn captures_a_directory_put_in_the_place_of_another(scene: &Scene) {
    let more = Layer::default().dir("etc").dir("etc/d").file("etc/d/a", b"a", 0o644);
    let (layer, _) = scene.change(&[&more], "rm -r /etc/d; mkdir /etc/d; echo n > /etc/d/new");
    assert_eq!(paths(&layer), ["etc", "etc/d", "etc/d/new"]);
    assert_eq!(find(&layer, "etc").kind, Kind::Dir { opaque: false });
    assert_eq!(find(&layer, "etc/d").kind, Kind::Dir { opaque: true });
    let (_, seen) = scene.change(&[&more, &layer], "ls /etc/d");
    assert_eq!(seen, "new\n");
}

pub fn captures_hard_links_as_links(scene: &Scene) {
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

pub fn keeps_file_capabilities_through_a_copy_up(scene: &Scene) {
    // VFS_CAP_REVISION_2 with the effective bit, CAP_NET_RAW permitted (include/uapi/linux/capability.h)
    let value: Vec<u8> = [0x0200_0001_u32, 1 << 13, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut more = Layer::default().dir("bin").file("bin/ping", b"x", 0o755);
    more.entries[1].xattrs.insert(b"security.capability".to_vec(), value.clone());
    let (layer, _) = scene.change(&[&more], "touch /bin/ping");
    assert_eq!(find(&layer, "bin/ping").xattrs.get(&b"security.capability"[..]), Some(&value));
}

pub fn keeps_all_of_what_has_no_room_in_memory(scene: &Scene) {
    let big = "busybox dd if=/dev/zero of=/big bs=1M count=40";
    // Whether the script stops there or goes on as if nothing were.
    for script in [big.to_owned(), format!("{big} || true; echo x > /etc/x")] {
        let (layer, _) = scene.change(&[], &script);
        assert_eq!(find(&layer, "big").size(), 40 << 20, "{script}");
    }
    // And what made room again.
    let (layer, _) = scene.change(&[], &format!("{big} && rm /big; touch /etc/x"));
    assert_eq!(find(&layer, "etc/x").size(), 0);
}

pub fn captures_device_nodes(scene: &Scene) {
    let (layer, output) = scene.change(
        &[],
        "mkdir -p /var/empty/dev; cd /var/empty; busybox mknod -m 666 dev/null c 1 3; busybox mknod /disk b 259 70000
         busybox mknod /etc/p p; chown 0:5 dev/null; ! busybox mknod dev/null c 1 3 2>/dev/null
         ! busybox mknod /no/such c 1 3 2>/dev/null; stat -c %a dev/null; busybox mknod -m 600 /var/../etc/zero c 1 5
         busybox adduser -D -H x 2>/dev/null || echo 'x:x:9:9::/:/bin/sh' >> /etc/passwd
         ! busybox su x -c 'busybox mknod /tmp/null c 1 3' 2>/dev/null",
    );
    assert_eq!(output, "666\n");
    let null = find(&layer, "var/empty/dev/null");
    assert_eq!((&null.kind, null.mode, null.group.id), (&Kind::Char { major: 1, minor: 3 }, 0o666, 5));
    assert!(null.xattrs.is_empty());
    assert_eq!(find(&layer, "disk").kind, Kind::Block { major: 259, minor: 70_000 });
    assert_eq!(
        (&find(&layer, "etc/zero").kind, find(&layer, "etc/zero").mode),
        (&Kind::Char { major: 1, minor: 5 }, 0o600)
    );
    assert_eq!(find(&layer, "etc/p").kind, Kind::Fifo);
    assert!(!paths(&layer).iter().any(|path| path == "tmp/null"));
    // The next script has none of them
    let (_, seen) = scene.change(&[&layer], "ls /var/empty/dev");
    assert_eq!(seen, "");
}

pub fn names_the_script_whose_changes_no_layer_can_have(scene: &Scene) {
    let error =
        scene.run(&[], "echo its own words; touch \"/etc/$(printf 'a\\nb')\"").unwrap_err().to_string();
    let expected = "test-1.0-r0.post-install: cannot capture a path: \"etc/a\\nb\": ";
    assert!(error.starts_with(expected) && error.ends_with("\nits own words"), "{error}");
}

/// 40,000 paths of 3.9 KB, and as many that they are links to: below 16 directories with a name of 240 bytes each.
pub fn bounds_what_the_names_of_changes_take(scene: &Scene) {
    let body = "cd /etc; name=$(printf %0240d 0); for n in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do mkdir $name; cd $name; done
                mkdir 0; cd 0; busybox seq 1000 | busybox xargs touch; cd ..
                n=1; while [ $n -lt 40 ]; do cp -rl 0 $n; n=$((n+1)); done; echo its own words";
    let error = scene.run(&[], body).unwrap_err().to_string();
    let start = "test-1.0-r0.post-install: cannot capture what it changed: ";
    let expected = "paths and attributes take more than 256 MiB: expected at most 256 MiB\nits own words";
    assert_eq!(error, format!("{start}{expected}"));
}
