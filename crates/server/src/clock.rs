//! The one place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the clock the others are handed")]
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
