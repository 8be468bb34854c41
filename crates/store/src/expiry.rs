//! Which documents expire, and when.

use crate::{Error, Reader};
use tidegate_kv::Direction;
use tidegate_types::DocId;

impl Reader {
    /// Documents that expire up to a time in seconds since 1970, the earliest first, at most `limit`.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn expired(&self, until_s: u64, limit: usize) -> Result<Vec<(u64, DocId)>, Error> {
        let keys = self.inner.keys;
        let rows = self.snapshot.scan(keys.expiries(until_s), Direction::Forward, limit).await?;
        Ok(rows.iter().filter_map(|(key, _)| keys.expiry_in(key)).collect())
    }
}
