//! The one place that asks what time it is.

use std::time::SystemTime;

/// The time.
#[expect(clippy::disallowed_methods, reason = "this is the clock the others are handed")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
