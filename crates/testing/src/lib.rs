//! `hoopy test`: the image is booted as it is, looked at, and every script of `tests/` is run inside it.
//!
//! ```text
//! image ── another command line ──▶ machine ◀── virtio port ──▶ checks, scripts ──▶ TestReport ──▶ JUnit
//!          bootstrap                machine      channel         checks, session     report     junit
//! ```
//!
//! There is no agent in the image, no network is needed and nobody has to log in. What is booted is the image's own
//! file with one section exchanged, the command line; every other byte, and so kernel and initramfs, is the one that
//! will be shipped. The new command line has the image's own shell leave a process behind that waits at a virtio port,
//! before it becomes the init that was to run, with the same arguments and environment (`bootstrap`). Through the
//! port the host types what that shell is to do (`channel`, `agent.sh`). What differs from a boot of the real thing:
//! `/proc/cmdline`, one more process, and `/run/hoopy-test` while scripts run.
//!
//! The machine is not trusted: what it says is bounded, and every wait has an end. It is gone when the test run is over,
//! or when this process is, in whatever way ([`hoopy_vm::process`]).

mod bootstrap;
mod capture;
mod channel;
mod checks;
mod enrolled;
mod error;
mod facts;
mod junit;
mod limits;
mod machine;
mod report;
mod scripts;
mod session;

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use hoopy_base::arch::Arch;
use hoopy_base::jobs as parallel;
use hoopy_boot::state;
use hoopy_disk::{esp_line, fstab, populate};
use hoopy_uki::{Section, read_headers, read_section};
use hoopy_vm::{
    Acceleration, Accelerator, BlankDisk, Boot, Handover, KeptPartition, Network, Places, Platform, VmConfig,
    process, scratch,
};

use enrolled::Enrolled;

pub use bootstrap::BootstrapError;
pub use error::TestRunError;
pub use junit::junit;
pub use limits::Limits;
pub use report::{Origin, Phases, TestOutcome, TestReport, Verdict};
pub use scripts::{Directory, Part, ScriptsError, Test};

/// The exit status by which a script says that it found nothing out, as automake's tests have it.
pub const SKIPPED: &str = "77";

/// Longest command line that is read from an image: more than any kernel takes.
const MAX_COMMAND_LINE: u64 = 64 << 10;

/// A test run to be made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The image.
    pub image: PathBuf,
    /// `tests/`: all of it goes into the machine.
    pub directory: PathBuf,
    /// The tests of it that are run.
    pub tests: Directory,
    /// Memory of the machine, in bytes.
    pub memory: u64,
    /// Processors of the machine; none for as many as are usual with its accelerator.
    pub cpus: Option<u32>,
    /// What the machine reaches.
    pub network: Network,
    /// How many network cards it has.
    pub nics: u32,
    /// Its blank disks.
    pub disks: Vec<BlankDisk>,
    /// The image's `/etc/fstab`: the machine gets an empty disk for each that it names.
    pub fstab: Vec<u8>,
    /// Where `hoopy.toml` says that the EFI system partition is mounted.
    pub esp: Option<String>,
    /// The identity that opens the machine's secrets, where it gets one.
    pub identity: Option<Handover>,
    /// With Secure Boot: a disk whose boot loader enrolls keys, with the image in the form that [`command_line`] says, signed.
    pub enrolling: Option<PathBuf>,
    /// Whether the machine has a TPM, and its secrets have to be open.
    pub tpm: bool,
    /// A backup that the machine restores at its first boot.
    pub restore: Option<Restore>,
    /// How long a script and a boot may take.
    pub limits: Limits,
    /// Whether the machine is rebooted after the tests, and all is tested once more.
    pub reboot: bool,
    /// How many machines run at a time.
    pub jobs: usize,
    /// Where the consoles' logs are written: a directory, made if it is not there.
    pub logs: PathBuf,
    /// Which accelerator.
    pub acceleration: Acceleration,
    /// Where QEMU and firmware are.
    pub places: Places,
    /// Where temporary directories are made.
    pub temp: PathBuf,
}

/// A backup for the machine under test.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The filesystem that it goes to, as `fstab` names it.
    pub spec: String,
    /// The archive, in the clear.
    pub file: Arc<File>,
    /// Bytes that it holds once it is unpacked.
    pub room: u64,
}

impl Restore {
    /// How large a disk must be: the archive, what it holds, and as much again to work with.
    fn size(&self) -> u64 {
        let packed = self.file.metadata().map_or(0, |meta| meta.len());
        (2 * (packed + self.room)).max(scratch::DEFAULT_SIZE)
    }

    /// Puts it on the new disk that keeps the state.
    fn put(&self, disks: &[scratch::ScratchDisk], places: &Places) -> Result<(), TestRunError> {
        let Some(disk) = disks.iter().find(|disk| disk.spec.to_string() == self.spec) else {
            return Err(TestRunError::Restore(format!("expected a disk for {}, found none", self.spec)));
        };
        let path = format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd());
        let put =
            populate::put(&disk.path, Path::new(&path), (state::HOME, state::RESTORE), &places.programs);
        put.map_err(|error| TestRunError::Restore(error.to_string()))
    }
}

/// Who is told how a test run goes. Called from several threads.
pub trait Watch: Sync {
    /// Something worth a line: the accelerator, a machine that is silent or is started again.
    fn note(&self, text: &str);
    /// The machine of hoopy's own checks is up, for the first time.
    fn booted(&self, phases: &Phases);
    /// A test is over.
    fn ended(&self, outcome: &TestOutcome);
}

/// Which machines an image is for.
///
/// # Errors
/// [`TestRunError::Image`], [`TestRunError::Io`].
pub fn arch(image: &Path) -> Result<Arch, TestRunError> {
    let mut file = File::open(image).map_err(TestRunError::io("open", image))?;
    let (headers, ..) =
        read_headers(&mut file).map_err(|source| TestRunError::Image { path: image.to_owned(), source })?;
    Ok(headers.machine.into())
}

/// Runs the tests.
///
/// # Errors
/// [`TestRunError`] where nothing could be tested. That a machine does not boot, or a test fails, is in the report.
pub fn run(settings: &Settings, watch: &dyn Watch) -> Result<TestReport, TestRunError> {
    let started = Instant::now();
    let arch = arch(&settings.image)?;
    let line = command_line(&settings.image)?;
    let dir = tempfile::Builder::new().prefix("hoopy-test-").tempdir_in(&settings.temp);
    let dir = dir.map_err(TestRunError::io("make a directory in", &settings.temp))?;
    // The disks go even when this process is killed
    let _guard = process::Guard::new(&settings.temp, Some(dir.path()))?;
    fs::create_dir_all(&settings.logs).map_err(TestRunError::io("create", &settings.logs))?;
    let (parts, scripts): (Vec<Test>, Vec<Test>) =
        settings.tests.tests.iter().cloned().partition(|test| test.parts.len() > 1);
    let choice = hoopy_vm::choose(settings.acceleration, arch, &settings.places, &settings.temp)?;
    watch.note(&choice.to_string());
    let mut run = TestRun { settings, watch, arch, line, disks: dir.path().to_owned(), enrolled: None };
    if let Some(disk) = &settings.enrolling {
        let config = run.config(Boot::Disk(disk.clone()));
        run.enrolled = Some(Enrolled::by(disk, config, settings, dir.path(), watch)?);
    }
    let first = Job::All(scripts);
    let jobs: Vec<Job> = std::iter::once(first).chain(parts.into_iter().map(Job::Parts)).collect();
    let mut found = run.all(&jobs)?;
    let mut report = TestReport { took: started.elapsed(), ..TestReport::default() };
    report.logs = jobs.iter().map(|job| run.log(job)).collect();
    for ended in &mut found {
        report.outcomes.append(&mut ended.outcomes);
        report.boot = report.boot.or(ended.boot);
        report.accelerator = report.accelerator.or(ended.accelerator);
    }
    Ok(report)
}

/// What a machine is started for.
enum Job {
    /// hoopy's checks, and all tests of one part.
    All(Vec<Test>),
    /// A test with reboots between its parts.
    Parts(Test),
}

/// What came of it.
#[derive(Default)]
struct Ended {
    outcomes: Vec<TestOutcome>,
    boot: Option<Phases>,
    /// What the machine ran with.
    accelerator: Option<Accelerator>,
    /// Why all this counts for nothing: KVM failed, and the job is to be done again under TCG.
    falls_back: Option<String>,
}

struct TestRun<'a> {
    settings: &'a Settings,
    watch: &'a dyn Watch,
    arch: Arch,
    line: String,
    disks: PathBuf,
    enrolled: Option<Enrolled>,
}

impl TestRun<'_> {
    /// A machine without disks of its own.
    fn config(&self, boot: Boot) -> VmConfig {
        let settings = self.settings;
        VmConfig {
            cpus: settings.cpus,
            network: settings.network,
            nics: settings.nics,
            acceleration: settings.acceleration,
            places: settings.places.clone(),
            temp: settings.temp.clone(),
            ..VmConfig::new(self.arch, boot, settings.memory)
        }
    }

    /// Does all jobs, so many at a time; what came of them, in their order.
    fn all(&self, jobs: &[Job]) -> Result<Vec<Ended>, TestRunError> {
        let numbered: Vec<(usize, &Job)> = jobs.iter().enumerate().collect();
        let threads = self.settings.jobs.clamp(1, jobs.len().max(1));
        parallel::map_on(threads, &numbered, |&(at, job)| self.job(at, job))
    }

    /// Does the job in a machine; where that stops under a KVM that was not asked for, once more from the start.
    fn job(&self, at: usize, job: &Job) -> Result<Ended, TestRunError> {
        loop {
            let ended = self.attempt(at, job)?;
            match ended.falls_back {
                Some(why) => self.watch.note(&why),
                None => return Ok(ended),
            }
        }
    }

    /// Starts a machine with empty disks, and does the job in it.
    fn attempt(&self, at: usize, job: &Job) -> Result<Ended, TestRunError> {
        let settings = self.settings;
        let dir = self.disks.join(at.to_string());
        let size = settings.restore.as_ref().map_or(scratch::DEFAULT_SIZE, Restore::size);
        let mounts = fstab::parse(&settings.fstab);
        let esp = esp_line::of(&mounts, settings.esp.as_deref(), &[]);
        let blank = scratch::blank(&dir, &settings.disks)?;
        let disks = scratch::make(&dir, &mounts, esp, size, &settings.places)?.with(blank);
        if let Some(restore) = &settings.restore {
            restore.put(&disks.disks, &settings.places)?;
        }
        let unavailable = disks.skipped.iter().map(|(mount, _)| mount.spec.to_string()).collect();
        let (boot, variables) = match &self.enrolled {
            Some(enrolled) => {
                let (boot, variables) = enrolled.copy(&dir)?;
                (boot, Some(variables))
            }
            None => (Boot::WithCommandLine(settings.image.clone(), self.line.clone()), None),
        };
        let config = VmConfig {
            partition: esp.map(|line| KeptPartition::of(line, &dir, scratch::DEFAULT_SIZE)),
            disks: disks.disks,
            platform: Platform { variables, tpm: settings.tpm.then(|| dir.join("tpm")) },
            identity: settings.identity.clone(),
            ..self.config(boot)
        };
        let session = session::Session { settings, watch: self.watch, unavailable };
        let machine = machine::Machine::start(config, &self.log(job), secret()?)?;
        let accelerator = machine.as_ref().ok().map(machine::Machine::accelerator);
        let ended = match job {
            Job::All(scripts) => session.all(machine, scripts),
            Job::Parts(test) => session.parts(machine, test),
        };
        // The disks of a job that is done are nobody's
        let _ = fs::remove_dir_all(&dir);
        ended.map(|ended| Ended { accelerator, ..ended })
    }

    fn log(&self, job: &Job) -> PathBuf {
        self.settings.logs.join(match job {
            Job::All(_) => "console.log".to_owned(),
            Job::Parts(test) => format!("console-{}.log", test.name),
        })
    }
}

/// What the image is booted with.
///
/// # Errors
/// [`TestRunError`].
pub fn command_line(image: &Path) -> Result<String, TestRunError> {
    let arch = arch(image)?;
    let mut file = File::open(image).map_err(TestRunError::io("open", image))?;
    let own = read_section(&mut file, Section::Cmdline, MAX_COMMAND_LINE)
        .map_err(|source| TestRunError::Image { path: image.to_owned(), source })?;
    let own = String::from_utf8_lossy(&own);
    bootstrap::command_line(&own, arch)
        .map_err(|source| TestRunError::CommandLine { path: image.to_owned(), source })
}

/// What no output holds by chance.
fn secret() -> Result<String, TestRunError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 12];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(TestRunError::io("read", path))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}
