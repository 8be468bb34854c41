//! What the process knows of itself, for the dialects that are asked for it.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// What the process knows of itself. The server, which counts, gives it.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// Threads of the process.
    pub threads: u64,
    /// Requests answered, by method.
    pub methods: BTreeMap<String, u64>,
    /// Requests answered, by status.
    pub statuses: BTreeMap<String, u64>,
    /// All figures as Prometheus reads them.
    pub prometheus: String,
}

/// How to ask the process what it knows of itself.
#[derive(Clone)]
pub struct Observe(pub Arc<dyn Fn() -> Observed + Send + Sync>);

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observe")
    }
}
