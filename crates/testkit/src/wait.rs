//! Waiting for what another process does, of which nothing but looking again tells.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often is looked.
const EVERY: Duration = Duration::from_millis(20);

/// Waits until it is so.
///
/// # Panics
/// If it isn't so within a minute.
#[expect(clippy::panic, reason = "a test that waits in vain has failed")]
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > DEADLINE {
            panic!("not in time: {what}");
        }
        thread::sleep(EVERY);
    }
}
