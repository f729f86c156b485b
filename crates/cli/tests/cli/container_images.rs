//! The images of declared containers: tags are asked for when the lock is made, and updated when the owner says so.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use hoopy_base::digest::ContentId;
use hoopy_testkit::{Home, package};

const MANIFEST: &str =
    r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json"}]}"#;

const KIND: &str = "application/vnd.oci.image.index.v1+json";

/// A registry that has the image `x:1`, and nothing else.
struct Registry {
    host: String,
    manifest: Arc<Mutex<String>>,
}

impl Registry {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let manifest = Arc::new(Mutex::new(MANIFEST.to_owned()));
        let has = Arc::clone(&manifest);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
                let is_x = first.starts_with("GET /v2/x/manifests/1 ");
                let (status, body) =
                    if is_x { (200, has.lock().unwrap().clone()) } else { (404, String::new()) };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} x\r\nContent-Type: {KIND}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { host, manifest }
    }

    fn image(&self, tag: &str) -> String {
        format!("{}/x:{tag}", self.host)
    }
}

/// A system with one container of this image.
fn home(image: &str) -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let podman = "package podman 5.0-r0\nfile usr/bin/podman 755 x\n";
    package::extended_mirror(&home.path("mirror"), "x86_64", podman);
    let units = home.path("s/root/etc/containers/systemd");
    fs::create_dir_all(&units).unwrap();
    fs::write(home.path("s/packages"), "alpine-base\npodman\n").unwrap();
    fs::write(units.join("web.container"), format!("[Container]\nImage={image}\n")).unwrap();
    home
}

const AT: [&str; 5] = ["--arch", "x86_64", "--mirror", "mirror", "--quiet"];

fn build(home: &Home) -> String {
    home.ok(&[&["build", "s", "--output", "tar"][..], &AT].concat());
    let tars = fs::read_dir(home.path("s/images")).unwrap();
    let tar =
        tars.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "tar"));
    let tar = tar.max().unwrap();
    let script = Command::new("tar").arg("-xOf").arg(tar).arg("usr/libexec/hoopy/containers/web").output();
    String::from_utf8(script.unwrap().stdout).unwrap()
}

#[test]
fn a_tag_is_what_it_was_when_the_lock_was_made_until_it_is_updated() {
    let registry = Registry::new();
    let home = home(&registry.image("1"));
    assert!(home.ok(&[&["lock", "s"][..], &AT].concat()).ends_with(" packages, 1 image\n"));
    let digest = |text: &str| format!("sha256:{}", ContentId::of(text.as_bytes()));
    registry.manifest.lock().unwrap().push('\n');
    let (first, second) = (digest(MANIFEST), digest(&format!("{MANIFEST}\n")));
    assert!(build(&home).contains(&format!("image='{}/x@{first}'", registry.host)));
    let update = || home.ok(&["-C", "s", "update", "--mirror", "../mirror", "--quiet"]);
    assert_eq!(update(), format!("image    {} {first} -> {second}\n", registry.image("1")));
    assert!(build(&home).contains(&second));
    assert!(update().ends_with("no changes\n"));
    // One alone; and packages are updated where no registry answers.
    registry.manifest.lock().unwrap().push('\n');
    let image = registry.image("1");
    let said = home.ok(&["-C", "s", "update", &image, "--mirror", "../mirror", "--quiet"]);
    assert!(said.starts_with(&format!("image    {image} {second} -> ")), "{said}");
    registry.manifest.lock().unwrap().clear();
    let out = home.run(&["-C", "s", "update", "--mirror", "../mirror"]);
    let words = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && words.contains("the lock keeps the digest that it had"), "{words}");
}

#[test]
fn a_digest_beside_a_tag_is_the_owners_and_update_tells_of_a_newer_one() {
    let registry = Registry::new();
    let old = format!("{}@sha256:{}", registry.image("1"), ContentId::of(b"old"));
    let home = home(&old);
    assert!(home.ok(&[&["lock", "s"][..], &AT].concat()).ends_with(" packages\n"), "nothing is asked");
    let said = home.ok(&["-C", "s", "update", "--mirror", "../mirror", "--quiet"]);
    let newer = format!(
        "newer    {} is sha256:{}, and root/etc/containers/systemd/web.container:2 names another\n",
        registry.image("1"),
        ContentId::of(MANIFEST.as_bytes())
    );
    assert!(said.ends_with(&newer), "{said}");
    let said = home.ok(&["-C", "s", "update", "--mirror", "../mirror", "--quiet", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = serde_json::json!([{
        "file": "root/etc/containers/systemd/web.container",
        "line": 2,
        "name": registry.image("1"),
        "sha256": ContentId::of(MANIFEST.as_bytes()).to_string(),
    }]);
    assert_eq!(said["newer"], expected);
}

#[test]
fn a_file_that_names_no_image_is_told_of_when_a_lock_is_made() {
    let home = home("caddy:2");
    let out = home.run(&["lock", "s", "--arch", "x86_64", "--mirror", "mirror"]);
    let words = String::from_utf8_lossy(&out.stderr).into_owned();
    let told = "the lock has no image for root/etc/containers/systemd/web.container:2: expected a registry";
    assert!(out.status.success() && words.contains(told), "{words}");
}

#[test]
fn a_tag_that_is_new_or_nowhere_is_named() {
    let registry = Registry::new();
    let home = home(&registry.image("1"));
    home.ok(&[&["lock", "s"][..], &AT].concat());
    let unit = home.path("s/root/etc/containers/systemd/web.container");
    fs::write(&unit, format!("[Container]\nImage={}\n", registry.image("2"))).unwrap();
    let said = home.fails(3, &[&["build", "s", "--output", "tar"][..], &AT].concat());
    assert!(said.contains(&format!("the image {} is new", registry.image("2"))), "{said}");
    assert!(said.contains("with `hoopy lock`"), "{said}");
    let said = home.fails(5, &[&["lock", "s"][..], &AT].concat());
    assert!(said.contains(&format!("{}: the registry has no such image", registry.image("2"))), "{said}");
}
