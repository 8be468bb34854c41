//! How much a function may demand.

use std::time::Duration;

/// Limits of one [`Machine`](crate::Machine).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one call or one batch may take.
    pub time_max: Duration,
    /// How much memory a runtime may use, all programs it has compiled included.
    pub memory_bytes_max: usize,
    /// How much of the thread's stack a function may use.
    pub stack_bytes_max: usize,
    /// How many programs stay compiled; the one unused for longest makes way.
    pub programs_max: usize,
    /// How many rows a function may emit for one document.
    pub rows_max: u32,
    /// How many channels a sync function may name for one document.
    pub channels_max: u32,
    /// How many grants, each of one channel or role to one grantee, a sync function may make for one document.
    pub grants_max: u32,
    /// How many lines a call or batch may log; more are dropped.
    pub log_lines_max: usize,
    /// How many bytes of one logged line are kept.
    pub log_line_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_max: Duration::from_secs(5),
            memory_bytes_max: 64 << 20,
            stack_bytes_max: 512 << 10,
            programs_max: 64,
            rows_max: 10_000,
            channels_max: 1000,
            grants_max: 10_000,
            log_lines_max: 100,
            log_line_bytes_max: 4096,
        }
    }
}

/// Limits of a [`Pool`](crate::Pool).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// How many threads run functions; at least one does.
    pub threads: usize,
    /// How many calls and batches may wait for a thread.
    pub waiting_max: usize,
    /// Limits of each thread's runtime.
    pub machine: Limits,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { threads: 2, waiting_max: 1024, machine: Limits::default() }
    }
}
