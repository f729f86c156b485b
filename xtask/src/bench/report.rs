//! The table, and the file that a machine reads.

use std::fs;
use std::path::Path;

use super::chart;
use super::measure::{Figure, Run};

/// Figures with what they are called, in the order of the table.
const ROWS: [(Figure, &str, &str); 7] = [
    (Figure::Pipeline, "pipeline", "apk add, skeleton, script, cpio, gzip, objcopy"),
    (Figure::Cold, "cold", "hoopy build, packages downloaded and nothing else"),
    (Figure::Script, "setup.sh changed", "hoopy build"),
    (Figure::OneFile, "one file changed", "hoopy build"),
    (Figure::NoChange, "nothing changed", "hoopy build"),
    (Figure::Copy, "limit: copy", "cp of the image"),
    (Figure::Compress, "limit: compress", "zstd -T0 -5 of the unpacked initramfs"),
];

/// Prints the medians of `runs`, beside those of an ordinary user's, and writes them to `file`.
pub fn show(runs: &[Run], as_user: &[Run], file: &Path) -> anyhow::Result<()> {
    let pipeline = median(runs, Figure::Pipeline);
    println!(
        "{:<18}{:>9}  {:>9}  {:>9}  {:>9}  {:>10}  {:>10}  what",
        "", "median", "pipeline", "as user", "pipeline", "memory", "file"
    );
    let mut rows = Vec::new();
    for (figure, name, what) in ROWS {
        let seconds = median(runs, figure);
        let of =
            |get: fn(&Run) -> u64| runs.iter().filter(|r| r.figure == figure).map(get).max().unwrap_or(0);
        let (memory, size) = (of(|r| r.memory), of(|r| r.size));
        let ratio = pipeline / seconds;
        let user = Some(median(as_user, figure)).filter(|seconds| seconds.is_finite());
        let shown = user.map_or_else(
            || format!("{:>9}  {:>9}", "", ""),
            |user| format!("{user:>7.3} s  {:>8.1}x", pipeline / user),
        );
        println!(
            "{name:<18}{seconds:>7.3} s  {ratio:>8.1}x  {shown}  {:>7.1} MB  {:>7.1} MB  {what}",
            memory as f64 / 1e6,
            size as f64 / 1e6
        );
        rows.push(serde_json::json!({
            "name": name, "what": what, "seconds": seconds, "times_faster": ratio,
            "seconds_as_ordinary_user": user, "times_faster_as_ordinary_user": user.map(|user| pipeline / user),
            "peak_memory_bytes": memory, "file_bytes": size,
        }));
    }
    fs::write(file, serde_json::to_vec_pretty(&rows)?)?;
    let bars: Vec<(&str, f64)> =
        ROWS.iter().map(|(figure, name, _)| (*name, median(runs, *figure))).collect();
    let drawn = file.with_file_name("build.svg");
    fs::write(&drawn, chart::draw("hoopy build beside the shell pipeline, in seconds", &bars))?;
    println!("bench: {}, {}", file.display(), drawn.display());
    Ok(())
}

/// Prints what was measured of systems of so many packages, and writes it to `file`.
pub fn scale(systems: &[(usize, Vec<Run>)], file: &Path) -> anyhow::Result<()> {
    println!(
        "{:<10}{:>10}{:>10}{:>12}{:>14}{:>10}{:>12}",
        "packages", "image", "cold", "no change", "one file", "copy", "memory"
    );
    let mut rows = Vec::new();
    for (packages, runs) in systems {
        let [cold, same, one, copy] = [Figure::Cold, Figure::NoChange, Figure::OneFile, Figure::Copy]
            .map(|figure| median(runs, figure));
        let size = runs.iter().map(|r| r.size).max().unwrap_or_default();
        let ours = runs.iter().filter(|r| r.figure != Figure::Copy);
        let memory = ours.map(|r| r.memory).max().unwrap_or_default();
        println!(
            "{packages:<10}{:>7.1} MB{cold:>8.2} s{same:>10.3} s{one:>12.2} s{copy:>8.2} s{:>9.1} MB",
            size as f64 / 1e6,
            memory as f64 / 1e6
        );
        rows.push(serde_json::json!({
            "packages": packages, "image_bytes": size, "cold_seconds": cold, "no_change_seconds": same,
            "one_file_seconds": one, "copy_seconds": copy, "peak_memory_bytes": memory,
        }));
    }
    fs::write(file, serde_json::to_vec_pretty(&rows)?)?;
    println!("bench: {}", file.display());
    Ok(())
}

fn median(runs: &[Run], figure: Figure) -> f64 {
    let mut seconds: Vec<f64> =
        runs.iter().filter(|r| r.figure == figure).map(|r| r.wall.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
