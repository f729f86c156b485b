//! Making a difference smaller: first by large pieces, for an index of thousands, then by all that can go.

use super::Case;
use hoopy_apk::{Dependency, Record};

/// Takes away whatever can go while the difference stays.
pub fn shrink(case: &Case, differs: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    for index in 0..best.indexes.len() {
        thin(&mut best, index, differs);
    }
    loop {
        let smaller = candidates(&best).into_iter().find(|smaller| differs(smaller));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Drops runs of records, each half as long as the ones before.
fn thin(best: &mut Case, index: usize, differs: &mut dyn FnMut(&Case) -> bool) {
    let mut length = best.indexes[index].records.len().div_ceil(2);
    while length > 0 {
        let mut at = 0;
        while at < best.indexes[index].records.len() {
            let end = best.indexes[index].records.len().min(at + length);
            let mut smaller = best.clone();
            smaller.indexes[index].records.drain(at..end);
            match differs(&smaller) {
                true => *best = smaller,
                false => at = end,
            }
        }
        length /= 2;
    }
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        all.push(smaller);
    };
    for i in 0..case.world.len() {
        add(&|case| drop(case.world.remove(i)));
        if case.world[i].constraint.is_some() {
            add(&|case| case.world[i].constraint = None);
        }
    }
    for i in 0..case.indexes.len() {
        if case.indexes.len() > 1 {
            add(&|case| drop(case.indexes.remove(i)));
        }
        for j in 0..case.indexes[i].records.len() {
            add(&|case| drop(case.indexes[i].records.remove(j)));
            for list in 0..3 {
                let length = list_of(&mut case.indexes[i].records[j].clone(), list).len();
                for k in 0..length {
                    add(&|case| drop(list_of(&mut case.indexes[i].records[j], list).remove(k)));
                    add(&|case| list_of(&mut case.indexes[i].records[j], list)[k].constraint = None);
                }
            }
            add(&|case| case.indexes[i].records[j].provider_priority = 0);
            add(&|case| case.indexes[i].records[j].arch = "".into());
        }
    }
    let size = |case: &Case| format!("{case:?}").len();
    let before = size(case);
    all.retain(|smaller| size(smaller) < before);
    all
}

fn list_of(record: &mut Record, list: usize) -> &mut Vec<Dependency> {
    match list {
        0 => &mut record.depends,
        1 => &mut record.provides,
        _ => &mut record.install_if,
    }
}
