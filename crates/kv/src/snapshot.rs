//! A view of the store at one commit.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;

use crate::{Direction, Error, KeyRange, embedded::View};

/// The store as it was at one commit, whatever is committed later.
///
/// Cheap to make and to clone. Don't keep one for long: the space of what was overwritten since can't be reused.
/// Dropping any of its futures is safe.
#[derive(Debug, Clone)]
pub struct Snapshot {
    view: Arc<View>,
}

#[expect(clippy::unused_async, reason = "the embedded back end answers at once; PostgreSQL will not")]
impl Snapshot {
    pub(crate) fn new(view: Arc<View>) -> Self {
        Self { view }
    }

    /// The position of the commit it shows; see [`Commit::position`](crate::Commit::position).
    pub fn position(&self) -> u64 {
        self.view.position()
    }

    /// How many rows there are. Known without counting.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn row_count(&self) -> Result<u64, Error> {
        self.view.rows()
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the disk altered what was written; [`Error::Tree`] when it can't be read;
    /// [`Error::Closed`] after the store was closed.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.view.get(key)
    }

    /// The values of `keys`, in their order: one round trip on PostgreSQL.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_many<K: AsRef<[u8]> + Sync>(&self, keys: &[K]) -> Result<Vec<Option<Bytes>>, Error> {
        keys.iter().map(|key| self.view.get(key.as_ref())).collect()
    }

    /// The first `limit` rows of `range` in `direction`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn scan(
        &self,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut rows = Vec::new();
        self.view.scan(&range, direction, limit, |key, value| {
            rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Shows the first `limit` rows of `range` to `visit`, until it breaks. Copies nothing; `visit` must not wait.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn scan_with<F>(&self, range: KeyRange, direction: Direction, limit: usize, visit: F) -> Result<(), Error>
    where
        F: FnMut(&[u8], &[u8]) -> ControlFlow<()> + Send,
    {
        self.view.scan(&range, direction, limit, visit)
    }
}
