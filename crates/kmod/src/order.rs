//! The order of modules, and which need which.

use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{Error, Module, text};

/// kmod counts modules in 16 bits.
const MAX_MODULES: usize = u16::MAX as usize - 1;

/// Exported symbols, and the module that has each: of several the last in order.
pub type Exports<'m> = HashMap<&'m [u8], usize, RandomState>;

/// The modules as `modules.order` has them, which names them without what their compression added. One that it leaves
/// out comes last.
pub fn sorted(modules: Vec<Module>, order: &[u8]) -> Result<Vec<Module>, Error> {
    if modules.len() > MAX_MODULES {
        return Err(Error::TooLarge { what: "the number of modules".into(), most: MAX_MODULES });
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = modules.iter().find(|module| !names.insert(module.name.as_slice())) {
        return Err(Error::Duplicate(twice.name.escape_ascii().to_string()));
    }
    let mut places: HashMap<&[u8], usize, RandomState> = HashMap::default();
    let bad = |line: &[u8]| {
        let (list, line) = ("modules.order", line.escape_ascii().to_string());
        Error::List { list, line, expected: "lines, each a module's path" }
    };
    for (place, line) in order.split_inclusive(|b| *b == b'\n').enumerate() {
        let path = line.strip_suffix(b"\n").ok_or_else(|| bad(line))?;
        text::checked(path, || "modules.order".to_owned())?;
        places.insert(path, place);
    }
    let place =
        |module: &Module| places.get(module.path.strip_suffix(b".gz").unwrap_or(&module.path)).copied();
    let mut placed: Vec<(usize, Module)> =
        modules.into_iter().map(|module| (place(&module).unwrap_or(usize::MAX), module)).collect();
    let without = placed.iter().filter(|(place, _)| *place == usize::MAX).count();
    if without > 1 {
        return Err(Error::NotOrdered(without));
    }
    placed.sort_by_key(|(place, _)| *place);
    Ok(placed.into_iter().map(|(_, module)| module).collect())
}

/// Who exports what.
pub fn exports(modules: &[Module]) -> Exports<'_> {
    let mut owners = Exports::default();
    for (index, module) in modules.iter().enumerate() {
        module.exports.iter().for_each(|name| {
            owners.insert(name, index);
        });
    }
    owners
}

/// Which modules each needs, itself or through others, in the order in which they are written: first the one that
/// needs others.
pub fn dependencies(modules: &[Module], exports: &Exports<'_>) -> Result<Vec<Vec<usize>>, Error> {
    let direct: Vec<Vec<usize>> = modules.iter().map(|module| owners(module, exports)).collect();
    let places = places(modules, &direct)?;
    let mut needed_by = vec![usize::MAX; modules.len()];
    let all = |index: usize| {
        let (mut all, mut open) = (Vec::new(), vec![index]);
        while let Some(next) = open.pop() {
            for needed in direct.get(next).into_iter().flatten() {
                let seen = needed_by.get_mut(*needed).map(|by| std::mem::replace(by, index));
                if seen != Some(index) {
                    all.push(*needed);
                    open.push(*needed);
                }
            }
        }
        all.sort_by_key(|needed| places.get(*needed));
        all
    };
    Ok((0..modules.len()).map(all).collect())
}

/// The modules that have what `module` needs, each once, in the order of its symbols. A leading dot is an
/// architecture's way to say that it is a function.
fn owners(module: &Module, exports: &Exports<'_>) -> Vec<usize> {
    let mut owners = Vec::new();
    for name in module.needs.iter() {
        let Some(owner) = exports.get(name.strip_prefix(b".").unwrap_or(name)) else { continue };
        if !owners.contains(owner) {
            owners.push(*owner);
        }
    }
    owners
}

/// Each module's place in a topological order that begins with what nobody needs. Whatever is ready last is taken
/// first, as depmod does it: the order of independent modules shows in its files.
fn places(modules: &[Module], direct: &[Vec<usize>]) -> Result<Vec<usize>, Error> {
    let mut users = vec![0usize; direct.len()];
    for needed in direct.iter().flatten() {
        if let Some(count) = users.get_mut(*needed) {
            *count += 1;
        }
    }
    let mut ready: Vec<usize> = users.iter().enumerate().filter(|(_, n)| **n == 0).map(|(i, _)| i).collect();
    let mut places = vec![usize::MAX; direct.len()];
    let mut next = 0;
    while let Some(module) = ready.pop() {
        if let Some(place) = places.get_mut(module) {
            *place = next;
        }
        next += 1;
        for needed in direct.get(module).into_iter().flatten() {
            let Some(count) = users.get_mut(*needed) else { continue };
            *count -= 1;
            if *count == 0 {
                ready.push(*needed);
            }
        }
    }
    match modules.iter().zip(&places).find(|(_, place)| **place == usize::MAX) {
        Some((module, _)) => Err(Error::Cycle(module.name.escape_ascii().to_string())),
        None => Ok(places),
    }
}
