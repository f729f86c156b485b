//! `hoopy build --check`.

use std::sync::Arc;

use hoopy_build::built::Built;
use hoopy_build::context::Context;
use hoopy_build::reproduce::{self, Difference, SecondPlace};
use hoopy_build::road::{self, Options};
use hoopy_store::Store;
use serde::Serialize;

use super::image::Finished;
use crate::args::{Build, Global};
use crate::error::{CommandError, Exit, Result};
use crate::output::{print, print_json};
use crate::progress::Progress;

/// What is printed as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    built: &'a Built,
    reproducible: bool,
    difference: Option<&'a Difference>,
}

pub fn run(global: &Global, own: &Build, first: &Finished, progress: &Progress) -> Result<Exit> {
    let difference = difference(global, own, first, progress)?;
    let reproducible = difference.is_none();
    if own.json {
        print_json(&Answer { built: &first.built, reproducible, difference: difference.as_ref() })?;
    } else if let Some(difference) = &difference {
        print(text(difference))?;
    } else if global.quiet {
        print(format!("{}\n", first.built.path.display()))?;
    } else {
        print(format!("{}: reproducible: built twice, with the same result\n", first.built.path.display()))?;
    }
    Ok(if reproducible { Exit::Success } else { Exit::Differs })
}

fn difference(
    global: &Global,
    own: &Build,
    first: &Finished,
    progress: &Progress,
) -> Result<Option<Difference>> {
    let elsewhere = SecondPlace::new(&first.target, &first.resources.store, &super::temp())?;
    let store = Arc::new(Store::open(&elsewhere.store)?);
    let version = version(first)?;
    let source = Some(first.target.system.dir.clone());
    let options = Options { locked: true, version: Some(version), source, ..first.options.clone() };
    let mut runner =
        super::runner(global, &elsewhere.target, own.scripts, &first.resources.store, super::temp())?;
    let context = Context { store: &store, ..first.resources.context(progress) };
    let second = road::build_with_stack(&elsewhere.target, &options, &mut runner, context);
    drop(runner);
    progress.done();
    let (built, stack) = second?;
    let mine = first
        .stack
        .as_ref()
        .ok_or_else(|| CommandError::failed("the first build kept no layers to compare"))?;
    let layers = reproduce::compare((mine, &first.resources.store), (&stack, &store))?;
    let same = || reproduce::compare_images(&first.built.path, &built.path);
    Ok(layers.map_or_else(same, |difference| Ok(Some(difference)))?)
}

/// The version of the image that is there: the other one gets the same.
fn version(first: &Finished) -> Result<String> {
    let name = &first.target.image_name;
    let stem = first.built.path.file_stem().unwrap_or_default().to_string_lossy();
    let version = stem.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    version.map(str::to_owned).ok_or_else(|| {
        CommandError::failed(format!(
            "{}: expected an image called {name}-VERSION",
            first.built.path.display()
        ))
    })
}

fn text(difference: &Difference) -> String {
    let mut out = match &difference.path {
        Some(path) => format!("not reproducible: /{path}: {}\n", difference.how),
        None => format!("not reproducible: {}\n", difference.how),
    };
    out += &format!("  layer     {}\n", difference.layer);
    out += &format!("  first     {}\n", difference.first);
    out += &format!("  second    {}\n", difference.second);
    if difference.path.is_some() {
        out += &format!("  cause     perhaps: {}\n", difference.cause.advice());
    }
    if !difference.others.is_empty() {
        let more =
            if difference.more > 0 { format!(", and {} more", difference.more) } else { String::new() };
        out += &format!("  also      {}{more}\n", difference.others.join(", "));
    }
    out
}
