//! How long to wait before trying again. Chance is an argument: any number will do, each bit of it as likely as not.

use std::time::Duration;

const REQUEST_WAIT: Duration = Duration::from_millis(250);
const REQUEST_WAIT_MAX: Duration = Duration::from_secs(5 * 60);
const CRASH_WAIT: Duration = Duration::from_secs(30);
const CRASH_WAIT_MAX: Duration = Duration::from_secs(8 * 60 * 60);
const PREPARATION_WAIT: Duration = Duration::from_secs(64);
const PREPARATION_EXPONENT_MAX: u32 = 10;

/// Before a request is sent again which failed `failures` times: 250 ms, doubled each time, at most 5 minutes, of which
/// chance takes away up to half, so that sessions hurt by one outage don't come back as one.
pub fn request_wait(failures: u32, random: u64) -> Duration {
    let whole = doubled(REQUEST_WAIT, failures.saturating_sub(1)).min(REQUEST_WAIT_MAX);
    let half = whole / 2;
    half + share(half, random)
}

/// The same for a peer that asks to be left alone for `asked`: not before, unless that is longer than any wait. What
/// chance adds keeps those from coming back as one that were told the same.
pub(crate) fn request_wait_asked(failures: u32, asked: Option<Duration>, random: u64) -> Duration {
    let wait = request_wait(failures, random);
    let Some(asked) = asked else { return wait };
    if asked >= REQUEST_WAIT_MAX { REQUEST_WAIT_MAX } else { wait.max(asked + share(asked / 8, random)) }
}

/// Before a job is started again which crashed `crashes` times in a row: 30 s, doubled each time, at most 8 hours.
/// Source: `couch_replicator_scheduler:backoff_micros`.
pub fn crash_wait(crashes: u32) -> Duration {
    if crashes == 0 {
        return Duration::ZERO;
    }
    doubled(CRASH_WAIT, crashes - 1).min(CRASH_WAIT_MAX)
}

/// Before a replication document is looked at again whose job could not be made `failures` times: up to 128 s, doubled
/// each time, at most 18 hours. Source: `couch_replicator_doc_processor:error_backoff`.
pub fn preparation_wait(failures: u32, random: u64) -> Duration {
    let range = doubled(PREPARATION_WAIT, failures.min(PREPARATION_EXPONENT_MAX));
    share(range, random).max(Duration::from_secs(1))
}

fn doubled(wait: Duration, times: u32) -> Duration {
    wait.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
}

/// The part of `whole` that `random` picks.
fn share(whole: Duration, random: u64) -> Duration {
    let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(millis.saturating_add(1)).unwrap_or(0))
}

/// Numbers from a seed, for jitter. SplitMix64: short, and good enough to keep sessions apart.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crashing_job_waits_longer_each_time() {
        let check = |crashes, seconds| assert_eq!(crash_wait(crashes), Duration::from_secs(seconds), "{crashes}");
        check(0, 0);
        check(1, 30);
        check(2, 60);
        check(5, 480);
        check(10, 15_360);
        check(11, 28_800);
        check(40, 28_800);
        check(u32::MAX, 28_800);
    }

    #[track_caller]
    fn check_range(wait: fn(u32, u64) -> Duration, failures: u32, millis: std::ops::RangeInclusive<u128>) {
        let mut jitter = Jitter::new(7);
        let waits: Vec<_> = (0..1000).map(|_| wait(failures, jitter.next()).as_millis()).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(millis.contains(least) && millis.contains(most), "{failures}: {least}..={most}");
        // Chance has a say.
        assert!(most - least > (millis.end() - millis.start()) / 2, "{failures}: {least}..={most}");
    }

    #[test]
    fn a_request_waits_longer_each_time_and_chance_has_a_say() {
        check_range(request_wait, 1, 125..=250);
        check_range(request_wait, 2, 250..=500);
        check_range(request_wait, 5, 2000..=4000);
        check_range(request_wait, 11, 128_000..=256_000);
        check_range(request_wait, 12, 150_000..=300_000);
        check_range(request_wait, u32::MAX, 150_000..=300_000);
    }

    #[test]
    fn a_peer_that_asks_to_be_left_alone_is() {
        let asked =
            |seconds| move |failures, random| request_wait_asked(failures, Some(Duration::from_secs(seconds)), random);
        let check = |seconds: u64, failures, millis: std::ops::RangeInclusive<u128>| {
            let waits = (0..100).map(|random| asked(seconds)(failures, random * 7_919).as_millis());
            assert!(waits.into_iter().all(|wait| millis.contains(&wait)), "{seconds}");
        };
        check(0, 1, 125..=250);
        check(60, 1, 60_000..=67_500);
        check(60, 12, 150_000..=300_000);
        check(86_400, 1, 300_000..=300_000);
    }

    #[test]
    fn a_job_that_cannot_be_made_waits_longer_each_time() {
        check_range(preparation_wait, 1, 1000..=128_000);
        check_range(preparation_wait, 10, 1000..=65_536_000);
        check_range(preparation_wait, u32::MAX, 1000..=65_536_000);
    }
}
