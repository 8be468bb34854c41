//! The embedded store under power cuts: a few hundred rebuilt folders; `powercut` (see CONTRIBUTING) tries thousands.
#![cfg(target_os = "linux")]

use tempfile::TempDir;
use tidegate_testkit::powercut::{Acknowledge, Focus, Options, Violation, campaign, kills, scratch};

fn options(scratch: &TempDir) -> Options {
    Options::new(vec![env!("CARGO_BIN_EXE_powercut-workload").into()], scratch.path().to_path_buf())
}

#[test]
fn acknowledged_is_durable() {
    let scratch = tempfile::tempdir_in(scratch()).unwrap();
    let report = campaign(&options(&scratch), |_| ()).unwrap();
    assert_eq!(report.failed(), 0, "{report}");
    assert!(report.folders() >= 300, "{report}");
    assert!(report.recordings_after_cut > 0, "{report}");
    assert!(
        Focus::ALL.iter().all(|focus| report.focuses.get(focus).is_some_and(|tally| tally.folders > 30)),
        "{report}"
    );
    assert!(report.models.values().all(|tally| tally.in_flight > 10 && tally.kept > 0), "{report}");
}

#[test]
fn what_a_killed_process_left_is_synced_by_the_next() {
    let scratch = tempfile::tempdir_in(scratch()).unwrap();
    let short = Options { transactions: 12, ..options(&scratch) };
    // Making the store takes about 110 events, a sync two of them: no sync is passed over.
    let report = kills(&short, (1..=110).step_by(2).chain((111..450).step_by(15)), |_| ()).unwrap();
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.recordings, 78, "{report}");
}

#[test]
fn acknowledging_before_the_commit_is_caught() {
    let scratch = tempfile::tempdir_in(scratch()).unwrap();
    let lying = Options { acknowledge: Acknowledge::BeforeCommit, folders: 60, generations: 1, ..options(&scratch) };
    let report = campaign(&lying, |_| ()).unwrap();
    assert!(report.models.values().all(|tally| tally.failures > 0), "{report}");
    assert!(report.failures.iter().all(|failure| matches!(failure.violation, Violation::Lost { .. })), "{report}");
}
