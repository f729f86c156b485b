//! `hoopy build --watch`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hoopy_base::size;
use hoopy_build::stack::UNREAD;
use hoopy_build::timeline::Recording;
use hoopy_build::watch::Watch;
use hoopy_vm::{Shown, Vm};

use super::image::{self, Finished};
use super::run as machine;
use crate::args::{self, Build, Global};
use crate::error::{Exit, Result};
use crate::output::{note, print, report};
use crate::progress::Progress;

/// How often to check whether the machine has stopped.
const POLL: Duration = Duration::from_secs(1);

/// Builds, and builds again on every change. Only Ctrl-C ends it, and what cannot be watched.
pub fn run(global: &Global, own: &Build, recording: Option<&Recording>) -> Result<Exit> {
    // Before the first build, so that what changes under it is built next.
    let mut watch = Watch::new(&own.system.dir, &UNREAD)?;
    let mut session = Session { global, own, recording, image: None, machine: None };
    loop {
        if let Err(e) = session.build() {
            report(&e);
        }
        if !global.quiet {
            note(format!("watching {}: press Ctrl-C to stop", own.system.dir.display()));
        }
        let changed = session.wait(&mut watch)?;
        if let (Some(first), false) = (changed.first(), global.quiet) {
            let more =
                if changed.len() > 1 { format!(" and {} more", changed.len() - 1) } else { String::new() };
            note(format!("changed: {}{more}", first.display()));
        }
    }
}

struct Session<'a> {
    global: &'a Global,
    own: &'a Build,
    recording: Option<&'a Recording>,
    /// The image that was built last.
    image: Option<PathBuf>,
    machine: Option<Shown>,
}

impl Session<'_> {
    fn build(&mut self) -> Result<()> {
        let progress = Progress::new(self.global.quiet);
        let finished = image::build(self.global, self.own, &progress, self.recording)?;
        let built = &finished.built;
        if self.global.quiet {
            print(format!("{}\n", built.path.display()))?;
        } else {
            let took: Duration = built.timings.0.iter().map(|(_, took)| *took).sum();
            let how =
                if built.unchanged { "up to date".into() } else { format!("{:.2} s", took.as_secs_f64()) };
            print(format!("{} ({}): {how}\n", built.path.display(), size::show(built.facts.size)))?;
        }
        if !built.unchanged {
            self.replace(&built.path);
        }
        if self.own.run && (self.machine.is_none() || !built.unchanged) {
            self.boot(&finished)?;
        }
        Ok(())
    }

    /// Removes the image that this one replaces: saving a hundred times leaves one image.
    fn replace(&mut self, path: &std::path::Path) {
        let previous = self.image.replace(path.to_owned());
        if let Some(previous) = previous.filter(|previous| previous != path) {
            let _ = fs::remove_file(previous);
        }
    }

    fn boot(&mut self, finished: &Finished) -> Result<()> {
        // The old machine first: it has the ports and the disks.
        self.machine = None;
        let system = args::System { dir: self.own.system.dir.clone() };
        let own = args::Run {
            system,
            image: Some(finished.built.path.clone()),
            memory: None,
            cpus: None,
            ports: Vec::new(),
            secure_boot: false,
            tpm: false,
            fresh: false,
            until: None,
            within: 0,
        };
        let vm = Vm::prepare(&machine::config(self.global, &finished.target, &own)?)?;
        if !self.global.quiet {
            machine::introduce(&finished.built.path, &vm);
        }
        self.machine = Some(vm.show()?);
        Ok(())
    }

    /// Waits for a change, and says when the machine has stopped in the meantime.
    fn wait(&mut self, watch: &mut Watch) -> Result<Vec<PathBuf>> {
        loop {
            let changed = watch.changed(self.machine.as_ref().map(|_| POLL))?;
            if !changed.is_empty() {
                return Ok(changed);
            }
            let Some(machine) = &mut self.machine else { continue };
            let ended = machine.ended(&mut |text| note(text));
            if matches!(ended, Ok(None)) {
                continue;
            }
            if let Err(e) = ended {
                report(&e.into());
            }
            self.machine = None;
            note("the machine has stopped; it starts again with the next change");
        }
    }
}
