//! How much, how often: what a session asks at most.

use std::time::Duration;

use super::*;

/// Answers all that `holds_back` doesn't speak for, until nothing more is asked; then gives what was asked.
fn run_until_stuck(options: Options, rows: u64, holds_back: impl Fn(&Request<()>) -> bool) -> Vec<Request<()>> {
    let mut session = Session::new(options, at(0));
    let mut asked = Vec::new();
    while let Some(action) = session.poll() {
        let Action::Send(id, request) = action else { panic!("{action:?}") };
        if !holds_back(&request) {
            session.handle_response(id, usual(&request, rows), at(0));
        }
        asked.push(request);
    }
    asked
}

#[test]
fn nothing_more_is_read_while_too_much_waits_to_be_written() {
    let options = Options { bytes_max: 15, fetch_revs_max: 1, ..options(&json!({})) };
    let asked = run_until_stuck(options, 5, |request| matches!(request, Request::BulkDocs(_)));
    let count = |name: &str| asked.iter().filter(|request| format!("{request:?}").starts_with(name)).count();
    // Each revision has 10 bytes.
    assert_eq!((count("BulkGet"), count("BulkDocs")), (2, 2));
}

#[test]
fn the_feed_is_read_as_far_as_batches_need_it() {
    let options = options(&json!({"worker_batch_size": 1, "worker_processes": 1}));
    let asked = run_until_stuck(options, 100, |request| matches!(request, Request::RevsDiff(_)));
    let rows: Vec<_> = asked
        .iter()
        .filter_map(|request| match request {
            Request::Changes(changes) => Some(changes.rows_max),
            _ => None,
        })
        .collect();
    assert_eq!(rows, [2, 1]);
}

#[test]
fn a_request_is_sent_again_so_often() {
    let mut sent = 0;
    let (outcome, _) = run(options(&json!({"retries_per_request": 3})), 2, |request| {
        sent += u32::from(matches!(request, Request::Changes(_)));
        matches!(request, Request::Changes(_)).then(|| refused(500)).flatten()
    });
    assert_eq!(reason(outcome), "crashed: changes_req_failed: http://*****@a.example/s/: no");
    assert_eq!(sent, 4);
}

#[test]
fn a_write_that_is_too_large_is_halved() {
    let mut sizes = Vec::new();
    let (outcome, _) = run(options(&json!({})), 5, |request| {
        let Request::BulkDocs(docs) = request else { return None };
        sizes.push(docs.len());
        let is_large = docs.len() > 1 || docs[0].id.as_str() == "doc4";
        is_large.then(|| refused(413)).flatten()
    });
    let told = report(outcome);
    assert_eq!(sizes, [5, 2, 3, 1, 1, 1, 2, 1, 1]);
    assert_eq!(
        (&told["history"][0]["docs_written"], &told["history"][0]["doc_write_failures"]),
        (&json!(4), &json!(1))
    );
}

#[test]
fn checkpoints_keep_their_distance() {
    let mut session = Session::new(options(&json!({"continuous": true})), at(0));
    let (mut feed, mut stored) = (None, Vec::new());
    for second in 0..200 {
        // A change each second.
        if let Some((id, request)) = feed.take() {
            session.handle_response(id, usual(&request, second), at(second));
        }
        session.handle_timeout(at(second));
        while let Some(action) = session.poll() {
            let Action::Send(id, request) = action else { panic!("{action:?}") };
            match &request {
                Request::Changes(_) => feed = Some((id, request)),
                other => {
                    stored
                        .extend(matches!(other, Request::StoreCheckpoint { side: Side::Target, .. }).then_some(second));
                    session.handle_response(id, usual(other, second), at(second));
                }
            }
        }
    }
    let distance = stored.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(stored.len() >= 5 && distance >= 30, "{stored:?}");
    assert_eq!(session.options.tuning.checkpoint_interval, Some(Duration::from_secs(30)));
}

/// Answers all that a session asks now, until it waits.
fn answer_all(session: &mut Session<()>, rows: u64, mut answer: impl FnMut(&Request<()>) -> Option<Answer>) {
    while let Some(action) = session.poll() {
        let Action::Send(id, request) = action else { continue };
        let is_at_end = matches!(&request, Request::Changes(changes) if changes.since == seq(rows));
        if !is_at_end {
            let answer = answer(&request).unwrap_or_else(|| usual(&request, rows));
            session.handle_response(id, answer, at(0));
        }
    }
}

#[test]
fn a_busy_peer_is_left_alone_for_as_long_as_it_asks() {
    let mut session = Session::new(options(&json!({})), at(0));
    let failure = Failure::from_status(429, "busy").with_retry_after(Some(Duration::from_secs(60)));
    answer_all(&mut session, 2, |request| matches!(request, Request::RevsDiff(_)).then(|| Err(failure.clone())));
    let wake_at = session.wake_at().unwrap();
    assert!(wake_at >= at(60) && wake_at <= at(68), "{wake_at:?}");
}

#[test]
fn a_continuous_session_knows_from_the_beginning_how_much_is_to_come() {
    let mut session = Session::new(options(&json!({"continuous": true})), at(0));
    let mut pending = Vec::new();
    answer_all(&mut session, 5, |request| match request {
        Request::Pending(since) => {
            pending.push(since.clone());
            Some(Ok(Response::Pending(Some(7))))
        }
        Request::Changes(changes) => {
            let Ok(Response::Changes(page)) = usual(request, 5) else { panic!("{changes:?}") };
            Some(Ok(Response::Changes(Page { pending: None, ..page })))
        }
        _ => None,
    });
    assert_eq!(pending, [seq(0)]);
    assert_eq!(session.progress().changes_pending, Some(2), "five of the seven were read");
}

#[test]
fn a_source_that_does_not_say_how_much_is_to_come_is_no_worse() {
    let mut session = Session::new(options(&json!({"continuous": true})), at(0));
    let silent = |request: &Request<()>| matches!(request, Request::Pending(_)).then(|| refused(500)).flatten();
    answer_all(&mut session, 5, silent);
    assert!(!session.is_ended());
    assert_eq!(session.progress().stats.docs_written, 5);
}
