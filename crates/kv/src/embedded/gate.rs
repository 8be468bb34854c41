//! Who may begin a transaction: the count of open ones, and whether writes are accepted.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use crate::{Error, Health};

/// The gate before every transaction.
#[derive(Debug)]
pub(crate) struct Gate {
    open: AtomicUsize,
    limit: usize,
    /// Whether `trouble` is something; read without the lock.
    troubled: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
    refused_full: AtomicU64,
}

/// Why writes are not accepted.
#[derive(Debug, Clone)]
enum Trouble {
    /// Until there is space.
    Full(String),
    /// Until the store is opened again.
    Failed(String),
}

/// One open transaction; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    gate: Arc<Gate>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            limit,
            troubled: AtomicBool::new(false),
            trouble: Mutex::new(None),
            refused_full: AtomicU64::new(0),
        }
    }

    /// Counts one more transaction, if writes are accepted.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Slot, Error> {
        self.check()?;
        let slot = Slot { gate: Arc::clone(self) };
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit {
            return Err(Error::Busy { limit: self.limit });
        }
        Ok(slot)
    }

    /// Whether writes are accepted.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.troubled.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.trouble().as_ref() {
            None => Ok(()),
            Some(Trouble::Full(reason)) => Err(self.full(reason)),
            Some(Trouble::Failed(reason)) => Err(Error::ReadOnly { reason: reason.clone() }),
        }
    }

    /// Nothing more is accepted until the store is opened again. The first reason stays.
    pub(crate) fn fail(&self, reason: &str) {
        let mut trouble = self.trouble();
        if !matches!(*trouble, Some(Trouble::Failed(_))) {
            tracing::error!(reason, "the store is read-only");
            *trouble = Some(Trouble::Failed(reason.to_owned()));
            self.troubled.store(true, Ordering::Release);
        }
    }

    /// Nothing more is accepted until [`Self::has_space`].
    pub(crate) fn is_full(&self, reason: &str) {
        let mut trouble = self.trouble();
        if trouble.is_none() {
            tracing::error!(reason, "the store is read-only until there is space");
            *trouble = Some(Trouble::Full(reason.to_owned()));
            self.troubled.store(true, Ordering::Release);
        }
    }

    /// Ends [`Self::is_full`].
    pub(crate) fn has_space(&self) {
        let mut trouble = self.trouble();
        if matches!(*trouble, Some(Trouble::Full(_))) {
            tracing::info!("there is space again: the store accepts writes");
            *trouble = None;
            self.troubled.store(false, Ordering::Release);
        }
    }

    /// The error of one transaction that found no space.
    pub(crate) fn full(&self, reason: &str) -> Error {
        self.refused_full.fetch_add(1, Ordering::Relaxed);
        Error::Full { reason: reason.to_owned() }
    }

    pub(crate) fn health(&self) -> Health {
        match self.trouble().as_ref() {
            None => Health::Ok,
            Some(Trouble::Full(reason)) => Health::Full { reason: reason.clone() },
            Some(Trouble::Failed(reason)) => Health::ReadOnly { reason: reason.clone() },
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn refused_full(&self) -> u64 {
        self.refused_full.load(Ordering::Relaxed)
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_back_even_when_it_was_one_too_many() {
        let gate = Arc::new(Gate::new(1));
        let slot = gate.enter().unwrap();
        for _ in 0..3 {
            assert!(matches!(gate.enter(), Err(Error::Busy { limit: 1 })));
        }
        drop(slot);
        assert_eq!(gate.open(), 0);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn space_ends_being_full_but_nothing_ends_a_failure() {
        let gate = Arc::new(Gate::new(9));
        gate.is_full("no space");
        assert!(matches!(gate.enter(), Err(Error::Full { .. })));
        gate.has_space();
        assert!(gate.enter().is_ok());
        gate.fail("broken");
        gate.fail("later");
        gate.has_space();
        assert_eq!(gate.health(), Health::ReadOnly { reason: "broken".to_owned() });
        assert!(matches!(gate.enter(), Err(Error::ReadOnly { .. })));
    }
}
