//! `hoopy build --check`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use hoopy_build::built::Built;
use hoopy_build::context::Context;
use hoopy_build::reproduce::{self, Difference, SecondPlace};
use hoopy_build::road::{self, Options};
use hoopy_store::Store;
use serde::Serialize;

use super::build::Done;
use crate::args::{Build, Global};
use crate::error::DIFFERS;
use crate::ui::{Teller, put, put_json};

/// What is printed as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    built: &'a Built,
    reproducible: bool,
    difference: Option<&'a Difference>,
}

pub fn run(global: &Global, own: &Build, first: &Done, teller: &Teller) -> anyhow::Result<ExitCode> {
    let difference = difference(global, own, first, teller)?;
    let reproducible = difference.is_none();
    if own.json {
        put_json(&Answer { built: &first.built, reproducible, difference: difference.as_ref() })?;
    } else if let Some(difference) = &difference {
        put(&told(difference))?;
    } else if global.quiet {
        println!("{}", first.built.path.display());
    } else {
        println!("{}: built twice, in different places: the same bytes", first.built.path.display());
    }
    Ok(if reproducible { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

fn difference(
    global: &Global,
    own: &Build,
    first: &Done,
    teller: &Teller,
) -> anyhow::Result<Option<Difference>> {
    let elsewhere = SecondPlace::new(&first.target, &first.resources.store, &super::temp())?;
    let store = Arc::new(Store::open(&elsewhere.store)?);
    let version = version(first)?;
    let source = Some(first.target.system.dir.clone());
    let options = Options { locked: true, version: Some(version), source, ..first.options.clone() };
    let mut runner =
        super::runner(global, &elsewhere.target, own.scripts, &first.resources.store, super::temp())?;
    let context = Context { store: &store, ..first.resources.context(teller) };
    let second = road::build_with_stack(&elsewhere.target, &options, &mut runner, context);
    drop(runner);
    teller.done();
    let (built, stack) = second?;
    let mine = first.stack.as_ref().context("no stack of the first build")?;
    let layers = reproduce::compare((mine, &first.resources.store), (&stack, &store))?;
    let same = || reproduce::compare_images(&first.built.path, &built.path);
    Ok(layers.map_or_else(same, |difference| Ok(Some(difference)))?)
}

/// The version of the image that is there: the other one gets the same.
fn version(first: &Done) -> anyhow::Result<String> {
    let name = &first.target.image_name;
    let stem = first.built.path.file_stem().unwrap_or_default().to_string_lossy();
    let version = stem.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    version
        .map(str::to_owned)
        .with_context(|| format!("{}: an image of another name", first.built.path.display()))
}

fn told(difference: &Difference) -> String {
    let mut out = match &difference.path {
        Some(path) => format!("not reproducible: /{path}: {}\n", difference.how),
        None => format!("not reproducible: {}\n", difference.how),
    };
    out += &format!("  layer     {}\n", difference.layer);
    out += &format!("  once      {}\n", difference.first);
    out += &format!("  again     {}\n", difference.second);
    if difference.path.is_some() {
        out += &format!("  perhaps   {}\n", difference.cause.advice());
    }
    if !difference.others.is_empty() {
        let more =
            if difference.more > 0 { format!(", and {} more", difference.more) } else { String::new() };
        out += &format!("  also      {}{more}\n", difference.others.join(", "));
    }
    out
}
