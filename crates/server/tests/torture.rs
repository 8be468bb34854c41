//! kill -9 at random points under load: a short run of what `tidegate-bench torture` does for hours.

use tidegate_bench::torture::{Options, run};

#[tokio::test]
async fn promises_survive_kill_9() {
    let binary = env!("CARGO_BIN_EXE_tidegate");
    let options = Options { rounds: 3, documents_max: 100, load_millis: 50..=300, ..Options::new(binary) };
    let report = run(options, |_| {}).await.unwrap();
    assert!(report.acknowledged > 0 && report.violations.is_empty(), "{report}");
}
