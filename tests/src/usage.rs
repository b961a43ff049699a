//! What a process takes of the machine, as Linux tells it.

use std::time::Duration;

/// Length of a kernel's tick as `/proc` counts CPU time; the same on every Linux that programs see.
const TICK: Duration = Duration::from_millis(10);

/// Memory and CPU time of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// CPU time of all its threads, user and system.
    pub cpu: Duration,
}

impl Usage {
    /// Looks at a process; `None` where there is no such process or no `/proc`.
    #[must_use]
    pub fn of(process: u32) -> Option<Self> {
        Self::at(&format!("/proc/{process}"))
    }

    /// Looks at this process.
    pub(crate) fn of_this_process() -> Option<Self> {
        Self::at("/proc/self")
    }

    /// Looks at this thread; the memory is that of its process.
    pub(crate) fn of_this_thread() -> Option<Self> {
        Self::at("/proc/thread-self")
    }

    fn at(place: &str) -> Option<Self> {
        let status = std::fs::read_to_string(format!("{place}/status")).ok()?;
        let stat = std::fs::read_to_string(format!("{place}/stat")).ok()?;
        Self::parse(&status, &stat)
    }

    fn parse(status: &str, stat: &str) -> Option<Self> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        // The name in parentheses may hold anything; the numbers follow the last one.
        let (_, numbers) = stat.rsplit_once(')')?;
        let mut numbers = numbers.split_whitespace().skip(11);
        let user: u32 = numbers.next()?.parse().ok()?;
        let system: u32 = numbers.next()?.parse().ok()?;
        Some(Self {
            resident_bytes: kilobytes * 1024,
            cpu: TICK * (user + system),
        })
    }
}

/// Gives a process's proportional share of the memory that it uses, in bytes: pages that others use too count in part.
pub(crate) fn proportional_bytes(process: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read_even_behind_a_strange_name() {
        let status = "Name:\ta) b\nVmPeak:\t  9 kB\nVmRSS:\t   2048 kB\n";
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 1 2 3";
        let usage = Usage::parse(status, stat).unwrap();
        assert_eq!(usage.resident_bytes, 2 << 20);
        assert_eq!(usage.cpu, Duration::from_secs(3));
    }

    #[test]
    fn no_process_has_no_usage() {
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
