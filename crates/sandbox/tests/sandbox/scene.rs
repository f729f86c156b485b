//! A sandbox in a directory of its own, layers to put in it, and scripts.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use hoopy_base::digest::{ContentId, LayerId};
use hoopy_sandbox::{Captured, Limits, Lowers, Sandbox, SandboxConfig, SandboxError, Script, Session};
use hoopy_store::layer::entry::layer_id;
use hoopy_store::layer::stream::Writer;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use tempfile::TempDir;

pub const BUSYBOX: &str = "bin/busybox";

pub fn loader() -> String {
    format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH)
}

/// The commands that the scripts of the tests use.
const APPLETS: [&str; 26] = [
    "sh", "cat", "chown", "chmod", "cp", "echo", "grep", "hostname", "id", "ip", "ls", "ln", "mkdir",
    "mkfifo", "mount", "mv", "ps", "rm", "rmdir", "sleep", "stat", "test", "touch", "true", "env",
    "readlink",
];

/// A layer that can be unpacked again and again.
#[derive(Clone, Default)]
pub struct Layer {
    pub entries: Vec<Entry>,
    contents: Vec<Vec<u8>>,
}

impl Layer {
    pub fn add(mut self, path: &str, kind: Kind, mode: u32) -> Self {
        self.entries.push(Entry::new(EntryPath::new(path).unwrap(), kind, mode));
        self.contents.push(Vec::new());
        self
    }

    pub fn dir(self, path: &str) -> Self {
        self.add(path, Kind::Dir { opaque: false }, 0o755)
    }

    pub fn file(mut self, path: &str, content: &[u8], mode: u32) -> Self {
        let kind = Kind::File { size: content.len() as u64, content: ContentId::of(content) };
        self = self.add(path, kind, mode);
        *self.contents.last_mut().unwrap() = content.to_vec();
        self
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.add(path, Kind::Symlink(target.into()), 0o777)
    }

    /// What a script changed, as a layer.
    pub fn of(captured: &mut Captured) -> Self {
        let contents = captured.entries.iter().map(|entry| {
            let mut content = vec![0; entry.size() as usize];
            captured.contents.read_exact(&mut content).unwrap();
            if let Kind::File { content: id, .. } = entry.kind {
                assert_eq!(id, ContentId::of(&content), "{}", entry.path);
            }
            content
        });
        let contents = contents.collect();
        let mut end = Vec::new();
        captured.contents.read_to_end(&mut end).unwrap();
        assert!(end.is_empty(), "more content than the entries say");
        Self { entries: captured.entries.clone(), contents }
    }

    pub fn id(&self) -> LayerId {
        layer_id(&self.entries)
    }

    pub fn write(&self, writer: &mut Writer<&mut dyn Write>) -> std::io::Result<()> {
        self.entries
            .iter()
            .zip(&self.contents)
            .try_for_each(|(entry, content)| writer.entry(entry, &mut &content[..]))
    }

    pub fn unpack(&self, session: &mut Session) {
        session.unpack(self.id(), &mut |writer| self.write(writer)).unwrap();
    }
}

/// A sandbox with nothing in it yet.
pub struct Scene {
    pub lowers: PathBuf,
    pub base: Layer,
    pub limits: Limits,
    root: PathBuf,
    _dir: TempDir,
}

impl Scene {
    pub fn new(root: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            lowers: dir.path().join("lowers"),
            base: base(root),
            limits: Limits::default(),
            root: root.into(),
            _dir: dir,
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn sandbox(&self) -> Sandbox {
        sandbox(&self.lowers, self.limits)
    }

    pub fn session(&self) -> Session {
        self.sandbox().session().unwrap()
    }

    /// Runs a script over the base and `layers` in a session of its own.
    pub fn run(&self, layers: &[&Layer], body: &str) -> Result<Captured, SandboxError> {
        let mut session = self.session();
        let lowers = self.lowers(layers, &mut session)?;
        session.run(&lowers, &script(body))
    }

    /// The base and `layers`, unpacked.
    fn lowers(&self, layers: &[&Layer], session: &mut Session) -> Result<Lowers, SandboxError> {
        let all = || std::iter::once(&self.base).chain(layers.iter().copied());
        all().for_each(|layer| layer.unpack(session));
        Lowers::of(all().map(|layer| (layer.id(), &layer.entries[..])))
    }

    /// The base alone, unpacked.
    pub fn alone(&self, session: &mut Session) -> Lowers {
        self.lowers(&[], session).unwrap()
    }

    /// The same, for a script that is to end well. Gives what it changed and what it wrote.
    pub fn change(&self, layers: &[&Layer], body: &str) -> (Layer, String) {
        let mut captured = self.run(layers, body).unwrap_or_else(|e| panic!("{e}"));
        let layer = Layer::of(&mut captured);
        (layer, String::from_utf8(captured.output).unwrap())
    }
}

pub fn sandbox(lowers: &Path, limits: Limits) -> Sandbox {
    let helper = std::env::current_exe().unwrap();
    Sandbox::new(SandboxConfig { helper, lowers: lowers.into(), limits }).unwrap()
}

fn base(root: &Path) -> Layer {
    let read = |path: &str| std::fs::read(root.join(path)).unwrap();
    let mut layer = Layer::default().dir("bin").file(BUSYBOX, &read(BUSYBOX), 0o755);
    for applet in APPLETS {
        layer = layer.link(&format!("bin/{applet}"), "/bin/busybox");
    }
    let layer = layer.dir("etc").file("etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644);
    layer.dir("lib").file(&loader(), &read(&loader()), 0o755).add("tmp", Kind::Dir { opaque: false }, 0o1777)
}

pub fn script(body: &str) -> Script {
    Script {
        name: "test-1.0-r0.post-install".into(),
        body: format!("#!/bin/sh\nset -e\n{body}\n").into_bytes(),
        args: vec![b"1.0-r0".to_vec()],
        env: vec![("PATH".into(), "/bin".into())],
        cwd: "/".into(),
        bind: None,
        hidden: Vec::new(),
        network: false,
    }
}
