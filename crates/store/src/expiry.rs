//! Which documents expire, and when.

use crate::{
    Error, Reader, Store,
    catalog::decode_number,
    collections,
    keys::{self, Keys},
};
use tidegate_kv::{Direction, Snapshot};
use tidegate_types::{DbName, DocId};

impl Reader {
    /// Documents that expire up to a time in seconds since 1970, the earliest first, at most `limit`.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn expired(&self, until_s: u64, limit: usize) -> Result<Vec<(u64, DocId)>, Error> {
        let keys = self.keys;
        let rows = self.snapshot.scan(keys.expiries(until_s), Direction::Forward, limit).await?;
        Ok(rows.iter().filter_map(|(key, _)| keys.expiry_in(key)).collect())
    }
}

async fn first_expiry(snapshot: &Snapshot, keys: Keys) -> Result<Option<u64>, Error> {
    let first = snapshot.scan(keys.expiries(u64::MAX), Direction::Forward, 1).await?;
    Ok(first.first().and_then(|(key, _)| keys.expiry_in(key)).map(|(at_s, _)| at_s))
}

impl Store {
    /// When the first document of each database expires, in any collection, of those in which some do; no database is opened
    /// for it.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn expiries(&self) -> Result<Vec<(DbName, u64)>, Error> {
        let snapshot = self.storage().snapshot()?;
        let mut expiries = Vec::new();
        for (key, number) in snapshot.scan(keys::catalog_all(), Direction::Forward, usize::MAX).await? {
            let Some(name) = keys::catalog_name(&key) else { continue };
            let home = Keys::new(decode_number(&number)?);
            let mut earliest = first_expiry(&snapshot, home).await?;
            for collection in collections::load(&snapshot, home).await?.into_values() {
                let first = first_expiry(&snapshot, home.within(collection)).await?;
                earliest = earliest.into_iter().chain(first).min();
            }
            expiries.extend(earliest.map(|at_s| (name, at_s)));
        }
        Ok(expiries)
    }
}
