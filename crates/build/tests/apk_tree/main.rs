//! Made-up packages, installed by the real apk and by us: the whole tree, path by path, and the installed database.
//!
//! `cases/NAME.txt` is a world that once differed, or that shows a rule; see `world.rs` for what is in it. Random worlds
//! follow: `HOOPY_APK_TREES` says how many, `HOOPY_APK_SEED` is the first seed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod ours;
mod outcome;
mod random;
mod real;
mod script;
mod world;

use std::path::Path;

use outcome::{Outcome, differences};

/// How the two differ over a world, and whether apk installed it.
fn compare(text: &str) -> (Vec<String>, bool) {
    // In memory: nothing of it lasts.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (files, root, system) = (dir.path().join("p"), dir.path().join("root"), dir.path().join("system"));
    [&files, &root, &system].into_iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    let made = world::make(text, &files);
    let (real, order) = real::install(&files, &root);
    assert!(order.len() == made.len() || real == Outcome::Refused, "apk took {order:?} of\n{text}");
    if order.len() < made.len() {
        // It stopped before all were met: nothing to compare.
        return (Vec::new(), false);
    }
    let packages: Vec<_> =
        order.iter().map(|label| made.iter().find(|m| m.label == *label).unwrap()).collect();
    let ours = ours::install(&packages, &system);
    (differences(&real, &ours), real != Outcome::Refused)
}

/// Whether apk may give files to other users and change its root here.
fn may_install(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        hoopy_testkit::skip(format_args!("{test}: apk gives files to other users, which only root may"));
    }
    root
}

#[test]
fn cases_are_as_apk_makes_them() {
    if !may_install("cases_are_as_apk_makes_them") {
        return;
    }
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apk_tree/cases");
    let mut found = Vec::new();
    for case in std::fs::read_dir(cases).unwrap().map(|e| e.unwrap().path()) {
        let (differences, _) = compare(&std::fs::read_to_string(&case).unwrap());
        found.extend(differences.into_iter().map(|d| format!("{}: {d}", case.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn random_packages_are_as_apk_makes_them() {
    if !may_install("random_packages_are_as_apk_makes_them") {
        return;
    }
    let variable =
        |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (first, count): (u64, u64) = (variable("HOOPY_APK_SEED", 1), variable("HOOPY_APK_TREES", 150));
    let mut installed = 0;
    let mut found = Vec::new();
    for seed in first..first + count {
        let text = random::world(&mut random::Random::new(seed));
        let (differences, was_installed) = compare(&text);
        installed += u64::from(was_installed);
        if !differences.is_empty() {
            found.push(format!("seed {seed}:\n{}\n{text}", differences.join("\n")));
        }
        if found.len() > 3 {
            break;
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    // Agreement on worlds that are all refused would prove nothing.
    assert!(installed * 3 >= count, "only {installed} of {count} worlds can be installed");
}
