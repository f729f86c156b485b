//! Whether the machine's memory holds the system.

use hoopy_base::size;

use super::made::largest;
use crate::image::{ImageError, Spec};
use crate::stack::Stack;
use crate::stack::database::is_boot;

/// How many layers are named where it does not.
const NAMED: usize = 5;

/// The kernel gives the root half of the memory (mm/shmem.c); what is `packed`, the image, lies beside it until it is
/// unpacked (init/initramfs.c). `modules` is how much of the root there is because modules are unpacked.
pub(super) fn check(spec: &Spec, stack: &Stack, packed: u64, modules: u64) -> Result<(), ImageError> {
    let root: u64 = stack.tree.iter().filter(|(p, ..)| !is_boot(p)).map(|(_, e, _)| pages(e.size())).sum();
    let (half, memory) = (spec.memory / 2, spec.memory);
    if root <= half && root + packed <= memory {
        return Ok(());
    }
    let smaller = root.saturating_sub(modules);
    let without = match modules {
        0 => String::new(),
        _ if smaller > half => format!("; {} of it are kernel modules unpacked", size::show(modules)),
        _ => format!(
            "; {} of it are kernel modules unpacked, and with `compression = \"zstd:19\"` it would be {}",
            size::show(modules),
            size::show(smaller)
        ),
    };
    let mut largest = largest(stack);
    largest.truncate(NAMED);
    let list: Vec<String> = largest.iter().map(|l| format!("{} ({})", l.name, size::show(l.size))).collect();
    Err(ImageError::DoesNotFit(format!(
        "the root takes {} unpacked and {} packed, and of {} of memory the kernel gives it half{without}; the largest: \
         {}. Set `memory` in hoopy.toml to what the machine has, or leave packages out",
        size::show(root),
        size::show(packed),
        size::show(memory),
        list.join(", ")
    )))
}

fn pages(size: u64) -> u64 {
    size.next_multiple_of(4096)
}
