//! Many continuous listeners in one place, which tell a writer when all of them have seen its rows.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::{
    Error,
    client::{Connection, Request},
    load::Latencies,
};

/// A row that hasn't come by then won't come.
const DELIVERED_WITHIN: Duration = Duration::from_secs(20);

/// Connected listeners; they hang up when this goes.
pub(super) struct Audience {
    size: u64,
    board: Arc<Board>,
    _listeners: JoinSet<Result<(), Error>>,
}

/// What listeners and the writer tell one another.
struct Board {
    step: Mutex<Step>,
    complete: Notify,
}

/// The rows of one write.
struct Step {
    started: Instant,
    awaited: u64,
    latencies: Latencies,
}

impl Audience {
    /// Connects `size` listeners to the changes of `database` after `since`.
    ///
    /// Their answers' heads aren't waited for: some servers send them with the first row.
    pub(super) async fn gather(address: SocketAddr, database: &str, since: &str, size: u64) -> Result<Self, Error> {
        let mut wire = Vec::new();
        Request::new("GET", &format!("{database}/_changes?feed=continuous&since={since}")).encode(&mut wire);
        Self::gather_each(address, size, |_| wire.clone()).await
    }

    /// Connects `size` listeners, each by the request that is made for its number.
    pub(super) async fn gather_each(
        address: SocketAddr,
        size: u64,
        request: impl Fn(u64) -> Vec<u8>,
    ) -> Result<Self, Error> {
        let step = Step { started: Instant::now(), awaited: 0, latencies: Latencies::default() };
        let board = Arc::new(Board { step: Mutex::new(step), complete: Notify::new() });
        let mut listeners = JoinSet::new();
        for number in 0..size {
            let (connection, wire, board) = (Connection::open(address).await?, request(number), Arc::clone(&board));
            listeners.spawn(async move { listen(connection, &wire, &board).await });
        }
        Ok(Self { size, board, _listeners: listeners })
    }

    /// A write of so many rows starts now, which all listeners get.
    pub(super) fn expect(&self, rows: u64) {
        self.expect_in_all(rows * self.size);
    }

    /// A write starts now, of which the listeners get so many rows together.
    pub(super) fn expect_in_all(&self, rows: u64) {
        let mut step = self.board.step.lock().unwrap_or_else(PoisonError::into_inner);
        step.started = Instant::now();
        step.awaited = rows;
    }

    /// Waits until every listener has every row.
    pub(super) async fn wait(&self) -> Result<(), Error> {
        let deadline = |_elapsed| Error::Deadline { what: "delivering rows".to_owned(), limit: DELIVERED_WITHIN };
        timeout(DELIVERED_WITHIN, self.board.complete.notified()).await.map_err(deadline)
    }

    /// The latencies since the last call.
    pub(super) fn take_latencies(&self) -> Latencies {
        std::mem::take(&mut self.board.step.lock().unwrap_or_else(PoisonError::into_inner).latencies)
    }
}

impl Board {
    fn saw(&self, rows: u64) {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = step.started.elapsed();
        (0..rows).for_each(|_row| step.latencies.record(latency));
        let before = step.awaited;
        step.awaited = before.saturating_sub(rows);
        if before > 0 && step.awaited == 0 {
            self.complete.notify_one();
        }
    }
}

async fn listen(connection: Connection, wire: &[u8], board: &Board) -> Result<(), Error> {
    let mut stream = connection.follow(wire).await?;
    let mut line_bytes = 0;
    while let Some(piece) = stream.piece().await? {
        let rows = count_lines(&piece, &mut line_bytes);
        if rows > 0 {
            board.saw(rows);
        }
    }
    Ok(())
}

/// Counts the ends of lines that aren't empty (empty ones are heartbeats); a line may come in pieces.
fn count_lines(piece: &[u8], line_bytes: &mut usize) -> u64 {
    let (mut lines, mut start) = (0, 0);
    for end in memchr::memchr_iter(b'\n', piece) {
        lines += u64::from(*line_bytes + end - start > 0);
        *line_bytes = 0;
        start = end + 1;
    }
    *line_bytes += piece.len() - start;
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_not_rows() {
        let mut line_bytes = 0;
        let counts = [&b"{\"a\"}\n\n\n{"[..], b"}", b"\n{}\n", b"\n"].map(|piece| count_lines(piece, &mut line_bytes));
        assert_eq!(counts, [1, 0, 2, 0]);
    }
}
