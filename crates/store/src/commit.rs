//! The one way to write: proposals, and the group commit that carries them out.
//!
//! A [`Proposal`] is the keys it reads and a pure function from their values to writes. The committer of a database
//! takes all waiting proposals, fetches the union of their keys once, applies them in order on an overlay, writes one
//! transaction, and answers when it is durable. A function that turns out to need keys nobody fetched is stopped, the
//! keys are fetched, and it runs again: so it must not have effects of its own.
//!
//! There is no committer task while nothing waits: an idle database costs nothing.

use crate::{
    Change, Error,
    database::Inner,
    keys::{DEFAULT_COLLECTION, Key, Keys, Value},
    record::{Counters, Meta},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};
use tidegate_kv::{KeyRange, Transaction};
use tidegate_types::{Principal, Seq};
use tokio::sync::oneshot;

/// Proposals that may wait for one database; more are refused with [`Error::Overloaded`].
const WAITING_MAX: usize = 20_000;
/// Proposals, and bytes of what they write, after which a group takes no more batches.
const GROUP_PROPOSALS_MAX: usize = 4_096;
const GROUP_BYTES_MAX: usize = 16 << 20;

/// A change somebody wants: what it reads, and what follows from it.
pub(crate) struct Proposal<T> {
    /// Keys fetched before it runs; others are fetched when it asks.
    pub(crate) reads: Vec<Key>,
    /// About how many bytes it writes.
    pub(crate) bytes: usize,
    /// The change itself; may run more than once.
    pub(crate) apply: Apply<T>,
}

/// A function from the values of keys to writes.
pub(crate) type Apply<T> = Box<dyn Fn(&mut Draft<'_>) -> Result<T, Stop> + Send>;

/// Why a proposal's function ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It needs these keys' values: fetch them, and run it again.
    Unread(Vec<Key>),
    /// It can't be done. Nothing of it is written.
    Refused(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// What the proposals of a group have written so far, over what was there.
struct Group {
    base: HashMap<Key, Option<Value>>,
    /// What was put or deleted, and not cleared since.
    writes: BTreeMap<Key, Option<Value>>,
    /// Cleared before any of the writes.
    cleared: Vec<KeyRange>,
    meta: Meta,
    changes: Changes,
    touched: Vec<Principal>,
    recent: Recent,
    rules: RulesNow,
}

/// What changed in the collections of these numbers.
pub(crate) type Changes = BTreeMap<u32, Vec<Arc<Change>>>;

/// What becomes of the changes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recent {
    Kept,
    /// Something happened that none of them tells.
    Forgotten,
}

/// By which rules edits have to be judged.
#[derive(Clone, Copy, Debug)]
struct RulesNow {
    channels: bool,
    version: u64,
    changed: bool,
}

/// One write of a draft.
enum Write {
    Set(Key, Option<Value>),
    Clear(KeyRange),
}

/// One proposal's writes, in order: they join the group's when it succeeds.
pub(crate) struct Draft<'g> {
    group: &'g Group,
    writes: Vec<Write>,
    changes: Vec<(u32, Arc<Change>)>,
    touched: Vec<Principal>,
    recent: Recent,
    rules_changed: bool,
    /// Whether the database has channels.
    pub(crate) channels: bool,
    /// The version of the rules that edits have to be judged by.
    pub(crate) rules_version: u64,
    /// What the database knows of itself, to be changed in place.
    pub(crate) meta: Meta,
}

impl Draft<'_> {
    /// The value of a key as this proposal would leave it.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<&Value>, Stop> {
        let own = self.writes.iter().rev().find_map(|write| match write {
            Write::Set(written, value) if written == key => Some(value),
            Write::Set(..) | Write::Clear(_) => None,
        });
        let earlier = || self.group.writes.get(key).or_else(|| self.group.base.get(key));
        own.or_else(earlier).map(Option::as_ref).ok_or_else(|| Stop::Unread(vec![key.clone()]))
    }

    /// Has these keys fetched at once, where they would be asked for one by one.
    pub(crate) fn fetch(&self, keys: impl Iterator<Item = Key>) -> Result<(), Stop> {
        let unread: Vec<Key> = keys.filter(|key| self.get(key).is_err()).collect();
        if unread.is_empty() { Ok(()) } else { Err(Stop::Unread(unread)) }
    }

    pub(crate) fn put(&mut self, key: Key, value: Vec<u8>) {
        self.writes.push(Write::Set(key, Some(value.into())));
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.writes.push(Write::Set(key, None));
    }

    /// Deletes a range of keys that no draft reads: what was put before, in this draft or earlier ones, included.
    pub(crate) fn clear(&mut self, range: KeyRange) {
        self.writes.push(Write::Clear(range));
    }

    /// The next sequence, now taken.
    pub(crate) fn take_seq(&mut self) -> Seq {
        self.meta.update_seq = self.meta.update_seq.next();
        self.meta.update_seq
    }

    /// A principal's grants change.
    pub(crate) fn touch(&mut self, principal: Principal) {
        self.touched.push(principal);
    }

    /// Something happens that feeds have to look up.
    pub(crate) fn forget_recent(&mut self) {
        self.recent = Recent::Forgotten;
    }

    /// The rules change: edits that were judged by those of before are outdated from here on.
    pub(crate) fn change_rules(&mut self) {
        self.rules_changed = true;
    }

    /// Tells the collection's feeds, once it is durable.
    pub(crate) fn announce(&mut self, keys: Keys, change: Change) {
        self.changes.push((keys.collection(), Arc::new(change)));
    }

    /// Changes the collection's counters.
    pub(crate) fn count<T>(&mut self, keys: Keys, change: impl FnOnce(&mut Counters) -> T) -> Result<T, Stop> {
        if keys.collection() == DEFAULT_COLLECTION {
            return Ok(change(&mut self.meta.counters));
        }
        let key = keys.counters();
        let mut counters = self.get(&key)?.map(|bytes| Counters::decode(bytes)).transpose()?.unwrap_or_default();
        let outcome = change(&mut counters);
        self.put(key, counters.encode());
        Ok(outcome)
    }
}

impl Group {
    fn new(meta: Meta, base: HashMap<Key, Option<Value>>, rules: RulesNow) -> Self {
        let (cleared, changes, touched) = (Vec::new(), Changes::new(), Vec::new());
        Self { base, writes: BTreeMap::new(), cleared, meta, changes, touched, recent: Recent::Kept, rules }
    }

    fn run<T>(&mut self, apply: &Apply<T>) -> Result<T, Stop> {
        let meta = self.meta.clone();
        let RulesNow { channels, version: rules_version, .. } = self.rules;
        let mut draft = Draft {
            group: self,
            writes: Vec::new(),
            changes: Vec::new(),
            touched: Vec::new(),
            recent: Recent::Kept,
            rules_changed: false,
            channels,
            rules_version,
            meta,
        };
        let outcome = apply(&mut draft)?;
        let Draft { writes, changes, meta, touched, recent, rules_changed, .. } = draft;
        for write in writes {
            match write {
                Write::Set(key, value) => drop(self.writes.insert(key, value)),
                Write::Clear(range) => self.clear(range),
            }
        }
        for (collection, change) in changes {
            self.changes.entry(collection).or_default().push(change);
        }
        self.touched.extend(touched);
        if recent == Recent::Forgotten {
            self.recent = recent;
        }
        if rules_changed {
            self.rules.version += 1;
            self.rules.changed = true;
        }
        self.meta = meta;
        Ok(outcome)
    }

    fn clear(&mut self, range: KeyRange) {
        if !range.is_empty() {
            let undone = self.writes.extract_if((range.start.clone(), range.end.clone()), |_, _| true);
            undone.for_each(drop);
            self.cleared.push(range);
        }
    }
}

/// Proposals that were made together and are answered together.
struct Batch<T> {
    proposals: std::vec::IntoIter<Proposal<T>>,
    /// The one that has to wait for keys.
    stopped: Option<Proposal<T>>,
    outcomes: Vec<Result<T, Error>>,
    answer: oneshot::Sender<Result<Vec<Result<T, Error>>, Error>>,
}

/// A batch, whatever it answers.
trait Pending: Send {
    fn len(&self) -> usize;
    fn bytes(&self) -> usize;
    fn reads(&mut self, keys: &mut Vec<Key>);
    /// Applies what is left of it; or names the keys it has to wait for.
    fn apply(&mut self, group: &mut Group) -> Result<(), Vec<Key>>;
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

impl<T: Send> Pending for Batch<T> {
    fn len(&self) -> usize {
        self.proposals.len()
    }

    fn bytes(&self) -> usize {
        self.proposals.as_slice().iter().map(|proposal| proposal.bytes).sum()
    }

    fn reads(&mut self, keys: &mut Vec<Key>) {
        keys.extend(self.proposals.as_mut_slice().iter_mut().flat_map(|p| std::mem::take(&mut p.reads)));
    }

    fn apply(&mut self, group: &mut Group) -> Result<(), Vec<Key>> {
        while let Some(proposal) = self.stopped.take().or_else(|| self.proposals.next()) {
            match group.run(&proposal.apply) {
                Ok(outcome) => self.outcomes.push(Ok(outcome)),
                Err(Stop::Refused(error)) => self.outcomes.push(Err(error)),
                Err(Stop::Unread(keys)) => {
                    self.stopped = Some(proposal);
                    return Err(keys);
                }
            }
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        // Whoever asked may have gone: the write stands all the same.
        let Self { outcomes, answer, .. } = *self;
        drop(answer.send(committed.map(|()| outcomes)));
    }
}

/// The batches that wait for a database, and whether somebody is committing.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    batches: Vec<Box<dyn Pending>>,
    proposals: usize,
    committing: bool,
}

/// The turn of whoever commits. If its task should die, the next proposal begins another.
struct Turn<'q>(&'q Queue);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).committing = false;
        }
    }
}

impl Inner {
    /// Has proposals carried out, in this order, and waits until they are durable. An outcome for each.
    ///
    /// If the caller goes away, they are carried out all the same.
    pub(crate) async fn propose<T: Send + 'static>(
        self: &Arc<Self>,
        proposals: Vec<Proposal<T>>,
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let (answer, answered) = oneshot::channel();
        let outcomes = Vec::with_capacity(proposals.len());
        self.enqueue(Box::new(Batch { proposals: proposals.into_iter(), stopped: None, outcomes, answer }))?;
        answered.await.map_err(|_invalid| Error::Stopped)?
    }

    /// Has one proposal carried out.
    pub(crate) async fn propose_one<T: Send + 'static>(
        self: &Arc<Self>,
        reads: Vec<Key>,
        apply: Apply<T>,
    ) -> Result<T, Error> {
        let mut outcomes = self.propose(vec![Proposal { reads, bytes: 0, apply }]).await?;
        outcomes.pop().unwrap_or(Err(Error::Stopped))
    }

    fn enqueue(self: &Arc<Self>, batch: Box<dyn Pending>) -> Result<(), Error> {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.proposals > 0 && waiting.proposals + batch.len() > WAITING_MAX {
            return Err(Error::Overloaded);
        }
        waiting.proposals += batch.len();
        waiting.batches.push(batch);
        if !std::mem::replace(&mut waiting.committing, true) {
            drop(self.tasks.spawn(Arc::clone(self).commit_all()));
        }
        Ok(())
    }

    async fn commit_all(self: Arc<Self>) {
        let _turn = Turn(&self.queue);
        while let Some(batches) = self.take_waiting() {
            let crowded = batches.len() > 1;
            self.commit(batches).await;
            if crowded {
                // Those just answered propose again before the next group is taken, so it is larger; nobody waits.
                tokio::task::yield_now().await;
            }
        }
    }

    fn take_waiting(&self) -> Option<Vec<Box<dyn Pending>>> {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.batches.is_empty() {
            waiting.committing = false;
            return None;
        }
        waiting.proposals = 0;
        Some(std::mem::take(&mut waiting.batches))
    }

    /// Commits these batches, in as many groups as their size asks for.
    async fn commit(self: &Arc<Self>, batches: Vec<Box<dyn Pending>>) {
        let mut rest = batches.into_iter().peekable();
        while rest.peek().is_some() {
            let mut group = Vec::new();
            let committed = self.commit_group(&mut rest, &mut group).await;
            let failure = committed.err().map(Arc::new);
            for batch in group {
                batch.answer(failure.as_ref().map_or(Ok(()), |error| Err(Error::Failed(Arc::clone(error)))));
            }
        }
    }

    /// Commits batches from `rest` until the group is large enough; those it took are in `taken`, whatever happens.
    async fn commit_group(
        self: &Arc<Self>,
        rest: &mut (impl Iterator<Item = Box<dyn Pending>> + Send),
        taken: &mut Vec<Box<dyn Pending>>,
    ) -> Result<(), Error> {
        let (mut proposals, mut bytes) = (0, 0);
        for batch in rest.by_ref() {
            proposals += batch.len();
            bytes += batch.bytes();
            taken.push(batch);
            if proposals >= GROUP_PROPOSALS_MAX || bytes >= GROUP_BYTES_MAX {
                break;
            }
        }
        let transaction = self.kv.begin(self.home.scope()).await?;
        self.check_not_deleted()?;
        let mut group = self.fetch(&transaction, taken).await?;
        for batch in taken.iter_mut() {
            while let Err(keys) = batch.apply(&mut group) {
                let values = transaction.get_many(&keys).await?;
                group.base.extend(keys.into_iter().zip(values));
            }
        }
        self.write(transaction, group).await
    }

    async fn fetch(&self, transaction: &Transaction, batches: &mut [Box<dyn Pending>]) -> Result<Group, Error> {
        let meta_key = self.home.meta();
        let mut keys = vec![meta_key.clone()];
        batches.iter_mut().for_each(|batch| batch.reads(&mut keys));
        keys.sort_unstable();
        keys.dedup();
        let values = transaction.get_many(&keys).await?;
        let base: HashMap<_, _> = keys.into_iter().zip(values).collect();
        let meta = base.get(&meta_key).and_then(Option::as_ref).ok_or_else(|| self.gone())?;
        let channels = self.has_channels.load(Ordering::Acquire);
        let rules = RulesNow { channels, version: self.rules_version.load(Ordering::Acquire), changed: false };
        Ok(Group::new(Meta::decode(meta)?, base, rules))
    }

    async fn write(&self, mut transaction: Transaction, group: Group) -> Result<(), Error> {
        if group.writes.is_empty() && group.cleared.is_empty() {
            return Ok(());
        }
        let Group { writes, cleared, meta, changes, touched, recent, rules, .. } = group;
        // Before it can be read: whoever reads what was granted, or taken away, knows that what it knew is stale.
        self.touch(&touched, meta.update_seq);
        cleared.into_iter().for_each(|range| transaction.delete_range(range));
        for (key, value) in writes {
            match value {
                Some(value) => transaction.put(key, value),
                None => transaction.delete(key),
            }
        }
        transaction.put(self.home.meta(), meta.encode());
        transaction.commit().await?;
        if rules.changed {
            self.rules_version.store(rules.version, Ordering::Release);
        }
        self.publish(meta.update_seq, (&changes, &touched), recent);
        Ok(())
    }
}
