//! Requests on their way: ready to be sent, sent, or waiting to be sent again.

use std::collections::{BTreeMap, VecDeque};

use super::request::{Lane, Request, RequestId};
use crate::Timestamp;

/// A request and who waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Call<D> {
    pub(super) owner: Owner,
    pub(super) request: Request<D>,
    /// How often it failed for a reason that may go away.
    pub(super) failures: u32,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Session,
    /// The batch in this place of the window.
    Batch(u64),
}

#[derive(Debug)]
pub(super) struct Calls<D> {
    next: u64,
    control: VecDeque<Call<D>>,
    work: VecDeque<Call<D>>,
    fetches: VecDeque<Call<D>>,
    sent: BTreeMap<RequestId, Call<D>>,
    /// Sent calls that take one of the job's connections.
    connections: usize,
    waiting: BTreeMap<(Timestamp, u64), Call<D>>,
    /// Sent calls whose answers nobody wants any more.
    abandoned: VecDeque<RequestId>,
}

impl<D> Call<D> {
    pub(super) fn new(owner: Owner, request: Request<D>) -> Self {
        Self { owner, request, failures: 0 }
    }

    fn connections(&self) -> usize {
        usize::from(self.request.lane() != Lane::Control)
    }
}

impl<D: Clone> Calls<D> {
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            control: VecDeque::new(),
            work: VecDeque::new(),
            fetches: VecDeque::new(),
            sent: BTreeMap::new(),
            connections: 0,
            waiting: BTreeMap::new(),
            abandoned: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, call: Call<D>) {
        match call.request.lane() {
            Lane::Control => self.control.push_back(call),
            Lane::Work => self.work.push_back(call),
            Lane::Fetch => self.fetches.push_back(call),
        }
    }

    pub(super) fn push_at(&mut self, when: Timestamp, call: Call<D>) {
        let number = self.number();
        self.waiting.insert((when, number), call);
    }

    /// Makes ready what has waited long enough.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let call = entry.remove();
            self.push(call);
        }
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.waiting.first_key_value().map(|((when, _), _)| *when)
    }

    /// The next call to send, which then counts as sent.
    pub(super) fn pop(&mut self, connections_max: usize, may_fetch: bool) -> Option<(RequestId, Request<D>)> {
        let free = self.connections < connections_max;
        let call = match self.control.pop_front() {
            Some(call) => call,
            None if !free => return None,
            None => match self.work.pop_front() {
                Some(call) => call,
                None if may_fetch => self.fetches.pop_front()?,
                None => return None,
            },
        };
        let id = RequestId(self.number());
        self.connections = self.connections.saturating_add(call.connections());
        let request = call.request.clone();
        self.sent.insert(id, call);
        Some((id, request))
    }

    /// The call that is answered; `None` if it was answered before, or given up.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Call<D>> {
        let call = self.sent.remove(&id)?;
        self.connections = self.connections.saturating_sub(call.connections());
        Some(call)
    }

    pub(super) fn pop_abandoned(&mut self) -> Option<RequestId> {
        self.abandoned.pop_front()
    }

    /// Gives up every call for which `keep` doesn't speak.
    pub(super) fn abandon(&mut self, keep: impl Fn(&Request<D>) -> bool) {
        for queue in [&mut self.control, &mut self.work, &mut self.fetches] {
            queue.retain(|call| keep(&call.request));
        }
        self.waiting.retain(|_, call| keep(&call.request));
        let gone: Vec<_> = self.sent.iter().filter(|(_, call)| !keep(&call.request)).map(|(id, _)| *id).collect();
        for id in gone {
            self.take(id);
            self.abandoned.push_back(id);
        }
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }
}
