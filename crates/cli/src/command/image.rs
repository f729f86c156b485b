//! The image that a command works on: built from what the directory has now, or the newest that is there.

use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::report::{Observer, spans};
use hoopy_build::built::Built;
use hoopy_build::config::{BEST, Overrides, System};
use hoopy_build::road::{self, Options, Output};
use hoopy_build::stack::Stack;
use hoopy_store::Store;

use super::timings;
use crate::args::{self, Build, Global, Scripts};
use crate::error::{CommandError, Result};
use crate::progress::Progress;

/// A finished build, and what it was made of.
pub struct Finished {
    pub system: System,
    pub options: Options,
    pub store: Store,
    pub built: Built,
    /// Where --check or --timings needs it: an image that is up to date is found without.
    pub stack: Option<Stack>,
}

/// Builds as `hoopy build` says.
pub fn build(global: &Global, own: &Build, progress: &Progress) -> Result<Finished> {
    let best = own.best.then(|| BEST.to_owned());
    let over = Overrides { compression: best.or(own.compression.clone()), ..Overrides::default() };
    let system = super::system(&own.system.dir, global, over)?;
    let store = super::store(global)?;
    let mut runner = super::runner(&system, own.scripts, &store, super::temp(), progress)?;
    let options = Options {
        locked: own.locked,
        output: match own.output {
            args::Output::Uki => Output::Uki,
            args::Output::KernelAndInitramfs => Output::KernelAndInitramfs,
            args::Output::Tar => Output::Tar,
        },
        day: today()?,
        version: own.image_version.clone(),
        source: None,
    };
    if own.timings.is_some() {
        spans::record();
    }
    let result = if own.check || own.timings.is_some() {
        let both = road::build_with_stack(&system, &options, &store, &mut runner, progress);
        both.map(|(built, stack)| (built, Some(stack)))
    } else {
        road::build(&system, &options, &store, &mut runner, progress).map(|built| (built, None))
    };
    drop(runner);
    progress.done();
    let (built, stack) = result?;
    if let (Some(file), Some(stack)) = (&own.timings, &stack) {
        timings::write(file, &built, stack)?;
    }
    Ok(Finished { system, options, store, built, stack })
}

/// What a command needs of the image that it goes on with.
pub struct Request {
    pub scripts: Scripts,
    pub locked: bool,
    pub version: Option<String>,
}

/// The image of what there is now, which is built unless it is up to date.
pub fn current(
    global: &Global,
    system: &System,
    request: Request,
    observer: &dyn Observer,
) -> Result<PathBuf> {
    let Request { scripts, locked, version } = request;
    let store = super::store(global)?;
    let mut runner = super::runner(system, scripts, &store, super::temp(), observer)?;
    let options = Options { locked, output: Output::Uki, day: today()?, version, source: None };
    Ok(road::build(system, &options, &store, &mut runner, observer)?.path)
}

/// The image that was given, or the newest that was built under `name`.
pub fn newest(system: &System, given: Option<&Path>, name: &str) -> Result<PathBuf> {
    let images = system.path("images");
    let newest = || hoopy_build::image::latest(&images, name);
    given.map(Path::to_owned).or_else(newest).ok_or_else(|| {
        CommandError::failed(format!("no image of {name} in {}", images.display()))
            .hint("build one with `hoopy build`")
    })
}

/// The name of the system's images for this architecture.
pub fn name(system: &System, arch: Arch) -> Result<String> {
    let (_, lock) = hoopy_build::locking::place(system)?;
    Ok(hoopy_build::locking::image_name(system, arch, &lock))
}

/// The day in UTC, or that of SOURCE_DATE_EPOCH (reproducible-builds.org).
fn today() -> Result<String> {
    let now = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            let seconds = text.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            seconds.ok_or_else(|| {
                CommandError::usage(format!("SOURCE_DATE_EPOCH is {text:?}: expected seconds since 1970"))
            })?
        }
        Err(_) => jiff::Timestamp::now(),
    };
    Ok(now.strftime("%Y%m%d").to_string())
}
