//! What `hoopy doctor` shows: a line for each check, the command below it where something is missing, and what follows.

use hoopy_base::arch::Arch;
use hoopy_base::terminal::harmless_line;

use super::check::{Check, Diagnosis, ScriptPlace, Subject};
use crate::output::Colour;

/// Wide enough for the longest name of a check.
const NAME: usize = 17;

/// The screen, in pieces with their colours. A quiet one has what is missing, and the conclusions.
pub fn lines(report: &Diagnosis, quiet: bool) -> Vec<(Colour, String)> {
    let mut pieces = Vec::new();
    if !quiet {
        pieces.push((Colour::Bold, format!("{}\n\n", report.system)));
    }
    for check in report.checks.iter().filter(|check| !(quiet && check.ok)) {
        let (colour, word) = if check.ok { (Colour::Green, "ok") } else { (Colour::Yellow, "missing") };
        pieces.push((colour, format!("{word:<9}")));
        pieces.push((Colour::Plain, line(check)));
    }
    pieces.push((Colour::Plain, format!("\n{}", conclusions(report))));
    pieces
}

fn line(check: &Check) -> String {
    let first = format!("{:<NAME$}{}\n", check.name, harmless_line(&check.detail));
    match &check.fix {
        Some(fix) => format!("{first}{:>1$}run: {fix}\n", "", "missing  ".len() + NAME),
        None => first,
    }
}

fn conclusions(report: &Diagnosis) -> String {
    format!("{}\n{}\n", build(report), machines(report))
}

fn build(report: &Diagnosis) -> String {
    let arch = report.arch;
    match report.scripts {
        None => {
            let vm = format!("neither user namespaces nor QEMU {arch} are there to run scripts");
            format!("`hoopy build` cannot work for {arch}: {vm}")
        }
        Some(_) if !report.can_build => {
            let missing = [Subject::Mirror, Subject::Store].into_iter().filter(|it| !report.has(*it));
            let missing: Vec<&str> =
                missing.map(|it| if it == Subject::Mirror { "the mirror" } else { "the store" }).collect();
            format!("`hoopy build` cannot work for {arch}: see {} above", missing.join(" and "))
        }
        Some(ScriptPlace::Sandbox) => format!("`hoopy build` works for {arch}: scripts run in the sandbox"),
        Some(ScriptPlace::Vm) => {
            format!("`hoopy build` works for {arch}: scripts run in a virtual machine, which is slower")
        }
    }
}

fn machines(report: &Diagnosis) -> String {
    let arch = report.arch;
    if !arch.has_uki() {
        return format!("`hoopy run` and `hoopy test` start no machines of {arch}");
    }
    if !report.can_run {
        return format!(
            "`hoopy run` and `hoopy test` cannot work for {arch}: QEMU or its firmware is missing"
        );
    }
    let how = match (Arch::host() == Some(arch), report.has(Subject::Kvm)) {
        (true, true) => "with KVM",
        (true, false) => "without KVM, which is slower",
        (false, _) => "by emulation, which is slower",
    };
    format!("`hoopy run` and `hoopy test` work for {arch}, {how}")
}
