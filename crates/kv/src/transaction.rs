//! Buffered writes of one scope, committed together.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::{
    Direction, Error, KeyRange, Limits, Snapshot,
    embedded::{Op, Turn},
};

/// The only writer of its scope, until it is committed or dropped.
///
/// Its reads show the state *before* it: writes are buffered and become visible, in the order they were made, when it is
/// committed. Dropped without [`commit`](Self::commit), it never happened.
pub struct Transaction {
    turn: Turn,
    snapshot: Snapshot,
    limits: Limits,
    writes: Writes,
}

/// A transaction that is durable and visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Where it stands in the order of commits. Later commits of the same scope have greater positions; commits of
    /// different scopes may share one. Positions go on when the store is opened again.
    pub position: u64,
}

/// The buffered writes and what they add up to.
#[derive(Debug, Default)]
struct Writes {
    ops: Vec<Op>,
    bytes: usize,
    refused: Option<Error>,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Transaction").field("writes", &self.writes.ops.len()).finish_non_exhaustive()
    }
}

impl Transaction {
    pub(crate) fn new(turn: Turn, snapshot: Snapshot, limits: Limits) -> Self {
        Self { turn, snapshot, limits, writes: Writes::default() }
    }

    /// The state before this transaction.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// As [`Snapshot::get`], before this transaction's writes.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.snapshot.get(key).await
    }

    /// As [`Snapshot::get_many`], before this transaction's writes.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub async fn get_many<K: AsRef<[u8]> + Sync>(&self, keys: &[K]) -> Result<Vec<Option<Bytes>>, Error> {
        self.snapshot.get_many(keys).await
    }

    /// As [`Snapshot::scan`], before this transaction's writes.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub async fn scan(
        &self,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.snapshot.scan(range, direction, limit).await
    }

    /// As [`Snapshot::scan_with`], before this transaction's writes.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub async fn scan_with<F>(&self, range: KeyRange, direction: Direction, limit: usize, visit: F) -> Result<(), Error>
    where
        F: FnMut(&[u8], &[u8]) -> ControlFlow<()> + Send,
    {
        self.snapshot.scan_with(range, direction, limit, visit).await
    }

    /// Sets `key` to `value`. A limit that it breaks is reported by [`Self::commit`].
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (key, value) = (key.into(), value.into());
        let allowed = self.limits.check_key(&key).and_then(|()| self.limits.check_value(&value));
        self.writes.push(allowed, key.len() + value.len(), Op::Put(key, value));
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        let key = key.into();
        self.writes.push(self.limits.check_key(&key), key.len(), Op::Delete(key));
    }

    /// Removes every key in `range`, those put by this transaction before included.
    pub fn delete_range(&mut self, range: KeyRange) {
        if !range.is_empty() {
            self.writes.push(Ok(()), 0, Op::DeleteRange(range));
        }
    }

    /// The keys and values buffered so far, in bytes.
    pub fn bytes(&self) -> usize {
        self.writes.bytes
    }

    /// Makes the writes durable and visible, together, and ends the transaction.
    ///
    /// Not cancel safe: dropping the future leaves open whether the transaction is committed. Its scope stays taken until
    /// that is decided.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], [`Error::ValueTooLarge`], [`Error::TransactionTooLarge`], [`Error::Full`] and
    /// [`Error::Closed`] mean that nothing was written. After [`Error::ReadOnly`] it is open whether the transaction will
    /// be there when the store is opened again.
    pub async fn commit(self) -> Result<Commit, Error> {
        if let Some(refused) = self.writes.refused {
            return Err(refused);
        }
        self.limits.check_transaction(self.writes.bytes)?;
        if self.writes.ops.is_empty() {
            return Ok(Commit { position: self.snapshot.position() });
        }
        // The old state is not needed any more; pages it holds can be reused by this very commit.
        drop(self.snapshot);
        self.turn.commit(self.writes.ops, self.writes.bytes).await
    }
}

impl Writes {
    fn push(&mut self, allowed: Result<(), Error>, bytes: usize, op: Op) {
        match allowed {
            Ok(()) => {
                self.bytes += bytes;
                self.ops.push(op);
            }
            Err(error) => self.refused = self.refused.take().or(Some(error)),
        }
    }
}
