//! The image that a command works on: built from what the directory has now, or the newest that is there.

use std::path::{Path, PathBuf};

use hoopy_base::report::Observer;
use hoopy_build::built::Built;
use hoopy_build::config::{BEST, Overrides};
use hoopy_build::road::{self, Options, Output};
use hoopy_build::stack::Stack;
use hoopy_build::target::Target;
use hoopy_build::timeline::Recording;

use super::{Resources, owner, signing, timings};
use crate::args::{self, Build, Global, Scripts};
use crate::error::{CommandError, Result};
use crate::progress::Progress;

/// A finished build, and what it was made of.
pub struct Finished {
    pub target: Target,
    pub options: Options,
    pub resources: Resources,
    pub built: Built,
    /// Where --check or --timings needs it: an image that is up to date is found without.
    pub stack: Option<Stack>,
}

/// Builds as `hoopy build` says.
pub fn build(
    global: &Global,
    own: &Build,
    progress: &Progress,
    recording: Option<&Recording>,
) -> Result<Finished> {
    if let Some(recording) = recording {
        recording.restart();
    }
    let best = own.best.then(|| BEST.to_owned());
    let over = Overrides { compression: best.or(own.compression.clone()), ..Overrides::default() };
    let target = super::target(&own.system.dir, global, over)?;
    let resources = Resources::open(global)?;
    let mut runner = super::runner(global, &target, own.scripts, &resources.store, super::temp())?;
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
        signer: if own.unsigned { None } else { signing::image_signer(&target.system)? },
        agents: owner::agents(),
        owner: Some(owner::keys(&target.system)),
    };
    let context = resources.context(progress);
    let result = if own.check || own.timings.is_some() {
        let both = road::build_with_stack(&target, &options, &mut runner, context);
        both.map(|(built, stack)| (built, Some(stack)))
    } else {
        road::build(&target, &options, &mut runner, context).map(|built| (built, None))
    };
    drop(runner);
    progress.done();
    let (built, stack) = result?;
    if let (Some(file), Some(stack), Some(recording)) = (&own.timings, &stack, recording) {
        timings::write(file, &built, stack, recording)?;
    }
    Ok(Finished { target, options, resources, built, stack })
}

/// What a command needs of the image that it goes on with.
pub struct ImageRequest {
    pub scripts: Scripts,
    pub locked: bool,
    pub version: Option<String>,
}

/// The image of what there is now, which is built unless it is up to date.
pub fn current(
    global: &Global,
    target: &Target,
    request: ImageRequest,
    observer: &dyn Observer,
) -> Result<PathBuf> {
    let ImageRequest { scripts, locked, version } = request;
    let resources = Resources::open(global)?;
    let mut runner = super::runner(global, target, scripts, &resources.store, super::temp())?;
    let options = Options {
        locked,
        output: Output::Uki,
        day: today()?,
        version,
        source: None,
        signer: signing::image_signer(&target.system)?,
        agents: owner::agents(),
        owner: Some(owner::keys(&target.system)),
    };
    Ok(road::build(target, &options, &mut runner, resources.context(observer))?.path)
}

/// The image that was given, or the newest that was built.
pub fn newest(target: &Target, given: Option<&Path>) -> Result<PathBuf> {
    let (images, name) = (target.system.path("images"), &target.image_name);
    let newest = || hoopy_build::image::latest(&images, name);
    given.map(Path::to_owned).or_else(newest).ok_or_else(|| {
        CommandError::failed(format!("no image of {name} in {}", images.display()))
            .hint("build one with `hoopy build`")
    })
}

/// The day in UTC, or that of SOURCE_DATE_EPOCH (reproducible-builds.org).
fn today() -> Result<String> {
    Ok(now()?.strftime("%Y%m%d").to_string())
}

/// The time, or SOURCE_DATE_EPOCH.
pub fn now() -> Result<jiff::Timestamp> {
    Ok(match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            let seconds = text.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            seconds.ok_or_else(|| {
                CommandError::usage(format!("SOURCE_DATE_EPOCH is {text:?}: expected seconds since 1970"))
            })?
        }
        Err(_) => jiff::Timestamp::now(),
    })
}
