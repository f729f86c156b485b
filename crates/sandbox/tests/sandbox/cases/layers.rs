//! Layers below a script: how many, and how they get there.

use hoopy_sandbox::SandboxError;
use hoopy_store::layer::{Kind, Owner};

use super::find;
use crate::scene::{Layer, Scene};

fn many(count: usize) -> Vec<Layer> {
    (0..count)
        .map(|n| Layer::default().dir("n").file(&format!("n/{n}"), n.to_string().as_bytes(), 0o644))
        .collect()
}

pub fn stacks_400_layers(scene: &Scene) {
    let (_, output) =
        scene.change(&many(400).iter().collect::<Vec<_>>(), "ls /n | grep -c .; cat /n/0 /n/399");
    assert_eq!(output, "400\n0399");
}

pub fn shows_of_1300_layers_what_each_of_them_leaves(scene: &Scene) {
    let mut layers = many(1300);
    let opaque = || Kind::Dir { opaque: true };
    layers[1] = Layer::default().add("n", opaque(), 0o755).file("n/1", b"", 0o644);
    layers[2] = Layer::default().dir("d").file("d/below", b"", 0o644);
    layers[600] = Layer::default().dir("n").add("n/5", Kind::Whiteout, 0);
    layers[700] = Layer::default().file("d", b"in the way", 0o644);
    layers[900] = Layer::default().dir("d").file("d/above", b"", 0o644);
    layers[1000] = Layer::default().add("e", opaque(), 0o755).file("e/f", b"", 0o644);
    layers[1299] = Layer::default().dir("n").add("n/1200", Kind::Whiteout, 0);
    let seen = "ls /n | grep -c .; ls /d; ! test -e /n/0; ! test -e /n/5; ! test -e /n/1200; rm /n/800";
    let (layer, output) = scene.change(&layers.iter().collect::<Vec<_>>(), seen);
    // Of the files all but 0, 2, 5, 600, 700, 900, 1000, 1200 and 1299
    assert_eq!(output, "1291\nabove\n");
    assert_eq!(find(&layer, "n/800").kind, Kind::Whiteout);
}

pub fn refuses_more_deletions_than_overlayfs_stacks(scene: &Scene) {
    let gone = |n: usize| Layer::default().dir("n").add(&format!("n/{n}"), Kind::Whiteout, 0);
    let layers: Vec<Layer> = (0..1000).map(gone).collect();
    let error = scene.run(&layers.iter().collect::<Vec<_>>(), "true").unwrap_err();
    assert!(matches!(error, SandboxError::TooManyLayers { count: 1001 }), "{error}");
}

pub fn unpacks_owners_modes_and_times(scene: &Scene) {
    let dir = Kind::Dir { opaque: false };
    let mut layer = Layer::default()
        .dir("a")
        .file("a/of-another", b"x", 0o644)
        .file("a/private", b"x", 0o600)
        .add("b", dir.clone(), 0o2775)
        .file("b/plain", b"x", 0o644)
        .file("b/setuid", b"x", 0o4755)
        .add("b/open", dir, 0o1777);
    for entry in &mut layer.entries {
        entry.mtime = 1_000_000_000;
        match entry.path.as_bytes() {
            b"a/of-another" => entry.user = Owner::id(7),
            b"b" => entry.group = Owner::id(42),
            _ => {}
        }
    }
    let (_, output) = scene.change(&[&layer], "cd /; stat -c '%n %a %u:%g %Y' a a/* b b/*");
    let expected =
        ["a 755 0:0", "a/of-another 644 7:0", "a/private 600 0:0", "b 2775 0:42", "b/open 1777 0:0"]
            .into_iter()
            .chain(["b/plain 644 0:0", "b/setuid 4755 0:0"]);
    let expected: String = expected.map(|line| format!("{line} 1000000000\n")).collect();
    assert_eq!(output, expected);
}

pub fn unpacks_contents_out_of_a_file(scene: &Scene) {
    let layer = Layer::default().dir("f").file("f/b", b"second", 0o644).file("f/e", b"", 0o644);
    let layer = layer.file("f/a", b"first", 0o644);
    let contents = scene.lowers.parent().unwrap().join("contents");
    std::fs::write(&contents, b"..first.second").unwrap();
    let places = |writer: &mut hoopy_store::layer::stream::Writer<&mut dyn std::io::Write>| {
        layer.entries.iter().zip([0, 8, 0, 2]).try_for_each(|(entry, place)| writer.placed(entry, place))
    };
    let mut session = scene.session();
    let missing = contents.with_extension("missing");
    let error = session.unpack_from(layer.id(), Some(&missing), &mut |writer| places(writer)).unwrap_err();
    assert!(matches!(error, SandboxError::Unpack { .. }), "{error}");
    std::fs::write(&missing, b"..first.sec").unwrap();
    let error = session.unpack_from(layer.id(), Some(&missing), &mut |writer| places(writer)).unwrap_err();
    assert!(matches!(error, SandboxError::Unpack { .. }), "{error}");
    assert!(!session.has(layer.id()));
    // And goes on
    session.unpack_from(layer.id(), Some(&contents), &mut |writer| places(writer)).unwrap();
    let (_, output) = scene.change(&[&layer], "cd /f; cat a b e");
    assert_eq!(output, "firstsecond");
}

pub fn does_not_follow_links_in_a_layer(scene: &Scene) {
    let outside = scene.lowers.parent().unwrap();
    let evil = Layer::default().link("d", outside.to_str().unwrap()).file("d/escaped", b"x", 0o644);
    let mut session = scene.session();
    let error = session.unpack(evil.id(), &mut |writer| evil.write(writer)).unwrap_err();
    assert!(matches!(error, SandboxError::Unpack { .. }), "{error}");
    assert!(error.to_string().contains("d/escaped"), "{error}");
    assert!(!outside.join("escaped").exists() && !session.has(evil.id()));
    // And goes on
    scene.base.unpack(&mut session);
    assert!(session.has(scene.base.id()));
}

pub fn refuses_a_layer_cut_short(scene: &Scene) {
    let mut session = scene.session();
    let id = scene.base.id();
    let error =
        session.unpack(id, &mut |_| Err(std::io::Error::other("the package is corrupt"))).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read layer {id}: the package is corrupt"));
    assert!(!scene.session().has(id));
}

pub fn keeps_lower_layers_as_they_are(scene: &Scene) {
    let (_, first) = scene.change(&[], "cat /etc/passwd; echo x >> /etc/passwd; rm -r /tmp; chmod 700 /etc");
    let (_, second) = scene.change(&[], "cat /etc/passwd; stat -c %a /etc /tmp");
    assert_eq!(second, format!("{first}755\n1777\n"));
}

/// A package that was made to be read as orders: the attribute is longer than a reader takes, and what stands in it where
/// reading would go on is a message that asks for the host's root directory and network.
pub fn takes_no_orders_from_a_layer(scene: &Scene) {
    let mut evil = Layer::default().file("evil", b"x", 0o644);
    let order = [&b"M"[..], &64_u32.to_le_bytes(), &[4; 64]].concat();
    let value: Vec<u8> = std::iter::repeat_n(order, 2000).flatten().collect();
    evil.entries[0].xattrs.insert(b"user.long".to_vec(), value);
    let mut session = scene.session();
    let error = session.unpack(evil.id(), &mut |writer| evil.write(writer)).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("evil: attribute user.long has 138000 bytes, expected at most 65536"),
        "{message}"
    );
    assert!(!session.has(evil.id()));
    let error = session.unpack(scene.base.id(), &mut |writer| scene.base.write(writer)).unwrap_err();
    assert!(matches!(error, SandboxError::HelperDied { .. }), "the session goes on: {error}");
    assert!(!scene.session().has(scene.base.id()));
}

pub fn takes_a_layer_for_what_its_digest_says(scene: &Scene) {
    let trojan = Layer::default().dir("bin").file("bin/sh", b"#!/bin/evil\n", 0o755);
    let mut session = scene.session();
    let id = scene.base.id();
    let error = session.unpack(id, &mut |writer| trojan.write(writer)).unwrap_err();
    assert!(error.to_string().contains(&format!("it has the digest {}", trojan.id())), "{error}");
    assert!(!session.has(id) && !session.has(trojan.id()));
    // Nor are contents that are others than their entries say
    let mut other = trojan.clone();
    other.entries[1].kind =
        Kind::File { size: 12, content: hoopy_base::digest::ContentId::of(b"#!/bin/good\n") };
    let error = session.unpack(other.id(), &mut |writer| other.write(writer)).unwrap_err();
    assert!(error.to_string().contains("bin/sh: its content has the digest "), "{error}");
    assert!(!session.has(other.id()));
    // And goes on
    scene.base.unpack(&mut session);
    assert!(session.has(id));
}
