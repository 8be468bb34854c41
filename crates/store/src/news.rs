//! What happens to databases, told to whoever listens to all of them.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tidegate_types::DbName;
use tokio::sync::Notify;

/// What happened to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// It was made.
    Created,
    /// Its documents have changed.
    Updated,
    /// It was deleted.
    Deleted,
}

/// What has happened since it was last asked for: each event of a database once, so that it never holds more than three
/// times as many as there were databases meanwhile. Where nobody listens, telling costs a look at a flag.
#[derive(Debug, Default)]
pub struct News {
    listening: AtomicBool,
    pending: Mutex<Pending>,
    told: Notify,
}

/// Events by their place in time.
#[derive(Debug, Default)]
struct Pending {
    places: HashMap<(DbName, Event), u64>,
    next: u64,
}

impl News {
    /// Begins to take events.
    pub fn listen(&self) {
        self.listening.store(true, Ordering::Relaxed);
    }

    /// Takes no more events, and forgets those taken.
    pub fn ignore(&self) {
        self.listening.store(false, Ordering::Relaxed);
        self.lock().places.clear();
    }

    /// The events since the last call, by the time of the latest of each kind.
    pub fn take(&self) -> Vec<(DbName, Event)> {
        let mut events: Vec<_> = std::mem::take(&mut self.lock().places).into_iter().collect();
        events.sort_unstable_by_key(|(_, place)| *place);
        events.into_iter().map(|(event, _)| event).collect()
    }

    /// Waits until there are events. Cancel safe.
    pub async fn changed(&self) {
        while self.lock().places.is_empty() {
            self.told.notified().await;
        }
    }

    /// Tells an event.
    pub fn tell(&self, name: &DbName, event: Event) {
        if !self.listening.load(Ordering::Relaxed) {
            return;
        }
        let mut pending = self.lock();
        let place = pending.next;
        pending.next += 1;
        pending.places.insert((name.clone(), event), place);
        drop(pending);
        self.told.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_told_once_at_its_latest_place() {
        let news = News::default();
        let tell = |name: &str, event| news.tell(&name.parse().unwrap(), event);
        tell("early", Event::Created);
        news.listen();
        tell("a", Event::Deleted);
        tell("a", Event::Created);
        tell("b", Event::Updated);
        tell("a", Event::Deleted);
        let names = |events: Vec<(DbName, Event)>| -> Vec<_> {
            events.into_iter().map(|(name, event)| (name.to_string(), event)).collect()
        };
        let expected = [("a", Event::Created), ("b", Event::Updated), ("a", Event::Deleted)];
        assert_eq!(names(news.take()), expected.map(|(name, event)| (name.to_owned(), event)));
        assert_eq!(news.take(), []);
        tell("c", Event::Updated);
        news.ignore();
        tell("d", Event::Updated);
        assert_eq!(news.take(), []);
    }
}
