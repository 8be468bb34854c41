//! The scopes: whose turn it is in each, and who waits for its commits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedMutexGuard, watch};

/// Every scope in use.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    scopes: HashMap<Box<[u8]>, Arc<Scope>>,
    /// Scopes that nobody uses are forgotten when there are so many.
    forget_at: usize,
}

const FORGET_AT_LEAST: usize = 1024;

/// One scope.
#[derive(Debug)]
pub(crate) struct Scope {
    name: Box<[u8]>,
    turn: Arc<tokio::sync::Mutex<()>>,
    commits: watch::Sender<u64>,
}

/// The right to write in a scope, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    scope: Arc<Scope>,
    _turn: OwnedMutexGuard<()>,
}

impl Scopes {
    /// Waits for the turn in `name`. `position` is what its watchers see first, if it is new.
    pub(crate) async fn hold(&self, name: &[u8], position: u64) -> Hold {
        let scope = self.scope(name, position);
        let turn = Arc::clone(&scope.turn).lock_owned().await;
        Hold { scope, _turn: turn }
    }

    /// The positions of the commits of `name`.
    pub(crate) fn watch(&self, name: &[u8], position: u64) -> watch::Receiver<u64> {
        // Under the lock, or the scope could be forgotten before it has its first watcher.
        let mut known = self.known();
        known.scope(name, position).commits.subscribe()
    }

    fn scope(&self, name: &[u8], position: u64) -> Arc<Scope> {
        Arc::clone(self.known().scope(name, position))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn scope(&mut self, name: &[u8], position: u64) -> &Arc<Scope> {
        if self.scopes.len() >= self.forget_at.max(FORGET_AT_LEAST) {
            self.scopes.retain(|_, scope| Arc::strong_count(scope) > 1 || scope.commits.receiver_count() > 0);
            self.forget_at = self.scopes.len() * 2;
        }
        self.scopes.entry(name.into()).or_insert_with_key(|name| {
            let commits = watch::Sender::new(position);
            Arc::new(Scope { name: name.clone(), turn: Arc::default(), commits })
        })
    }
}

impl Hold {
    pub(crate) fn name(&self) -> &[u8] {
        &self.scope.name
    }

    /// The commit at `position` is visible: wakes the watchers.
    pub(crate) fn committed(&self, position: u64) {
        self.scope.commits.send_replace(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn scopes_that_nobody_uses_are_forgotten() {
        let scopes = Scopes::default();
        let held = scopes.hold(b"held", 0).await;
        let mut watched = scopes.watch(b"watched", 0);
        for number in 0..5 * FORGET_AT_LEAST {
            drop(scopes.hold(&number.to_le_bytes(), 0).await);
        }
        assert!(scopes.known().scopes.len() < 3 * FORGET_AT_LEAST);
        scopes.hold(b"watched", 9).await.committed(7);
        assert_eq!(*watched.borrow_and_update(), 7);
        let second = tokio::time::timeout(std::time::Duration::from_millis(1), scopes.hold(b"held", 0));
        assert!(second.await.is_err());
        drop(held);
        scopes.hold(b"held", 0).await;
    }
}
