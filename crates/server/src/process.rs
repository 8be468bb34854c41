//! What the system says of this process.

use std::fs;

/// What the process uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) resident_bytes: u64,
    pub(crate) threads: u64,
}

impl Process {
    /// What `/proc` tells; zeros where there is none.
    pub(crate) fn read() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn parse(status: &str) -> Self {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
        };
        Self { resident_bytes: number("VmRSS:") * 1024, threads: number("Threads:") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let status = "Name:\ttidegate\nVmRSS:\t    9400 kB\nThreads:\t5\n";
        assert_eq!(Process::parse(status), Process { resident_bytes: 9_400 * 1024, threads: 5 });
        assert!(Process::read().threads > 0);
    }
}
