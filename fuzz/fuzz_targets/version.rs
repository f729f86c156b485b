//! Versions and dependencies, one a line: the order is one, and what is read is written and read again as the same.
#![no_main]

use hoopy_apk::{Dependency, Version};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.lines().take(3).collect();
    let versions: Vec<Version> = lines.iter().map(|line| Version::new(line)).collect();
    for a in &versions {
        for b in &versions {
            if a.is_valid() && b.is_valid() {
                assert_eq!(a.compare(b), b.compare(a).reverse(), "{a} {b}");
            }
        }
    }
    for line in &lines {
        let Ok(dependency) = line.parse::<Dependency>() else { continue };
        let again: Dependency = dependency.to_string().parse().expect("what was written");
        assert_eq!(again, dependency);
        let _ = versions.iter().filter(|v| dependency.satisfied_by(Some(v))).count();
    }
});
