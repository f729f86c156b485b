//! `hoopy build --watch`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hoopy_base::size;
use hoopy_build::stack::HIDDEN;
use hoopy_build::timeline::Recording;
use hoopy_build::watch::Watch;
use hoopy_vm::{Shown, Vm};

use super::build::{self, Done};
use super::run as machine;
use crate::args::{self, Build, Global};
use crate::error;
use crate::ui::Teller;

/// How often is looked whether the machine has ended by itself.
const LOOK: Duration = Duration::from_secs(1);

/// Builds, and builds again on every change. Only Ctrl-C ends it, and what cannot be watched.
pub fn run(global: &Global, own: &Build, recording: Option<&Recording>) -> anyhow::Result<ExitCode> {
    // Before the first build, so that what changes under it is built next.
    let mut watch = Watch::new(&own.system.dir, &HIDDEN)?;
    let mut session = Session { global, own, recording, made: None, machine: None };
    loop {
        if let Err(e) = session.build() {
            error::report(&e);
        }
        if !global.quiet {
            eprintln!("watching {}: Ctrl-C ends it", own.system.dir.display());
        }
        let changed = session.wait(&mut watch)?;
        if let (Some(first), false) = (changed.first(), global.quiet) {
            let more =
                if changed.len() > 1 { format!(" and {} more", changed.len() - 1) } else { String::new() };
            eprintln!("changed: {}{more}", first.display());
        }
    }
}

struct Session<'a> {
    global: &'a Global,
    own: &'a Build,
    recording: Option<&'a Recording>,
    /// The image that was built here last.
    made: Option<PathBuf>,
    machine: Option<Shown>,
}

impl Session<'_> {
    fn build(&mut self) -> anyhow::Result<()> {
        let done = build::once(self.global, self.own, &Teller::new(self.global.quiet), self.recording)?;
        let built = &done.built;
        if self.global.quiet {
            println!("{}", built.path.display());
        } else {
            let took: Duration = built.timings.0.iter().map(|(_, took)| *took).sum();
            let how =
                if built.unchanged { "up to date".into() } else { format!("{:.2} s", took.as_secs_f64()) };
            println!("{} ({}): {how}", built.path.display(), size::show(built.size));
        }
        if !built.unchanged {
            self.replace(&built.path);
        }
        if self.own.run && (self.machine.is_none() || !built.unchanged) {
            self.boot(&done)?;
        }
        Ok(())
    }

    /// Removes the image that this one is made in place of: saving a hundred times leaves one image.
    fn replace(&mut self, path: &std::path::Path) {
        let before = self.made.replace(path.to_owned());
        if let Some(before) = before.filter(|before| before != path) {
            let _ = fs::remove_file(before);
        }
    }

    fn boot(&mut self, done: &Done) -> anyhow::Result<()> {
        // First the old one: it has the ports and the disks.
        self.machine = None;
        let system = args::System { dir: self.own.system.dir.clone() };
        let own = args::Run {
            system,
            image: Some(done.built.path.clone()),
            memory: None,
            cpus: None,
            ports: Vec::new(),
            until: None,
            within: 0,
        };
        let vm = Vm::prepare(&machine::config(self.global, &done.target, &own)?)?;
        if !self.global.quiet {
            machine::introduce(&done.built.path, &vm);
        }
        self.machine = Some(vm.show()?);
        Ok(())
    }

    /// Waits for a change, and says when the machine has ended meanwhile.
    fn wait(&mut self, watch: &mut Watch) -> anyhow::Result<Vec<PathBuf>> {
        loop {
            let changed = watch.changed(self.machine.as_ref().map(|_| LOOK))?;
            if !changed.is_empty() {
                return Ok(changed);
            }
            let Some(machine) = &mut self.machine else { continue };
            let ended = machine.ended(&mut |text| eprintln!("{text}"));
            if matches!(ended, Ok(None)) {
                continue;
            }
            if let Err(e) = ended {
                error::report(&e.into());
            }
            self.machine = None;
            eprintln!("the machine has ended; it starts again with the next change");
        }
    }
}
