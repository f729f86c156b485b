//! How much a script may use, so that none takes the machine with it.
//!
//! | what | kept by |
//! |---|---|
//! | processes | the highest pid of its namespace (Linux 6.14), a control group where one can be made, and RLIMIT_NPROC |
//! | time | the helper above it, which ends it |
//! | memory | a control group where one can be made, RLIMIT_DATA for each process; it is the first that the kernel kills |
//! | disk | the helper above it, which watches the store's filesystem; RLIMIT_FSIZE; sizes are added up before any is sent |

use std::fmt;
use std::time::Duration;

/// The limits of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most processes and threads at a time.
    pub processes: u32,
    /// Longest time that it runs.
    pub time: Duration,
    /// Most bytes of memory.
    pub memory: u64,
    /// Most bytes of what it changes, and most that it may write to the store's disk.
    pub disk: u64,
}

impl Default for Limits {
    /// Far above what install scripts do, and below what a machine has.
    fn default() -> Self {
        Self { processes: 4096, time: Duration::from_secs(3600), memory: memory(), disk: 16 << 30 }
    }
}

/// Three quarters of the machine's memory.
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit.max(1));
    #[expect(clippy::useless_conversion, reason = "it is as wide as a long")]
    let total = u64::from(info.totalram).saturating_mul(unit);
    (total / 4 * 3).max(64 << 20)
}

impl Limits {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let time = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        [self.processes.into(), time, self.memory, self.disk]
            .iter()
            .flat_map(|n: &u64| n.to_le_bytes())
            .collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let &[processes, time, memory, disk] = numbers else { return None };
        let [time, memory, disk] = [time, memory, disk].map(u64::from_le_bytes);
        let processes = u32::try_from(u64::from_le_bytes(processes)).ok()?;
        rest.is_empty().then_some(Self { processes, time: Duration::from_millis(time), memory, disk })
    }
}

/// A limit that a script reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Of processes and threads.
    Processes(u32),
    /// Of time.
    Time(Duration),
    /// Of memory, in bytes.
    Memory(u64),
    /// Of the disk, in bytes.
    Disk(u64),
}

impl Limit {
    pub(super) fn to_numbers(self) -> (i32, u64) {
        match self {
            Self::Processes(most) => (0, most.into()),
            Self::Time(most) => (1, u64::try_from(most.as_millis()).unwrap_or(u64::MAX)),
            Self::Memory(most) => (2, most),
            Self::Disk(most) => (3, most),
        }
    }

    pub(super) fn from_number(number: i32, most: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Processes(u32::try_from(most).ok()?),
            1 => Self::Time(Duration::from_millis(most)),
            2 => Self::Memory(most),
            3 => Self::Disk(most),
            _ => return None,
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        match self {
            Self::Processes(most) => write!(f, "the limit of {most} processes"),
            Self::Time(most) => write!(f, "the time limit of {} s", most.as_secs_f32()),
            Self::Memory(most) => write!(f, "the limit of {} MiB of memory", mib(*most)),
            Self::Disk(most) => write!(f, "the limit of {} MiB on the disk", mib(*most)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn limits_come_through_a_pipe_as_they_were() {
        let limits = Limits { processes: 7, time: Duration::from_millis(1500), memory: 3, disk: u64::MAX };
        assert_eq!(Limits::from_bytes(&limits.to_bytes()), Some(limits));
        assert_eq!(Limits::from_bytes(&limits.to_bytes()[1..]), None);
        for limit in
            [Limit::Processes(7), Limit::Time(limits.time), Limit::Memory(3 << 20), Limit::Disk(u64::MAX)]
        {
            let (number, most) = limit.to_numbers();
            assert_eq!(Limit::from_number(number, most).unwrap(), limit);
        }
        assert_eq!(Limit::Memory(3 << 20).to_string(), "the limit of 3 MiB of memory");
        assert_eq!(Limit::Time(limits.time).to_string(), "the time limit of 1.5 s");
    }
}
