//! Positions of a recording at which a cut is worth trying.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::log::Event;
use super::mark::Mark;
use super::random::Random;
use super::recording::Recording;

/// Which positions of a recording are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Focus {
    /// All.
    Anywhere,
    /// Between the writes of a transaction in flight and the end of the sync they wait for.
    InsideCommits,
    /// While a store is being opened, and what an earlier process or a cut left is read again.
    Openings,
    /// Around changes of names and sizes, and while a file that is overwritten in place (a tree, not a log) has unsynced
    /// writes.
    Checkpoints,
}

impl Focus {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Anywhere, Self::InsideCommits, Self::Openings, Self::Checkpoints];
}

/// Up to `count` different positions, in order.
#[must_use]
pub fn cuts(recording: &Recording, random: &mut Random, count: usize, focus: Focus) -> Vec<usize> {
    let mut candidates = match focus {
        Focus::Anywhere => (0..=recording.len()).collect(),
        Focus::InsideCommits => inside_commits(&recording.events),
        Focus::Openings => openings(&recording.events),
        Focus::Checkpoints => checkpoints(&recording.events),
    };
    let mut chosen = BTreeSet::new();
    while chosen.len() < count && !candidates.is_empty() {
        chosen.insert(candidates.swap_remove(random.below(candidates.len())));
    }
    chosen.into_iter().collect()
}

/// After each write of a file being synced, and during the sync, while something is in flight.
fn inside_commits(events: &[Event]) -> Vec<usize> {
    let mut in_flight = HashSet::new();
    let mut unsynced = 0_usize;
    let mut found = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Mark(Mark::Begin { lane, number }) => drop(in_flight.insert((*lane, *number))),
            Event::Mark(Mark::Acknowledge { lane, number }) => drop(in_flight.remove(&(*lane, *number))),
            Event::Started => in_flight.clear(),
            Event::Write { .. } => unsynced += 1,
            Event::SyncEnd { .. } => unsynced = 0,
            Event::SyncBegin { .. }
            | Event::Mark(_)
            | Event::Create { .. }
            | Event::MakeDirectory { .. }
            | Event::Resize { .. }
            | Event::Rename { .. }
            | Event::Remove { .. }
            | Event::Link { .. }
            | Event::Unsupported { .. } => {}
        }
        if unsynced > 0 && !in_flight.is_empty() {
            found.push(index + 1);
        }
    }
    found
}

/// From the last mark of a transaction, or the start of a process, to the mark that the store is open.
fn openings(events: &[Event]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut since = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Started | Event::Mark(Mark::Begin { .. } | Mark::Acknowledge { .. }) => since.clear(),
            Event::Mark(Mark::Opened) => found.append(&mut since),
            Event::Mark(Mark::Seen { .. })
            | Event::Create { .. }
            | Event::MakeDirectory { .. }
            | Event::Resize { .. }
            | Event::Write { .. }
            | Event::SyncBegin { .. }
            | Event::SyncEnd { .. }
            | Event::Rename { .. }
            | Event::Remove { .. }
            | Event::Link { .. }
            | Event::Unsupported { .. } => {}
        }
        since.push(index + 1);
    }
    found
}

fn checkpoints(events: &[Event]) -> Vec<usize> {
    let in_place = overwritten(events);
    let mut unsynced = HashSet::new();
    let mut found = BTreeSet::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Create { .. }
            | Event::MakeDirectory { .. }
            | Event::Resize { .. }
            | Event::Rename { .. }
            | Event::Remove { .. }
            | Event::Link { .. } => found.extend(index.saturating_sub(1)..(index + 7).min(events.len())),
            Event::Write { inode, .. } if in_place.contains(inode) => drop(unsynced.insert(*inode)),
            Event::SyncEnd { inode, .. } => drop(unsynced.remove(inode)),
            Event::Started
            | Event::Write { .. }
            | Event::SyncBegin { .. }
            | Event::Mark(_)
            | Event::Unsupported { .. } => {}
        }
        if !unsynced.is_empty() {
            found.insert(index + 1);
        }
    }
    found.into_iter().collect()
}

/// Inodes of files that were written out of order several times.
fn overwritten(events: &[Event]) -> HashSet<u64> {
    const TIMES: usize = 3;
    let mut ends: HashMap<u64, (usize, usize)> = HashMap::new();
    for event in events {
        if let Event::Write { inode, at, data } = event {
            let (end, backward) = ends.entry(*inode).or_default();
            *backward += usize::from(*at < *end);
            *end = at + data.len();
        }
    }
    ends.into_iter().filter(|(_, (_, backward))| *backward >= TIMES).map(|(inode, _)| inode).collect()
}
