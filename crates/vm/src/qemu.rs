//! QEMU as long as it runs: its process, its machine protocol, and what it writes to standard error.
//!
//! [`Qemu::end`] tells at any moment, without waiting, whether the machine still runs, and if not, in which of the four
//! ways it ended. Everybody who waits for something of a machine asks that at every tick.
//!
//! A machine that is emulated ends where it would be reset, and is started again. A reset in place may look like a
//! hang: QEMU (7.2, TCG) keeps what it translated of the system before, and each byte that the firmware writes while
//! it unpacks itself over that memory is looked up among it (`page_collection_lock`, accel/tcg/translate-all.c). Where
//! that memory held much that ran, firmware that needs a second otherwise was still at it after 90. A new process has
//! nothing to look up.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use super::accelerator::Accelerator;
use super::error::VmError;
use super::fault::Fault;
use super::kvm;
use super::process::{Guard, Guarded};
use super::qmp::{Ended, INTERNAL_ERROR, Paused, Qmp, Shared};

/// Most that is read of QEMU's standard error. Where it fails under KVM, all registers of each processor are there.
const SAID_MAX: u64 = 16 << 10;

/// A machine under KVM says its first word within two seconds. One that needs longer than this on a busy computer is
/// not faster than one that is emulated.
const HUNG: Duration = Duration::from_secs(60);

/// The file with QEMU's standard error, in the machine's directory.
pub const STDERR: &str = "qemu.stderr";

/// What is to be started.
pub struct Start<'a> {
    /// QEMU.
    pub program: &'a Path,
    /// For the files of [`Guard`].
    pub temp: &'a Path,
    /// The machine's directory, which is removed should this process be killed.
    pub dir: &'a Path,
    /// What its command line says.
    pub accelerator: Accelerator,
    /// Whether it is started again under TCG where KVM fails.
    pub may_fall_back: bool,
    /// How long nothing is asked of it. QEMU (7.2) may hang for ever at its end (`monitor_cleanup`, monitor/monitor.c) where the machine
    /// ends while it answers.
    pub silent: Duration,
}

/// A running QEMU. Dropping it ends it.
#[derive(Debug)]
pub struct Qemu {
    guarded: Guarded,
    qmp: Qmp,
    program: PathBuf,
    stderr: PathBuf,
    accelerator: Accelerator,
    may_fall_back: bool,
    /// Ends after QEMU: its TPM.
    _beside: Option<Guarded>,
    /// Goes after QEMU.
    _dir: Option<TempDir>,
}

/// How a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was reset, and QEMU was told to end then.
    Reset,
    /// It was switched off.
    Off(ExitStatus),
    /// QEMU ended by itself.
    Died(ExitStatus),
    /// It does not go on.
    Paused(Paused),
}

impl Qemu {
    /// Starts it. `prepare` adds arguments and says where standard input and output go.
    ///
    /// # Errors
    /// [`VmError::Start`], [`VmError::Io`], [`VmError::PathNotUtf8`].
    pub fn start(start: &Start<'_>, prepare: impl FnOnce(&mut Command)) -> Result<Self, VmError> {
        let stderr = start.dir.join(STDERR);
        let errors = File::create(&stderr).map_err(VmError::io("create", &stderr))?;
        let qmp = Qmp::listen(start.dir, start.silent)?;
        let guard = Guard::new(start.temp, Some(start.dir))?;
        let mut command = guard.command(start.program);
        command.args(qmp.args()?).stderr(errors);
        prepare(&mut command);
        let guarded = guard.spawn(command)?;
        let (program, accelerator) = (start.program.to_owned(), start.accelerator);
        Ok(Self {
            guarded,
            qmp,
            program,
            stderr,
            accelerator,
            may_fall_back: start.may_fall_back,
            _beside: None,
            _dir: None,
        })
    }

    /// Keeps a directory until QEMU has ended.
    pub fn keeping(self, dir: TempDir) -> Self {
        Self { _dir: Some(dir), ..self }
    }

    /// Keeps a process until QEMU has ended.
    pub fn beside(self, process: Option<Guarded>) -> Self {
        Self { _beside: process, ..self }
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        self.guarded.child()
    }

    /// What QEMU reports, for somebody who waits elsewhere.
    pub fn state(&self) -> Shared {
        self.qmp.state()
    }

    /// How the process ended, if it did.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// How the machine ended, if it did.
    pub fn end(&mut self) -> Option<End> {
        let Some(status) = self.exit_status() else {
            return self.qmp.state().paused().map(End::Paused);
        };
        Some(match self.qmp.ended() {
            Some(Ended::Reset) => End::Reset,
            Some(Ended::Off) => End::Off(status),
            None if status.success() => End::Off(status),
            None => End::Died(status),
        })
    }

    /// Whether the machine stopped though nobody told it to.
    pub fn fault(&mut self) -> Option<Fault> {
        let end = self.end()?;
        let kvm = self.accelerator == Accelerator::Kvm && self.is_kvms(&end);
        if !kvm && !matches!(end, End::Paused(_)) {
            return None;
        }
        let what = self.describe(&end);
        let falls_back = kvm && self.may_fall_back;
        if falls_back {
            kvm::remember_failure(&self.program, &what);
        }
        Some(Fault { what, kvm, falls_back })
    }

    /// The fault of a machine that runs and does nothing, though it has had a minute and more: there are KVMs under which
    /// a guest turns in circles for ever. Only where the machine can be started again without: it may just be slow.
    pub fn hung(&self, since: Duration) -> Option<Fault> {
        let falls_back = self.accelerator == Accelerator::Kvm && self.may_fall_back && since >= HUNG;
        if !falls_back {
            return None;
        }
        let what =
            format!("nothing came from the machine for {} s, and QEMU says that it runs", HUNG.as_secs());
        kvm::remember_failure(&self.program, &what);
        Some(Fault { what, kvm: true, falls_back })
    }

    /// Whether such an end, of a machine under KVM, is KVM's doing. A QEMU that ends for another reason, as a port
    /// that is taken, does so under TCG too.
    fn is_kvms(&self, end: &End) -> bool {
        match end {
            End::Reset | End::Off(_) => false,
            End::Paused(paused) => paused.status == INTERNAL_ERROR,
            End::Died(status) => {
                let crashed = [Some(SIGABRT), Some(SIGSEGV)].contains(&status.signal());
                crashed || self.said().to_ascii_lowercase().contains("kvm")
            }
        }
    }

    /// An end in words, with what QEMU said about it, in one line.
    pub fn describe(&self, end: &End) -> String {
        let what = match end {
            End::Reset => "the machine was reset".to_owned(),
            End::Off(status) => format!("QEMU ended ({status})"),
            End::Died(status) => format!("QEMU ended by itself ({status})"),
            End::Paused(Paused { status, disk_error: None }) => format!("QEMU paused the machine ({status})"),
            End::Paused(Paused { status, disk_error: Some(why) }) => {
                format!("QEMU paused the machine ({status}: {why})")
            }
        };
        match self.telling_line() {
            Some(line) => format!("{what}: {line}"),
            None => what,
        }
    }

    /// What QEMU wrote to standard error, as far as anybody would want to see it.
    pub fn said(&self) -> String {
        let mut said = Vec::new();
        let file = File::open(&self.stderr);
        let _ = file.and_then(|file| file.take(SAID_MAX).read_to_end(&mut said));
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    /// The line of it that says most.
    pub fn telling_line(&self) -> Option<String> {
        telling_line(&self.said())
    }

    /// What an error that says "nothing happened" adds: accelerator and state.
    pub fn facts(&self) -> String {
        let status = self.qmp.state().status();
        let status = status.as_deref().unwrap_or("not known: QEMU does not answer");
        format!("accelerator: {}, state: {status}", self.accelerator)
    }
}

/// signal(7)
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

/// The line of QEMU's standard error that says most: the first that tells of an error (registers follow it), else the
/// last.
fn telling_line(said: &str) -> Option<String> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    lines().find(|line| line.contains("error")).or_else(|| lines().next_back()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
