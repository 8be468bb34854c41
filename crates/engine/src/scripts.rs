//! The threads that run design documents' functions: started when the first function is to run.

use crate::{Engine, Error};
use std::{num::NonZero, sync::OnceLock, thread::available_parallelism, time::Duration};
use tidegate_script::{Limits, Pool, PoolLimits};

/// Threads at the most: each has a runtime of its own.
const THREADS_MAX: usize = 8;

/// The threads, if they run.
#[derive(Default)]
pub(crate) struct Scripts(OnceLock<Pool>);

impl Scripts {
    fn start(&self, time_max: Duration) -> Result<&Pool, Error> {
        if let Some(pool) = self.0.get() {
            return Ok(pool);
        }
        let threads = available_parallelism().map_or(2, NonZero::get).clamp(2, THREADS_MAX);
        let machine = Limits { time_max, ..Limits::default() };
        let pool = Pool::start(PoolLimits { threads, machine, ..PoolLimits::default() });
        let pool = pool.map_err(|error| tidegate_script::Error::Internal(error.to_string()))?;
        // Two may come at the same time: the threads of the one that loses stop.
        Ok(self.0.get_or_init(|| pool))
    }

    /// Ends what runs.
    pub(crate) async fn stop(&self) {
        if let Some(pool) = self.0.get().cloned() {
            // A thread that panics has nothing to say.
            drop(tokio::task::spawn_blocking(move || pool.stop()).await);
        }
    }
}

impl Engine {
    /// Where functions of design documents run.
    ///
    /// # Errors
    /// [`Error::Script`]: the system has no threads to give.
    pub fn scripts(&self) -> Result<&Pool, Error> {
        self.inner.scripts.start(self.inner.config.live().script_timeout)
    }
}
