//! Threads, their queue, and its bound.

use std::time::Duration;

use bytes::Bytes;
use tidegate_script::{Error, Limits, OwnedValidation, Pool, PoolLimits, Program, Verdict};

fn pool(threads: usize, waiting_max: usize) -> std::io::Result<Pool> {
    let machine = Limits { time_max: Duration::from_millis(300), ..Limits::default() };
    Pool::start(PoolLimits { threads, waiting_max, machine })
}

fn program(source: &str) -> Program {
    Program::new(source, source, None)
}

fn documents(count: usize) -> Vec<Bytes> {
    (0..count).map(|n| Bytes::from(format!("{{\"n\":{n}}}"))).collect()
}

#[tokio::test]
async fn a_batch_is_one_hop() {
    let pool = pool(2, 8).unwrap();
    let passed = pool.filter(&program("doc => doc.n % 2"), documents(5), Bytes::from_static(b"{}")).await;
    assert_eq!(passed, Ok(vec![false, true, false, true, false]));
    let passed = pool.filter_by_view(&program("doc => { if (doc.n) emit() }"), documents(2)).await;
    assert_eq!(passed, Ok(vec![false, true]));
    let rows = pool.map(&program("doc => emit(doc.n)"), documents(1).remove(0)).await.unwrap();
    assert_eq!(rows.first().map(|row| row.key.as_str()), Some("0"));
    assert_eq!(pool.compile(&program("doc => 1")).await, Ok(()));
    let input = OwnedValidation {
        document: Bytes::from_static(b"{}"),
        old_document: None,
        user: Bytes::from_static(b"{}"),
        security: Bytes::from_static(b"{}"),
    };
    let forbidden = pool.validate(&program("() => { throw {forbidden: 'x'} }"), input).await;
    assert_eq!(forbidden, Ok(Verdict::Forbidden("x".to_owned())));
}

#[tokio::test]
async fn the_queue_is_bounded_and_a_stop_is_told() {
    let pool = pool(1, 2).unwrap();
    let slow = program("() => { for (;;) {} }");
    let call = || pool.filter(&slow, documents(1), Bytes::from_static(b"{}"));
    // One runs and two wait, or three wait: of eight at once, five or more are turned away.
    let (a, b, c, d, e, f, g, h) = tokio::join!(call(), call(), call(), call(), call(), call(), call(), call());
    let results = [a, b, c, d, e, f, g, h];
    let overloaded = results.iter().filter(|result| **result == Err(Error::Overloaded)).count();
    assert!((5..=6).contains(&overloaded), "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Err(Error::Overloaded | Error::Timeout))));
    pool.stop();
    assert_eq!(call().await, Err(Error::Stopped));
}

#[tokio::test]
async fn a_call_given_up_is_not_run() {
    let pool = pool(1, 8).unwrap();
    let slow = program("() => { for (;;) {} }");
    let mut running = Box::pin(pool.filter(&slow, documents(1), Bytes::from_static(b"{}")));
    assert!(futures_poll(&mut running).await);
    for _ in 0..7 {
        let mut waiting = Box::pin(pool.filter(&slow, documents(1), Bytes::from_static(b"{}")));
        assert!(futures_poll(&mut waiting).await);
    }
    let start = std::time::Instant::now();
    assert_eq!(running.await, Err(Error::Timeout));
    let good = pool.filter(&program("doc => true"), documents(1), Bytes::from_static(b"{}")).await;
    assert_eq!(good, Ok(vec![true]));
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

/// Polls once: whether it is still to come.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending()))
        .await
}

#[tokio::test]
async fn a_built_in_that_can_not_be_interrupted_holds_up_nobody_else() {
    let machine = Limits { time_max: Duration::from_millis(50), ..Limits::default() };
    let pool = Pool::start(PoolLimits { threads: 1, waiting_max: 8, machine }).unwrap();
    // Some seconds of searching, then the thread ends.
    let search = program("() => 'a'.repeat(1e6).includes('a'.repeat(1e3) + 'b')");
    let good = program("doc => doc.n === 0");
    let call = |program| pool.filter(program, documents(1), Bytes::from_static(b"{}"));
    assert_eq!(tokio::join!(call(&search), call(&good)), (Err(Error::Timeout), Ok(vec![true])));
    // A second one is one too many: those behind it are answered, others turned away until one of the two ends.
    assert_eq!(tokio::join!(call(&search), call(&good)), (Err(Error::Timeout), Err(Error::Timeout)));
    assert_eq!(call(&good).await, Err(Error::Overloaded));
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    while call(&good).await != Ok(vec![true]) {
        assert!(std::time::Instant::now() < deadline, "the seat is never taken again");
        pause.tick().await;
    }
    pool.stop();
}
