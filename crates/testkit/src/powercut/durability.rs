//! Which changes of names are durable: by folder, or in the one order of a journal.

use std::collections::BTreeMap;

use super::cut::NameStrategy;
use super::names::{NameChange, NodeId, Tree};
use super::random::Random;

/// Names where each folder is durable on its own.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) durable: Tree,
    /// With the event of each.
    pending: Vec<(usize, NameChange)>,
}

/// Names and sizes where all are durable in one order.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) durable: Tree,
    committed: usize,
    pending: Vec<(usize, JournalEntry)>,
}

#[derive(Debug)]
pub(super) enum JournalEntry {
    Name(NameChange),
    Resize,
}

impl Names {
    pub(super) fn change(&mut self, event: usize, change: NameChange) {
        self.pending.push((event, change));
    }

    /// The folder was synced, beginning at event `begin`.
    pub(super) fn sync(&mut self, folder: NodeId, begin: usize) {
        let synced = |(event, change): &(usize, NameChange)| *event < begin && change.concerns(folder);
        let (durable, pending) = std::mem::take(&mut self.pending).into_iter().partition(synced);
        self.pending = pending;
        let durable: Vec<(usize, NameChange)> = durable;
        durable.iter().for_each(|(_, change)| self.durable.apply(change));
    }

    /// The names found after a cut.
    pub(super) fn after(&self, strategy: NameStrategy, random: &mut Random) -> Tree {
        let mut tree = self.durable.clone();
        let mut lost_since: BTreeMap<NodeId, bool> = BTreeMap::new();
        for (_, change) in &self.pending {
            let kept = match strategy {
                NameStrategy::Nothing => false,
                NameStrategy::Everything => true,
                NameStrategy::Mixed => random.one_in(2),
                NameStrategy::Prefix => {
                    let lost = lost_since.entry(change.folder()).or_default();
                    *lost = *lost || random.one_in(4);
                    !*lost
                }
                NameStrategy::AdditionsMissing => !matches!(change, NameChange::Add { .. }) || !random.one_in(3),
            };
            if kept {
                tree.apply(change);
            }
        }
        tree
    }
}

impl Journal {
    pub(super) fn enter(&mut self, event: usize, entry: JournalEntry) {
        self.pending.push((event, entry));
    }

    /// The last event before `before` that changed names in `folder`.
    pub(super) fn last_change_in(&self, folder: NodeId, before: usize) -> Option<usize> {
        let concerned = |entry: &JournalEntry| match entry {
            JournalEntry::Name(change) => change.concerns(folder),
            JournalEntry::Resize => false,
        };
        self.pending.iter().rev().find(|(event, entry)| *event < before && concerned(entry)).map(|(event, _)| *event)
    }

    /// Everything up to this event is durable.
    pub(super) fn commit(&mut self, until: Option<usize>) {
        let Some(until) = until else { return };
        self.committed = self.committed.max(until);
        let durable = self.pending.partition_point(|(event, _)| *event <= until);
        for (_, entry) in self.pending.drain(..durable) {
            match entry {
                JournalEntry::Name(change) => self.durable.apply(&change),
                JournalEntry::Resize => {}
            }
        }
    }

    /// The names found after a cut, and the last event whose change of size is.
    pub(super) fn after(&self, strategy: NameStrategy, random: &mut Random) -> (Tree, usize) {
        let kept = match strategy {
            NameStrategy::Nothing => 0,
            NameStrategy::Everything => self.pending.len(),
            NameStrategy::Mixed | NameStrategy::Prefix | NameStrategy::AdditionsMissing => {
                random.below(self.pending.len() + 1)
            }
        };
        let mut tree = self.durable.clone();
        let mut last = self.committed;
        for (event, entry) in self.pending.iter().take(kept) {
            last = *event;
            match entry {
                JournalEntry::Name(change) => tree.apply(change),
                JournalEntry::Resize => {}
            }
        }
        (tree, last)
    }
}
