//! What a process on this machine has used, as `/proc` tells it.

use std::{fs, time::Duration};

use crate::Error;

/// `/proc/PID/stat` counts in hundredths of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Its resident memory.
    pub rss_bytes: u64,
}

impl Usage {
    /// Reads the figures of a process.
    ///
    /// The scheduler's per-thread figures are exact to the nanosecond but forget threads that ended; the process's own
    /// are complete but cut to ticks. Both only err downwards, so the greater one is taken.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such process.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let status = read(&format!("/proc/{pid}/status"))?;
        let stat = read(&format!("/proc/{pid}/stat"))?;
        let cpu = cpu_of_threads(pid).max(cpu_of_process(&stat).unwrap_or_default());
        Ok(Self { cpu, rss_bytes: rss_bytes(&status).unwrap_or_default() })
    }
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::io(format!("reading {path}")))
}

fn cpu_of_threads(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .map(|text| on_cpu(&text))
        .sum()
}

fn on_cpu(schedstat: &str) -> Duration {
    Duration::from_nanos(schedstat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// The name in parentheses may hold spaces, so fields are counted from its end: user and system time are 12 and 13.
fn cpu_of_process(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(TICK * (user + system))
}

fn rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found() {
        let stat = "12 (a) name) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(cpu_of_process(stat), Some(Duration::from_secs(3)));
        assert_eq!(rss_bytes("VmHWM:\t  9 kB\nVmRSS:\t     512 kB\n"), Some(512 * 1024));
        assert_eq!(on_cpu("345515527 4410137 68\n"), Duration::from_nanos(345_515_527));
    }

    #[test]
    fn our_own_use_grows() {
        let before = Usage::of(std::process::id()).unwrap();
        let spun = (0..20_000_000_u64).fold(0_u64, |sum, n| std::hint::black_box(sum ^ n));
        assert!(std::hint::black_box(spun) < u64::MAX);
        assert!(Usage::of(std::process::id()).unwrap().cpu > before.cpu && before.rss_bytes > 0);
    }
}
