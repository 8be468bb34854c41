//! Sessions between two databases over a bad network: nothing is lost, and no checkpoint says more than is true.

mod model;
mod network;

use network::{Counts, Pair};

const SEEDS: u64 = 1_000;

/// One seed by itself, for looking closer: `SEED=7 cargo test -p tidegate-replication pair`.
fn seeds() -> std::ops::Range<u64> {
    let one = option_env!("SEED").and_then(|seed| seed.parse::<u64>().ok());
    one.map_or(0..SEEDS, |seed| seed..seed + 1)
}

#[test]
fn whatever_happens_everything_is_copied_and_no_checkpoint_skips() {
    let mut all = Counts::default();
    for seed in seeds() {
        let mut pair = Pair::new(seed);
        pair.run();
        pair.check_copied();
        all.sessions += pair.counts.sessions;
        all.requests += pair.counts.requests;
        all.checkpoints += pair.counts.checkpoints;
        all.power_cuts += pair.counts.power_cuts;
        all.restarts_wanted += pair.counts.restarts_wanted;
    }
    let Counts { sessions, requests, checkpoints, power_cuts, restarts_wanted } = all;
    println!(
        "{sessions} sessions ({restarts_wanted} crashed), {requests} requests, {checkpoints} checkpoints, {power_cuts} cuts"
    );
}
