//! What this process takes of the machine, as Linux tells it. What cannot be read is not shown.

use std::fs;

use serde::Serialize;

/// Kernel ticks per second as `/proc` counts CPU time; the same on every Linux that programs see.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory, CPU time and open files.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Process {
    /// Memory in use.
    pub(super) resident_memory_bytes: Option<u64>,
    /// User and system time of all threads.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_fds: Option<usize>,
    pub(super) max_fds: Option<u64>,
}

impl Process {
    pub(super) fn look() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        Self {
            resident_memory_bytes: read("status").as_deref().and_then(resident),
            cpu_seconds: read("stat").as_deref().and_then(cpu),
            open_fds: open_fds(),
            max_fds: read("limits").as_deref().and_then(max_fds),
        }
    }
}

/// Counts open files. Newer kernels (6.2) say how many there are, which spares a look at each of thousands.
fn open_fds() -> Option<usize> {
    let directory = "/proc/self/fd";
    let told = fs::metadata(directory).ok()?.len();
    match usize::try_from(told) {
        Ok(0) | Err(_) => fs::read_dir(directory).ok().map(Iterator::count),
        Ok(told) => Some(told),
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

fn cpu(stat: &str) -> Option<f64> {
    // The name in parentheses may hold anything; the numbers follow the last one.
    let (_, numbers) = stat.rsplit_once(')')?;
    let mut numbers = numbers.split_whitespace().skip(11);
    let user: f64 = numbers.next()?.parse().ok()?;
    let system: f64 = numbers.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn max_fds(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let values = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    values.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_files() {
        let process = Process::look();
        assert!(process.resident_memory_bytes > Some(1 << 20));
        assert!(process.open_fds > Some(2) && process.cpu_seconds.is_some());
    }

    #[test]
    fn the_kernels_words_are_read_even_behind_a_strange_name() {
        assert_eq!(resident("Name:\ta\nVmRSS:\t   2048 kB\n"), Some(2 << 20));
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 1 2 3";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!(
            max_fds("Max open files   1024   524288   files\n"),
            Some(1_024)
        );
        assert_eq!(
            max_fds("Max open files   unlimited   unlimited   files\n"),
            None
        );
        assert_eq!((resident(""), cpu(""), max_fds("")), (None, None, None));
    }
}
