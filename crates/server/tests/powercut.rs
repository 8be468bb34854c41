//! The real server under power cuts: some rebuilt folders; `powercut-server` (see `docs/reliability.md`) tries
//! thousands.
#![cfg(target_os = "linux")]

use tempfile::TempDir;
use tidegate_testkit::powercut::{Acknowledge, Options, Violation, campaign, scratch};

fn options(scratch: &TempDir) -> Options {
    let options = Options::server(env!("CARGO_BIN_EXE_tidegate").into(), scratch.path().to_path_buf());
    Options { folders: 120, transactions: 20, ..options }
}

#[test]
fn what_the_server_acknowledged_is_durable() {
    let scratch = tempfile::tempdir_in(scratch()).unwrap();
    let report = campaign(&options(&scratch), |_| ()).unwrap();
    assert_eq!(report.failed(), 0, "{report}");
    assert!(report.folders() >= 120 && report.recordings_after_cut > 0, "{report}");
    assert!(report.models.values().all(|tally| tally.in_flight > 5), "{report}");
}

#[test]
fn taking_requests_for_acknowledged_is_caught() {
    let scratch = tempfile::tempdir_in(scratch()).unwrap();
    let lying = Options { acknowledge: Acknowledge::BeforeCommit, folders: 60, generations: 1, ..options(&scratch) };
    let report = campaign(&lying, |_| ()).unwrap();
    assert!(report.models.values().all(|tally| tally.failures > 0), "{report}");
    assert!(report.failures.iter().all(|failure| matches!(failure.violation, Violation::Lost { .. })), "{report}");
}
