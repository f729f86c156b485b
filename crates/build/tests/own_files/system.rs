//! A system directory over made-up packages.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use hoopy_base::arch::Arch;
use hoopy_base::jobs::Jobs;
use hoopy_base::report::{Event, Observer, Timings};
use hoopy_build::check;
use hoopy_build::config::{Overrides, System};
use hoopy_build::context::Context;
use hoopy_build::fetch::Client;
use hoopy_build::stack::{Inputs, Runner, Stack, StackError, fold};
use hoopy_build::target::Target;
use hoopy_build::working_tree::WorkingTree;
use hoopy_sandbox::{Captured, SandboxError, Script};
use hoopy_store::Store;
use hoopy_store::layer::package::{PackageFile, import};
use hoopy_store::layer::{Entry, EntryPath, Layer};

use crate::script::Commands;
use crate::world;

/// A system directory in a home of its own.
pub struct Directory {
    home: tempfile::TempDir,
}

/// What came of it.
pub struct Built {
    pub stack: Stack,
    pub store: Arc<Store>,
    pub warnings: String,
    /// The scripts that ran, each with its arguments.
    pub ran: Vec<String>,
}

impl Directory {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let new = Self { home };
        new.write("packages", "");
        new
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("s").join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn git(&self, args: &[&str]) {
        let mut command = Command::new("git");
        command.args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "init.defaultBranch=main",
        ]);
        let out = command.arg("-C").arg(self.path("")).args(args).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    pub fn build(&self, packages: &str) -> Result<Built, StackError> {
        let files = self.home.path().join("p");
        fs::create_dir_all(&files).unwrap();
        let store = Arc::new(Store::open(&self.home.path().join("store")).unwrap());
        let imported = world::make(packages, &files).into_iter().map(|made| {
            let sha256 = store.put_blob(&made.bytes).unwrap();
            let file = PackageFile { name: made.label, sha256, size: made.bytes.len() as u64 };
            Arc::new(import(&file, &store).unwrap())
        });
        let packages = imported.collect();
        let system = System::load(&self.path(""), &Overrides::default()).unwrap();
        let tree = WorkingTree::ask(&self.path("")).answer();
        let (arch, epoch) = (Arch::X86_64, 1_790_000_000);
        let inputs = Inputs {
            system: &system,
            arch,
            epoch,
            boots: false,
            packages,
            keys: Vec::new(),
            images: &[],
            agents: &[],
            tree: &tree,
        };
        let (client, jobs, heard) = (Client::default(), Jobs::new(1), Heard::default());
        let context = Context { store: &store, client: &client, jobs: &jobs, observer: &heard };
        let mut runner = Recorder::default();
        let stack = fold(&inputs, &mut runner, &|_, _| {}, &mut Timings::default(), context)?;
        Ok(Built { stack, store, warnings: heard.0.into_inner().unwrap(), ran: runner.0 })
    }
}

impl Directory {
    /// What `check` finds in what was built.
    pub fn findings(&self, built: &Built) -> Vec<String> {
        let system = System::load(&self.path(""), &Overrides::default()).unwrap();
        let target = Target::resolve(system, Some(Arch::X86_64)).unwrap();
        let findings = check::image(&target, &built.stack, &built.store).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }
}

impl Built {
    pub fn entry(&self, path: &str) -> &Entry {
        self.stack.tree.get(&EntryPath::new(path).unwrap()).unwrap_or_else(|| panic!("no {path}"))
    }

    /// Mode, user and group of what is at `path`.
    pub fn access(&self, path: &str) -> (u32, u32, u32) {
        self.entry(path).access()
    }

    pub fn text(&self, path: &str) -> String {
        let text = self.stack.read(&EntryPath::new(path).unwrap(), &self.store).unwrap();
        String::from_utf8(text.unwrap_or_else(|| panic!("no {path}"))).unwrap()
    }
}

#[derive(Default)]
struct Heard(Mutex<String>);

impl Observer for Heard {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            *self.0.lock().unwrap() += &format!("{text}\n");
        }
    }
}

/// Runs the commands of scripts, and notes which ran.
#[derive(Default)]
struct Recorder(Vec<String>);

impl Runner for Recorder {
    fn run(
        &mut self,
        layers: &[Layer],
        script: &Script,
        context: Context<'_>,
    ) -> Result<Captured, SandboxError> {
        let args = script.args.iter().map(|arg| format!(" {}", String::from_utf8_lossy(arg)));
        self.0.push(format!("{}{}", script.name, args.collect::<String>()));
        Commands.run(layers, script, context)
    }
}
