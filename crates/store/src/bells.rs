//! Waking those who wait for channels: a commit wakes whoever has one of its channels, or was granted something by it, and
//! nobody else.

use crate::{Change, commit::Recent};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tidegate_channels::Access;
use tidegate_types::{Channel, Principal};
use tokio::sync::Notify;

/// The bells of a collection.
#[derive(Debug, Default)]
pub(crate) struct Bells(Mutex<Board>);

/// Which bell hangs where.
#[derive(Debug, Default)]
struct Board {
    next: u64,
    channels: HashMap<Channel, Hung>,
    principals: HashMap<Principal, Hung>,
    /// Those of who sees everything.
    all: Hung,
}

type Hung = HashMap<u64, Arc<Notify>>;

/// Is rung by what concerns its owner. It stays rung until it is heard; it is taken down when it is dropped.
#[derive(Debug)]
pub(crate) struct Bell {
    bells: Arc<Bells>,
    number: u64,
    rung: Arc<Notify>,
    places: Places,
}

/// Where a bell hangs.
#[derive(Debug)]
struct Places {
    channels: Vec<Channel>,
    principals: Vec<Principal>,
}

impl Bells {
    /// Hangs up a bell for one who sees so much, and by whose standing that was found.
    pub(crate) fn hang(self: &Arc<Self>, access: &Access, principals: &[Principal]) -> Bell {
        let sees_all = access.sees_all();
        let channels = access.current().map(|(channel, _)| channel.clone()).filter(|_| !sees_all).collect();
        let places = Places { channels, principals: principals.to_vec() };
        let rung = Arc::new(Notify::new());
        let mut board = self.lock();
        board.next += 1;
        let number = board.next;
        for channel in &places.channels {
            board.channels.entry(channel.clone()).or_default().insert(number, Arc::clone(&rung));
        }
        for principal in &places.principals {
            board.principals.entry(principal.clone()).or_default().insert(number, Arc::clone(&rung));
        }
        if sees_all {
            board.all.insert(number, Arc::clone(&rung));
        }
        drop(board);
        Bell { bells: Arc::clone(self), number, rung, places }
    }

    /// Rings for a commit.
    pub(crate) fn ring(&self, changes: &[Arc<Change>], touched: &[Principal], recent: Recent) {
        let board = self.lock();
        if board.channels.is_empty() && board.principals.is_empty() && board.all.is_empty() {
            return;
        }
        if recent == Recent::Forgotten {
            board.everybody().for_each(|rung| rung.notify_one());
            return;
        }
        for reach in changes.iter().filter_map(|change| change.reach.as_ref()) {
            let hung = reach.channels.iter().chain(&reach.left).filter_map(|channel| board.channels.get(channel));
            hung.flat_map(HashMap::values).for_each(|rung| rung.notify_one());
        }
        let hung = touched.iter().filter_map(|principal| board.principals.get(principal));
        hung.flat_map(HashMap::values).for_each(|rung| rung.notify_one());
        if !changes.is_empty() {
            board.all.values().for_each(|rung| rung.notify_one());
        }
    }

    /// Rings for everybody: the database is gone.
    pub(crate) fn ring_all(&self) {
        self.lock().everybody().for_each(|rung| rung.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn everybody(&self) -> impl Iterator<Item = &Arc<Notify>> {
        let channels = self.channels.values().flat_map(HashMap::values);
        let principals = self.principals.values().flat_map(HashMap::values);
        channels.chain(principals).chain(self.all.values())
    }
}

impl Bell {
    /// Waits until it was rung since it was heard last. Cancel safe.
    pub(crate) async fn heard(&self) {
        self.rung.notified().await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let mut board = self.bells.lock();
        for channel in &self.places.channels {
            take_down(&mut board.channels, channel, self.number);
        }
        for principal in &self.places.principals {
            take_down(&mut board.principals, principal, self.number);
        }
        board.all.remove(&self.number);
    }
}

fn take_down<K: std::hash::Hash + Eq>(places: &mut HashMap<K, Hung>, place: &K, number: u64) {
    let Some(hung) = places.get_mut(place) else { return };
    hung.remove(&number);
    if hung.is_empty() {
        places.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reach;
    use std::time::Duration;
    use tidegate_channels::{Grants, Periods};
    use tidegate_types::Seq;

    fn access(channels: &[&str]) -> Access {
        let open = || Periods::open_since(Seq::ZERO);
        Access::of(channels.iter().map(|channel| (channel.parse().unwrap(), open())).collect::<Grants>())
    }

    fn change(channels: &[&str], left: &[&str]) -> Arc<Change> {
        let parse = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let reach = Some(Arc::new(Reach { channels: parse(channels), left: parse(left) }));
        let (id, winner) = ("d".parse().unwrap(), "1-a".parse().unwrap());
        let (seq, others) = (Seq::new(1), Vec::new());
        Arc::new(Change { seq, id, deleted: false, winner, others, winner_body: None, reach })
    }

    async fn is_rung(bell: &Bell) -> bool {
        tokio::time::timeout(Duration::ZERO, bell.heard()).await.is_ok()
    }

    #[tokio::test]
    async fn a_commit_wakes_whom_it_concerns() {
        let bells = Arc::new(Bells::default());
        let ada: Principal = "ada".parse().unwrap();
        let (a, b, all) = (
            bells.hang(&access(&["a"]), std::slice::from_ref(&ada)),
            bells.hang(&access(&["b"]), &[]),
            bells.hang(&access(&["*"]), &[]),
        );
        let check = async |ring: &dyn Fn(), expected: [bool; 3]| {
            ring();
            assert_eq!([is_rung(&a).await, is_rung(&b).await, is_rung(&all).await], expected);
        };
        check(&|| bells.ring(&[change(&["a", "x"], &[])], &[], Recent::Kept), [true, false, true]).await;
        check(&|| bells.ring(&[change(&[], &["b"])], &[], Recent::Kept), [false, true, true]).await;
        check(&|| bells.ring(&[], std::slice::from_ref(&ada), Recent::Kept), [true, false, false]).await;
        check(&|| bells.ring(&[], &[], Recent::Forgotten), [true, true, true]).await;
        check(&|| bells.ring(&[change(&["c"], &[])], &[], Recent::Kept), [false, false, true]).await;
        drop((a, b, all));
        let board = bells.lock();
        assert!(board.channels.is_empty() && board.principals.is_empty() && board.all.is_empty());
    }
}
