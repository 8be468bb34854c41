//! Single rules, with every answer written down.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test answers the requests it is about, `usual` the rest")]
#![expect(clippy::unnecessary_wraps, reason = "what answers a request has one shape")]

mod bounds;

use serde_json::{Value, json};

use super::*;
use crate::{Asked, Filter, HistoryEntry, parse_job};

type Answer = Result<Response<()>, Failure>;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(784_111_777_000 + seconds * 1000)
}

fn options(more: &Value) -> Options {
    let mut body = json!({"source": "http://u:p@a.example/s", "target": "t"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    match parse_job(&body).unwrap() {
        Asked::Start(job) => Options::for_job(&job, "session", 1),
        Asked::Cancel(_) | Asked::CancelSame(_) => panic!("{body}"),
    }
}

fn seq(number: u64) -> SourceSeq {
    SourceSeq::from_json(&json!(number))
}

fn row(number: u64) -> Row {
    let id = format!("doc{number}").parse().unwrap();
    Row { seq: seq(number), id, revs: vec![format!("1-{number:032x}").parse().unwrap()], deleted: false }
}

/// What a source with `rows` and a target that lacks everything answer.
fn usual(request: &Request<()>, rows: u64) -> Answer {
    let doc = |id: &tidegate_types::DocId, rev: &tidegate_types::Rev| Doc {
        id: id.clone(),
        rev: rev.clone(),
        bytes: 10,
        content: (),
    };
    Ok(match request {
        Request::CreateTarget(_) => Response::Created,
        Request::Info(_) => Response::Info(Info { instance_start_time: "7".to_owned(), update_seq: seq(rows) }),
        Request::LoadCheckpoint(_) => Response::Checkpoint(None),
        Request::Changes(changes) => {
            let since = changes.since.as_number().unwrap();
            let end = rows;
            let rows: Vec<_> = (since + 1..=end).take(changes.rows_max).map(row).collect();
            let last_seq = rows.last().map_or(changes.since.clone(), |row| row.seq.clone());
            let is_last = last_seq.as_number() == Some(end);
            Response::Changes(Page { rows, last_seq: Some(last_seq), pending: Some(0), is_last, unreadable: 0 })
        }
        Request::Pending(since) => Response::Pending(Some(rows - since.as_number().unwrap())),
        Request::RevsDiff(leaves) => {
            let lacked = leaves.iter().cloned().map(|Leaves { id, revs }| Missing { id, revs, ancestors: Vec::new() });
            Response::Missing(lacked.collect())
        }
        Request::BulkGet(wanted) => {
            let got = |w: &Wanted| Got { id: w.id.clone(), rev: w.rev.clone(), docs: vec![doc(&w.id, &w.rev)] };
            Response::Fetched(wanted.iter().map(got).collect())
        }
        Request::Transfer(transfer) => {
            let moved = transfer.revs.iter().cloned().map(|rev| Moved { rev, outcome: Transferred::Written });
            Response::Transferred(moved.collect())
        }
        Request::BulkDocs(_) => Response::Written(Vec::new()),
        Request::EnsureFullCommit(_) => Response::Committed("7".to_owned()),
        Request::StoreCheckpoint { .. } => Response::Stored("0-1".to_owned()),
    })
}

/// Runs a session to its end. `answer` may answer for `usual`. Gives the outcome, and every request in order.
fn run(
    options: Options,
    rows: u64,
    mut answer: impl FnMut(&Request<()>) -> Option<Answer>,
) -> (Outcome, Vec<Request<()>>) {
    let mut session = Session::new(options, at(0));
    let mut now = at(0);
    let mut asked = Vec::new();
    for _ in 0..10_000 {
        match session.poll() {
            Some(Action::Send(id, request)) => {
                let answer = answer(&request).unwrap_or_else(|| usual(&request, rows));
                asked.push(request);
                session.handle_response(id, answer, now);
            }
            Some(Action::Abandon(_)) => {}
            Some(Action::End(outcome)) => {
                assert_eq!(session.progress().stats, session.stats);
                if let Outcome::Completed(Report::Checkpointed(checkpoint)) = &outcome {
                    assert_eq!(session.progress().checkpointed, checkpoint.source_last_seq);
                }
                assert!(session.is_ended() && session.wake_at().is_none() && session.poll().is_none());
                return (outcome, asked);
            }
            None => {
                now = session.wake_at().expect("nothing to wait for");
                session.handle_timeout(now);
            }
        }
    }
    panic!("no end: {session:?}");
}

fn report(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Completed(report) => report.to_json(),
        other => panic!("{other:?}"),
    }
}

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(reason) => format!("failed: {reason}"),
        Outcome::Crashed(reason) => format!("crashed: {reason}"),
        other => panic!("{other:?}"),
    }
}

fn refused(status: u16) -> Option<Answer> {
    Some(Err(Failure::from_status(status, "no")))
}

#[test]
fn a_session_asks_in_couchdbs_order_and_tells_what_it_did() {
    let (outcome, asked) = run(options(&json!({"create_target": true})), 2, |_| None);
    let names: Vec<_> =
        asked.iter().map(|request| format!("{request:?}").split(['(', ' ']).next().unwrap().to_owned()).collect();
    let expected = "CreateTarget Info Info LoadCheckpoint LoadCheckpoint Changes RevsDiff BulkGet BulkDocs \
                    EnsureFullCommit EnsureFullCommit StoreCheckpoint StoreCheckpoint";
    assert_eq!(names.join(" "), expected);
    let time = "Sun, 06 Nov 1994 08:49:37 GMT";
    let expected = json!({
        "ok": true, "session_id": "session", "source_last_seq": 2, "replication_id_version": 4,
        "history": [{
            "session_id": "session", "start_time": time, "end_time": time,
            "start_last_seq": 0, "end_last_seq": 2, "recorded_seq": 2,
            "missing_checked": 2, "missing_found": 2, "docs_read": 2, "docs_written": 2, "doc_write_failures": 0,
            "bulk_get_docs": 2, "bulk_get_attempts": 2,
        }],
    });
    assert_eq!(report(outcome), expected);
}

/// The checkpoint of an earlier session that got to `number`.
fn stored(number: u64) -> StoredCheckpoint {
    let entry =
        HistoryEntry::new("earlier", at(0), seq(0)).at(&seq(number), at(0), Stats { docs_read: 5, ..Stats::default() });
    StoredCheckpoint { rev: "0-9".to_owned(), checkpoint: crate::Checkpoint::new(entry, &[]) }
}

fn with_checkpoint(number: u64) -> impl FnMut(&Request<()>) -> Option<Answer> {
    move |request| {
        let is_load = matches!(request, Request::LoadCheckpoint(_));
        is_load.then(|| Ok(Response::Checkpoint(Some(stored(number)))))
    }
}

#[test]
fn with_nothing_to_do_the_last_checkpoint_is_told() {
    let (outcome, asked) = run(options(&json!({})), 3, with_checkpoint(3));
    let told = report(outcome);
    assert_eq!((&told["no_changes"], &told["session_id"]), (&json!(true), &json!("earlier")));
    assert!(!asked.iter().any(|request| matches!(request, Request::StoreCheckpoint { .. })));
    let (outcome, _) = run(options(&json!({})), 0, |_| None);
    assert_eq!(report(outcome), json!({"ok": true, "no_changes": true}));
}

#[test]
fn a_session_goes_on_from_its_checkpoint_and_counts_on() {
    let (outcome, asked) = run(options(&json!({"since_seq": 1})), 4, with_checkpoint(3));
    let told = report(outcome);
    assert_eq!(told["history"][0]["start_last_seq"], json!(3));
    assert_eq!(told["history"][0]["docs_read"], json!(6));
    assert_eq!(told["history"][1]["session_id"], json!("earlier"));
    let revs = asked.iter().filter_map(|request| match request {
        Request::StoreCheckpoint { rev, .. } => rev.as_deref(),
        _ => None,
    });
    assert_eq!(revs.collect::<Vec<_>>(), ["0-9", "0-9"]);
}

#[test]
fn since_seq_counts_where_there_is_no_checkpoint() {
    let (outcome, _) = run(options(&json!({"since_seq": 3})), 4, |_| None);
    assert_eq!(report(outcome)["history"][0]["docs_read"], json!(1));
}

#[test]
fn a_job_may_want_no_checkpoints() {
    let (outcome, asked) = run(options(&json!({"use_checkpoints": false})), 4, |_| None);
    assert_eq!(report(outcome), json!({"ok": true, "use_checkpoints": false}));
    assert!(!asked.iter().any(|request| request.name() == COMMIT));
}

#[test]
fn filters_go_to_the_feed_and_named_documents_are_told_twice() {
    let (outcome, asked) = run(options(&json!({"doc_ids": ["a"], "winning_revs_only": true})), 1, |_| None);
    assert_eq!(report(outcome)["docs_written"], json!(1));
    let feed = asked.iter().find_map(|request| match request {
        Request::Changes(changes) => Some((changes.filter.clone(), changes.style)),
        _ => None,
    });
    assert_eq!(feed, Some((Filter::DocIds(["a".to_owned()].into()), crate::Style::MainOnly)));
}

#[test]
fn what_a_filter_left_out_is_passed() {
    let (outcome, _) = run(options(&json!({"selector": {}})), 0, |request| match request {
        Request::Changes(_) => Some(Ok(Response::Changes(Page {
            rows: Vec::new(),
            last_seq: Some(seq(9)),
            pending: Some(0),
            is_last: true,
            unreadable: 0,
        }))),
        _ => None,
    });
    assert_eq!(report(outcome)["source_last_seq"], json!(9));
}

#[test]
fn without_a_filter_a_place_behind_the_last_row_says_nothing() {
    let (outcome, _) = run(options(&json!({})), 0, |request| match request {
        Request::Changes(_) => Some(Ok(Response::Changes(Page {
            rows: Vec::new(),
            last_seq: Some(seq(9)),
            pending: Some(0),
            is_last: true,
            unreadable: 0,
        }))),
        _ => None,
    });
    assert_eq!(report(outcome), json!({"ok": true, "no_changes": true}));
}

#[test]
fn rows_without_leaves_and_rows_nobody_can_read_are_passed() {
    let (outcome, asked) = run(options(&json!({})), 2, |request| match request {
        Request::Changes(_) => Some(Ok(Response::Changes(Page {
            rows: vec![Row { revs: Vec::new(), ..row(1) }],
            last_seq: Some(seq(2)),
            pending: Some(0),
            is_last: true,
            unreadable: 1,
        }))),
        _ => None,
    });
    let told = report(outcome);
    assert_eq!((&told["source_last_seq"], &told["history"][0]["doc_write_failures"]), (&json!(2), &json!(1)));
    assert!(!asked.iter().any(|request| matches!(request, Request::RevsDiff(_))));
}

#[test]
fn a_revision_that_could_not_be_written_just_then_is_written_again() {
    let mut sizes = Vec::new();
    let (outcome, _) = run(options(&json!({})), 3, |request| match request {
        Request::BulkDocs(docs) => {
            sizes.push(docs.len());
            let failures = docs.iter().skip(1).map(|doc| WriteFailure {
                id: doc.id.clone(),
                rev: doc.rev.clone(),
                kind: FailureKind::Transient,
                reason: "busy".to_owned(),
            });
            Some(Ok(Response::Written(failures.collect())))
        }
        _ => None,
    });
    assert_eq!(report(outcome)["history"][0]["docs_written"], json!(3));
    assert_eq!(sizes, [3, 2, 1]);
}

#[test]
fn what_stays_wrong_fails_and_what_may_go_away_crashes() {
    let check = |more: Value, refuse: fn(&Request<()>) -> Option<Answer>, expected: &str| {
        let (outcome, _) = run(options(&more), 2, refuse);
        assert_eq!(reason(outcome), expected);
    };
    let shown = "http://*****@a.example/s/";
    check(
        json!({}),
        |request| matches!(request, Request::Info(Side::Source)).then(|| refused(404)).flatten(),
        &format!("failed: db_not_found: could not open {shown}"),
    );
    check(
        json!({}),
        |request| matches!(request, Request::Info(Side::Source)).then(|| refused(401)).flatten(),
        &format!("failed: unauthorized: unauthorized to access or create database {shown}"),
    );
    check(
        json!({"create_target": true}),
        |request| match request {
            Request::CreateTarget(_) => refused(403),
            Request::Info(Side::Target) => refused(404),
            _ => None,
        },
        "failed: unauthorized: unauthorized to access or create database t",
    );
    check(
        json!({}),
        |request| matches!(request, Request::RevsDiff(_)).then(|| refused(503)).flatten(),
        "crashed: revs_diff_failed: t: no",
    );
    check(
        json!({}),
        |request| matches!(request, Request::BulkDocs(_)).then(|| refused(400)).flatten(),
        "crashed: bulk_docs_failed: t: no",
    );
    check(
        json!({"use_bulk_get": false}),
        |request| matches!(request, Request::Transfer(_)).then(|| refused(404)).flatten(),
        "crashed: missing_doc: doc1 1-00000000000000000000000000000001 is in the source's feed, but not to be read",
    );
    check(
        json!({}),
        |request| matches!(request, Request::StoreCheckpoint { .. }).then(|| refused(409)).flatten(),
        "crashed: checkpoint_commit_failure: Error updating the source checkpoint document: conflict",
    );
    check(
        json!({}),
        |request| match request {
            Request::StoreCheckpoint { side: Side::Target, .. } => refused(409),
            Request::LoadCheckpoint(Side::Target) => Some(Ok(Response::Checkpoint(Some(stored(1))))),
            _ => None,
        },
        "crashed: checkpoint_commit_failure: Error updating the target checkpoint document: conflict",
    );
    check(
        json!({}),
        |request| matches!(request, Request::RevsDiff(_)).then_some(Ok(Response::Created)),
        "crashed: revs_diff_failed: the answer belongs to another request",
    );
}

#[test]
fn a_refusal_of_one_revision_stops_nothing() {
    let (outcome, _) = run(options(&json!({})), 3, |request| match request {
        Request::BulkDocs(docs) => Some(Ok(Response::Written(vec![WriteFailure {
            id: docs[0].id.clone(),
            rev: docs[0].rev.clone(),
            kind: FailureKind::Forbidden,
            reason: "no".to_owned(),
        }]))),
        _ => None,
    });
    let told = report(outcome);
    assert_eq!(
        (&told["history"][0]["docs_written"], &told["history"][0]["doc_write_failures"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(told["source_last_seq"], json!(3));
}

#[test]
fn without_bulk_get_revisions_come_one_by_one() {
    let mut tries = 0;
    let more = json!({"worker_batch_size": 1, "worker_processes": 1});
    let (outcome, asked) = run(options(&more), 3, |request| {
        tries += u32::from(matches!(request, Request::BulkGet(_)));
        matches!(request, Request::BulkGet(_)).then(|| refused(404)).flatten()
    });
    assert_eq!(report(outcome)["history"][0]["docs_written"], json!(3));
    assert_eq!(tries, 1);
    assert_eq!(asked.iter().filter(|request| matches!(request, Request::Transfer(_))).count(), 3);
}

#[test]
fn a_database_that_is_not_what_it_was_is_begun_again_with() {
    let mut commits = 0;
    let (outcome, asked) = run(options(&json!({})), 2, |request| {
        let Request::EnsureFullCommit(Side::Target) = request else { return None };
        commits += 1;
        (commits == 1).then(|| Ok(Response::Committed("8".to_owned())))
    });
    assert_eq!(report(outcome)["source_last_seq"], json!(2));
    assert_eq!(asked.iter().filter(|request| matches!(request, Request::RevsDiff(_))).count(), 2);
    let (outcome, _) = run(options(&json!({})), 2, |request| {
        let is_commit = matches!(request, Request::EnsureFullCommit(_));
        is_commit.then(|| Ok(Response::Committed("8".to_owned())))
    });
    let expected = "crashed: checkpoint_commit_failure: \
                    instance_start_time on source and target database has changed since last checkpoint.";
    assert_eq!(reason(outcome), expected);
}

#[test]
fn a_checkpoint_that_was_written_though_the_answer_was_lost_is_recognised() {
    let mut written = None;
    let mut tries = 0;
    let (outcome, _) = run(options(&json!({})), 2, |request| match request {
        Request::StoreCheckpoint { side: Side::Source, checkpoint, .. } => {
            tries += 1;
            written = Some(checkpoint.as_ref().clone());
            refused(if tries == 1 { 504 } else { 409 })
        }
        Request::LoadCheckpoint(Side::Source) => written
            .clone()
            .map(|checkpoint| Ok(Response::Checkpoint(Some(StoredCheckpoint { rev: "0-5".to_owned(), checkpoint })))),
        _ => None,
    });
    assert_eq!(report(outcome)["source_last_seq"], json!(2));
}

#[test]
fn a_stopped_session_writes_a_checkpoint_and_gives_up_the_rest() {
    let more = json!({"continuous": true, "worker_batch_size": 1, "worker_processes": 2});
    let mut session = Session::new(options(&more), at(0));
    let (mut open, mut batches, mut stored) = (Vec::new(), 0, Vec::new());
    let mut abandoned = 0;
    let outcome = loop {
        match session.poll() {
            // The second batch's answer never comes.
            Some(Action::Send(id, Request::RevsDiff(_))) if batches == 1 => open.push(id),
            Some(Action::Send(id, Request::Changes(changes))) if !changes.since.is_zero() => open.push(id),
            Some(Action::Send(id, request)) => {
                batches += u32::from(matches!(request, Request::RevsDiff(_)));
                if let Request::StoreCheckpoint { checkpoint, .. } = &request {
                    stored.push(checkpoint.source_last_seq.clone());
                }
                session.handle_response(id, usual(&request, 2), at(1));
            }
            Some(Action::Abandon(id)) => abandoned += usize::from(open.contains(&id)),
            Some(Action::End(outcome)) => break outcome,
            None => session.handle_stop(at(2)),
        }
    };
    assert_eq!(outcome, Outcome::Stopped);
    assert_eq!((stored, abandoned), (vec![seq(1), seq(1)], 2));
}
