//! The kernel: an overlay does not name it, since it came from the boot medium.

use std::collections::BTreeSet;

use hoopy_apk::Record;
use hoopy_build::stack::Stack;

use super::error::ImportError;
use super::options::Options;
use super::world::PackageLine;
use crate::kernel::{is_kernel, name_of, package};
use crate::overlay::Hints;
use crate::report::TransferReport;

/// Kernels that are taken where nothing says which, or the one that was meant is not there; the best first. That of
/// Alpine's standard medium is the first.
const KERNELS: [&str; 5] = ["linux-lts", "linux-virt", "linux-stable", "linux-edge", "linux-rpi"];

/// Sees to it that `packages` has one kernel, which the repositories have: `records` is all of theirs.
///
/// # Errors
/// [`ImportError::Kernel`] where one was asked for that they do not have.
pub fn choose(
    options: &Options<'_>,
    hints: &Hints,
    packages: &mut Vec<PackageLine>,
    records: &[&Record],
    report: &mut TransferReport,
) -> Result<(), ImportError> {
    let kernels: BTreeSet<&str> =
        records.iter().filter(|record| is_kernel(record)).map(|record| &*record.name).collect();
    let is_one = |line: &PackageLine| {
        let name = name_of(&line.text);
        crate::kernel::flavor(name).is_some() || kernels.contains(name)
    };
    let kernel = match &options.kernel {
        Some(given) => {
            let kernel = package(given);
            // One of the owner's own may not look like one; whether it is will be seen once it is there.
            if !records.iter().any(|record| *record.name == *kernel) {
                return Err(unknown(given, &kernels));
            }
            kernel
        }
        None if packages.iter().any(is_one) => return Ok(()),
        None => match of_hints(hints, &kernels, report) {
            Some(kernel) => kernel,
            None => return Ok(()),
        },
    };
    let other: Vec<&str> = packages
        .iter()
        .filter(|line| is_one(line) && line.text != kernel)
        .map(|line| line.text.as_str())
        .collect();
    if !other.is_empty() {
        report.left(format!("package {}", other.join(", ")), &format!("the kernel is {kernel}"), "");
    }
    packages.retain(|line| !is_one(line) && line.text != kernel);
    let comment = Some("The kernel, which came from the boot medium".to_owned());
    packages.push(PackageLine { text: kernel, comment });
    Ok(())
}

fn unknown(given: &str, kernels: &BTreeSet<&str>) -> ImportError {
    let mut kernels: Vec<String> = kernels.iter().map(|name| (*name).to_owned()).collect();
    // The first one is what the hint says.
    kernels.sort_by_key(|name| KERNELS.iter().position(|best| best == name).unwrap_or(KERNELS.len()));
    ImportError::Kernel { given: given.to_owned(), kernels }
}

/// The kernel of the medium or machine, or the best there is.
fn of_hints(hints: &Hints, kernels: &BTreeSet<&str>, report: &mut TransferReport) -> Option<String> {
    let meant = hints.kernel.as_deref().map(package);
    // Until 3.18 boards had kernels of their own.
    let of_boards = meant.as_deref().filter(|name| name.starts_with("linux-rpi")).map(|_| "linux-rpi");
    let meant_or_like = meant.as_deref().into_iter().chain(of_boards).find(|name| kernels.contains(name));
    if let Some(kernel) = meant_or_like {
        if Some(kernel) != meant.as_deref() {
            report.look(format!(
                "the kernel was {}, which the repositories do not have: `packages` has {kernel}",
                meant.as_deref().unwrap_or_default()
            ));
        }
        return Some(kernel.to_owned());
    }
    let Some(kernel) = KERNELS.iter().find(|name| kernels.contains(*name)) else {
        report.look("the kernel: the repositories have none, and without one no image is built".to_owned());
        return None;
    };
    report.look(match meant {
        Some(meant) => format!(
            "the kernel was {meant}, which the repositories do not have: `packages` has {kernel}; give --kernel for another"
        ),
        None => format!(
            "the kernel: an overlay cannot name it, since it came from the boot medium; `packages` has {kernel}: give \
             --kernel virt for a virtual machine, and add linux-firmware packages that the hardware needs"
        ),
    });
    Some((*kernel).to_owned())
}

/// Looks for the kernel among what the packages brought.
///
/// # Errors
/// [`ImportError::Kernel`] where what was asked for is none.
pub fn check(options: &Options<'_>, made: &Stack, report: &mut TransferReport) -> Result<(), ImportError> {
    let there = crate::kernel::in_stack(made);
    match &options.kernel {
        Some(given) if !there.contains(&package(given)) => Err(unknown(given, &BTreeSet::new())),
        None if there.is_empty() => {
            report.look(
                "no package of `packages` has a kernel (boot/vmlinuz-*): add one, as linux-lts, before you build"
                    .to_owned(),
            );
            Ok(())
        }
        _ => Ok(()),
    }
}
