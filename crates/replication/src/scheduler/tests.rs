//! Which job runs when, as orders in time.

use super::*;

const CONTINUOUS: Newcomer =
    Newcomer { kind: Kind::Continuous, origin: Origin::Document, preparation: Preparation::Done };
const ONE_SHOT: Newcomer = Newcomer { kind: Kind::OneShot, ..CONTINUOUS };

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn scheduler(max_jobs: usize, max_churn: usize) -> Scheduler<&'static str> {
    Scheduler::new(Limits { max_jobs, max_churn, ..Limits::default() }, at(0))
}

/// Everything that is to be done, as text.
fn orders(scheduler: &mut Scheduler<&'static str>) -> String {
    let orders = std::iter::from_fn(|| scheduler.poll()).map(|order| match order {
        Order::Prepare(key) => format!("?{key}"),
        Order::Start(key) => format!("+{key}"),
        Order::Stop(key) => format!("-{key}"),
    });
    orders.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check_state(scheduler: &Scheduler<&'static str>, key: &'static str, state: State, error_count: u32) {
    let summary = scheduler.summary(&key).unwrap();
    assert_eq!((summary.state, summary.error_count), (state, error_count), "{key}");
}

#[test]
fn so_many_run_at_a_time() {
    let mut jobs = scheduler(2, 20);
    for key in ["a", "b", "c"] {
        assert!(jobs.handle_added(key, ONE_SHOT, at(1)));
    }
    assert!(!jobs.handle_added("a", ONE_SHOT, at(1)));
    assert_eq!(orders(&mut jobs), "+a +b");
    check_state(&jobs, "c", State::Pending, 0);
    jobs.handle_completed(&"a", at(2));
    assert_eq!(orders(&mut jobs), "+c");
    check_state(&jobs, "a", State::Completed, 0);
    check_state(&jobs, "c", State::Running, 0);
}

#[test]
fn a_round_lets_others_run_and_spares_what_ends_by_itself() {
    let mut jobs = scheduler(2, 20);
    jobs.handle_added("a", CONTINUOUS, at(1));
    jobs.handle_added("o", ONE_SHOT, at(2));
    jobs.handle_added("c", CONTINUOUS, at(3));
    jobs.handle_added("d", CONTINUOUS, at(4));
    assert_eq!(orders(&mut jobs), "+a +o");
    assert_eq!(jobs.wake_at(), Some(at(60)));
    jobs.handle_timeout(at(59));
    assert_eq!(orders(&mut jobs), "");
    jobs.handle_timeout(at(60));
    assert_eq!(orders(&mut jobs), "-a");
    // Its place is free when it has stopped, not before.
    jobs.handle_timeout(at(61));
    assert_eq!(orders(&mut jobs), "");
    jobs.handle_stopped(&"a", at(62));
    assert_eq!(orders(&mut jobs), "+c");
    jobs.handle_timeout(at(120));
    jobs.handle_stopped(&"c", at(121));
    assert_eq!(orders(&mut jobs), "-c +d");
}

#[test]
fn churn_is_bounded() {
    let mut jobs = scheduler(4, 1);
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        jobs.handle_added(key, CONTINUOUS, at(1));
    }
    assert_eq!(orders(&mut jobs), "+a +b +c +d");
    jobs.handle_timeout(at(60));
    assert_eq!(orders(&mut jobs), "-a");
}

#[test]
fn a_lower_limit_stops_what_is_beyond_it() {
    let mut jobs = scheduler(3, 20);
    jobs.handle_added("o", ONE_SHOT, at(1));
    jobs.handle_added("a", CONTINUOUS, at(2));
    jobs.handle_added("b", CONTINUOUS, at(3));
    assert_eq!(orders(&mut jobs), "+o +a +b");
    jobs.handle_limits(Limits { max_jobs: 1, ..Limits::default() }, at(4));
    jobs.handle_timeout(at(60));
    assert_eq!(orders(&mut jobs), "-a -b");
}

#[test]
fn a_crashing_job_waits_longer_each_time_until_it_is_healthy() {
    let mut jobs = scheduler(2, 20);
    jobs.handle_added("a", CONTINUOUS, at(0));
    assert_eq!(orders(&mut jobs), "+a");
    let mut now = 0;
    for (crashes, wait) in [(1, 30), (2, 60), (3, 120), (4, 240)] {
        jobs.handle_crashed(&"a", "db_not_found: could not open x", at(now + 1));
        check_state(&jobs, "a", State::Crashing, crashes);
        jobs.handle_timeout(at(now + wait));
        assert_eq!(orders(&mut jobs), "", "{crashes}");
        now += 1 + wait;
        assert!(jobs.wake_at().unwrap() <= at(now));
        jobs.handle_timeout(at(now));
        assert_eq!(orders(&mut jobs), "+a", "{crashes}");
    }
    check_state(&jobs, "a", State::Running, 4);
    assert_eq!(jobs.summary(&"a").unwrap().reason, None);
    // As in CouchDB, a crash after a healthy run counts for nothing: the job is started at once.
    jobs.handle_crashed(&"a", "late", at(now + 121));
    assert_eq!(orders(&mut jobs), "+a");
    check_state(&jobs, "a", State::Running, 0);
}

#[test]
fn a_crashed_job_does_not_hold_a_place() {
    let mut jobs = scheduler(1, 20);
    jobs.handle_added("a", CONTINUOUS, at(0));
    jobs.handle_added("b", CONTINUOUS, at(0));
    jobs.handle_crashed(&"a", "x", at(1));
    assert_eq!(orders(&mut jobs), "+a +b");
}

#[test]
fn what_a_request_asked_for_is_forgotten_when_it_ends() {
    let mut jobs = scheduler(2, 20);
    let newcomer = Newcomer { origin: Origin::Request, ..ONE_SHOT };
    for key in ["a", "b", "c"] {
        jobs.handle_added(key, newcomer, at(0));
    }
    jobs.handle_completed(&"a", at(1));
    jobs.handle_crashed(&"b", "x", at(1));
    jobs.handle_failed(&"c", "x", at(1));
    assert_eq!(jobs.keys().count(), 0);
    assert_eq!(jobs.wake_at(), None);
}

#[test]
fn a_document_is_made_a_job_of_first() {
    let mut jobs = scheduler(2, 20);
    jobs.handle_added("a", Newcomer { preparation: Preparation::Needed, ..ONE_SHOT }, at(0));
    assert_eq!(orders(&mut jobs), "?a");
    check_state(&jobs, "a", State::Initializing, 0);
    jobs.handle_preparation_failed(&"a", "no filter", 7_000, at(1));
    check_state(&jobs, "a", State::Error, 1);
    assert_eq!(jobs.wake_at(), Some(at(8)));
    jobs.handle_timeout(at(8));
    assert_eq!(orders(&mut jobs), "?a");
    jobs.handle_prepared(&"a", at(9));
    assert_eq!(orders(&mut jobs), "+a");
    jobs.handle_failed(&"a", "unauthorized", at(10));
    check_state(&jobs, "a", State::Failed, 0);
    jobs.handle_timeout(at(1_000_000));
    assert_eq!(orders(&mut jobs), "");
}

#[test]
fn a_removed_job_stops_and_its_successor_waits_for_that() {
    let mut jobs = scheduler(2, 20);
    jobs.handle_added("a", CONTINUOUS, at(0));
    assert!(jobs.handle_removed(&"a", at(1)));
    assert!(!jobs.handle_removed(&"a", at(1)));
    assert!(jobs.summary(&"a").is_none());
    assert!(jobs.handle_added("a", ONE_SHOT, at(2)));
    assert_eq!(orders(&mut jobs), "+a -a");
    jobs.handle_stopped(&"a", at(3));
    assert_eq!(orders(&mut jobs), "+a");
    check_state(&jobs, "a", State::Running, 0);
    // Or it ends by itself just then.
    jobs.handle_removed(&"a", at(4));
    jobs.handle_completed(&"a", at(4));
    assert_eq!(jobs.keys().count(), 0);
    jobs.handle_stopped(&"a", at(5));
    assert_eq!(orders(&mut jobs), "-a");
}

#[test]
fn a_history_is_bounded() {
    let mut jobs = scheduler(1, 20);
    jobs.handle_added("a", CONTINUOUS, at(0));
    for round in 1..100 {
        jobs.handle_crashed(&"a", "x", at(round * 100_000));
        jobs.handle_timeout(at(round * 100_000 + 50_000));
    }
    assert_eq!(jobs.history(&"a").count(), 20);
    assert_eq!(jobs.history(&"a").next().unwrap().event, Event::Started);
}
