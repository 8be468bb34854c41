//! The limits of keys, values and transactions.

use crate::Error;

/// What the store accepts. Each limit has an [`Error`] of its own.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest key or scope name: 4 KiB.
    pub key_bytes: usize,
    /// The largest value: 64 MiB.
    pub value_bytes: usize,
    /// The keys and values of one transaction together: 256 MiB.
    pub transaction_bytes: usize,
    /// The transactions open or waiting at one time: 4096.
    pub transactions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { key_bytes: 4 << 10, value_bytes: 64 << 20, transaction_bytes: 256 << 20, transactions: 4096 }
    }
}

impl Limits {
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<(), Error> {
        if key.len() > self.key_bytes {
            return Err(Error::KeyTooLong { bytes: key.len(), limit: self.key_bytes });
        }
        Ok(())
    }

    pub(crate) fn check_value(&self, value: &[u8]) -> Result<(), Error> {
        if value.len() > self.value_bytes {
            return Err(Error::ValueTooLarge { bytes: value.len(), limit: self.value_bytes });
        }
        Ok(())
    }

    pub(crate) fn check_transaction(&self, bytes: usize) -> Result<(), Error> {
        if bytes > self.transaction_bytes {
            return Err(Error::TransactionTooLarge { bytes, limit: self.transaction_bytes });
        }
        Ok(())
    }
}
