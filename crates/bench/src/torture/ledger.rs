//! What one writer knows of its documents: what was acknowledged, and what was under way when the server went.
//!
//! A value without I/O. No other writer touches these documents, so after a restart each must be as acknowledged, or as
//! the one write under way would have left it: nothing between.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use super::content::Attachment;

/// A revision id; ordered as the winner rule has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Revision {
    pub(super) generation: u64,
    pub(super) digest: String,
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.generation, self.digest)
    }
}

impl FromStr for Revision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(generation, digest)| {
            Some(Self { generation: generation.parse().ok()?, digest: digest.to_owned() })
        });
        parsed.ok_or_else(|| format!("{text:?} is no revision"))
    }
}

/// The end of one branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) deleted: bool,
    /// The number its body is made from; tombstones have none.
    pub(super) marker: Option<u64>,
    pub(super) attachments: BTreeMap<String, Attachment>,
}

/// A document as it is at one moment; without leaves it doesn't exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) leaves: BTreeMap<Revision, Leaf>,
    /// Its first revision.
    pub(super) root: Option<Revision>,
    /// How many writes made it: each took one sequence number.
    pub(super) edits: u64,
}

impl State {
    /// The leaf a plain read gives.
    pub(super) fn winner(&self) -> Option<(&Revision, &Leaf)> {
        self.leaves.iter().max_by_key(|(revision, leaf)| (!leaf.deleted, *revision))
    }

    /// Whether a plain read finds it.
    pub(super) fn is_live(&self) -> bool {
        self.winner().is_some_and(|(_revision, leaf)| !leaf.deleted)
    }

    /// The ids of the leaves.
    pub(super) fn revisions(&self) -> BTreeSet<Revision> {
        self.leaves.keys().cloned().collect()
    }

    /// The state after `attempt` landed as `revision`.
    fn after(&self, attempt: &Attempt, revision: &Revision) -> Self {
        let mut state = self.clone();
        let oldest = match &attempt.naming {
            Naming::Server { parent } => {
                parent.iter().for_each(|parent| drop(state.leaves.remove(parent)));
                revision
            }
            Naming::Writer { path } => {
                path.iter().for_each(|ancestor| drop(state.leaves.remove(ancestor)));
                path.last().unwrap_or(revision)
            }
        };
        state.root.get_or_insert_with(|| oldest.clone());
        state.leaves.insert(revision.clone(), attempt.leaf.clone());
        state.edits += 1;
        state
    }
}

/// A write that may or may not land.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) naming: Naming,
    pub(super) leaf: Leaf,
}

/// Who names the new revision.
#[derive(Debug, Clone)]
pub(super) enum Naming {
    /// The server, as a child of `parent`.
    Server { parent: Option<Revision> },
    /// The writer (`new_edits=false`), with its path, newest first.
    Writer { path: Vec<Revision> },
}

/// What became of a write under way when the server went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// There was none.
    Settled,
    /// It is there, whole.
    Landed,
    /// There is no trace of it.
    Absent,
}

/// One document's entry.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// As acknowledged.
    pub(super) settled: State,
    /// Under way.
    pub(super) pending: Option<Attempt>,
    /// Whether its content hasn't been read back since it was written.
    pub(super) touched: bool,
}

impl Entry {
    /// A write starts.
    pub(super) fn attempt(&mut self, attempt: Attempt) {
        self.pending = Some(attempt);
        self.touched = true;
    }

    /// The write under way was acknowledged with `revision`.
    ///
    /// # Errors
    /// In words, if that can't be its revision.
    pub(super) fn acknowledge(&mut self, revision: &Revision) -> Result<(), String> {
        let attempt = self.pending.take().ok_or("an answer to no write")?;
        let expected = match &attempt.naming {
            Naming::Server { parent } => parent.as_ref().map_or(0, |parent| parent.generation) + 1,
            Naming::Writer { .. } => revision.generation,
        };
        if revision.generation != expected {
            return Err(format!("acknowledged as {revision}, not as generation {expected}"));
        }
        self.settled = self.settled.after(&attempt, revision);
        Ok(())
    }

    /// Settles the write under way by the leaves found after a restart.
    ///
    /// # Errors
    /// In words, if these leaves are neither without nor with that write.
    pub(super) fn resolve(&mut self, found: &BTreeSet<Revision>) -> Result<Fate, String> {
        let settled = self.settled.revisions();
        let Some(attempt) = self.pending.take() else {
            return if *found == settled { Ok(Fate::Settled) } else { Err(differing(&settled, found)) };
        };
        if *found == settled {
            return Ok(Fate::Absent);
        }
        let new: Vec<&Revision> = found.difference(&settled).collect();
        let [revision] = *new else { return Err(differing(&settled, found)) };
        let child_of = |parent: &Option<Revision>| parent.as_ref().map_or(0, |parent| parent.generation) + 1;
        let may_be = match &attempt.naming {
            Naming::Server { parent } => revision.generation == child_of(parent),
            Naming::Writer { path } => path.first() == Some(revision),
        };
        let landed = self.settled.after(&attempt, revision);
        if !may_be || landed.revisions() != *found {
            return Err(differing(&settled, found));
        }
        self.settled = landed;
        Ok(Fate::Landed)
    }
}

fn differing(expected: &BTreeSet<Revision>, found: &BTreeSet<Revision>) -> String {
    let list = |revisions: &BTreeSet<Revision>| {
        let texts: Vec<String> = revisions.iter().map(Revision::to_string).collect();
        if texts.is_empty() { "nothing".to_owned() } else { texts.join(" ") }
    };
    format!("acknowledged as {}, found as {}", list(expected), list(found))
}

/// A `_local` document: no history, the last write is the document.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// Its marker and revision as acknowledged; `None` if it doesn't exist.
    pub(super) settled: Option<(u64, String)>,
    /// The marker under way; the inner `None` deletes.
    pub(super) pending: Option<Option<u64>>,
    pub(super) touched: bool,
}

impl Local {
    /// Settles the write under way by what was found after a restart.
    ///
    /// # Errors
    /// In words, if that is neither the old nor the new document.
    pub(super) fn resolve(&mut self, found: Option<(u64, String)>) -> Result<Fate, String> {
        let marker = found.as_ref().map(|(marker, _revision)| *marker);
        let settled = self.settled.as_ref().map(|(marker, _revision)| *marker);
        let pending = self.pending.take();
        let fate = match pending {
            None if marker == settled => Fate::Settled,
            Some(pending) if marker == pending => Fate::Landed,
            Some(_) if marker == settled => Fate::Absent,
            None | Some(_) => return Err(format!("acknowledged as {settled:?}, found as {marker:?}")),
        };
        self.settled = found;
        Ok(fate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(text: &str) -> Revision {
        text.parse().unwrap()
    }

    fn found(texts: &str) -> BTreeSet<Revision> {
        texts.split_whitespace().map(revision).collect()
    }

    fn edit(parent: Option<&str>) -> Attempt {
        Attempt { naming: Naming::Server { parent: parent.map(revision) }, leaf: Leaf::default() }
    }

    fn branch(path: &str) -> Attempt {
        let path = path.split_whitespace().map(revision).collect();
        Attempt { naming: Naming::Writer { path }, leaf: Leaf::default() }
    }

    /// A document with the leaves 2-b (child of 1-a) and 3-c (another branch).
    fn forked() -> Entry {
        let mut entry = Entry::default();
        for (attempt, named) in [(edit(None), "1-a"), (edit(Some("1-a")), "2-b"), (branch("3-c 2-x 1-a"), "3-c")] {
            entry.attempt(attempt);
            entry.acknowledge(&revision(named)).unwrap();
        }
        entry
    }

    #[test]
    fn acknowledged_writes_make_the_state() {
        let entry = forked();
        assert_eq!(entry.settled.revisions(), found("2-b 3-c"));
        assert_eq!((entry.settled.edits, entry.settled.root.clone()), (3, Some(revision("1-a"))));
        assert_eq!(entry.settled.winner().unwrap().0, &revision("3-c"));
    }

    #[test]
    fn a_wrong_generation_is_refused() {
        let mut entry = forked();
        entry.attempt(edit(Some("2-b")));
        assert!(entry.acknowledge(&revision("4-d")).is_err());
    }

    /// What may be found after a restart while `attempt` was under way on [`forked`].
    fn check(attempt: Option<Attempt>, leaves: &str, expected: Option<Fate>) {
        let mut entry = forked();
        entry.pending = attempt;
        assert_eq!(entry.resolve(&found(leaves)).ok(), expected, "{leaves}");
    }

    #[test]
    fn only_whole_or_absent_is_accepted() {
        check(None, "2-b 3-c", Some(Fate::Settled));
        check(None, "2-b", None); // An acknowledged branch is gone.
        check(None, "2-b 3-c 4-e", None);
        let update = || Some(edit(Some("2-b")));
        check(update(), "2-b 3-c", Some(Fate::Absent));
        check(update(), "3-d 3-c", Some(Fate::Landed));
        check(update(), "2-b 3-d 3-c", None); // The parent is still a leaf.
        check(update(), "4-d 3-c", None);
        check(update(), "3-c", None);
        let conflict = || Some(branch("2-y 1-a"));
        check(conflict(), "2-b 3-c", Some(Fate::Absent));
        check(conflict(), "2-b 2-y 3-c", Some(Fate::Landed));
        check(conflict(), "2-b 2-z 3-c", None);
    }

    #[test]
    fn local_documents_are_old_or_new() {
        let local = |pending| Local { settled: Some((1, "0-1".to_owned())), pending, touched: true };
        let resolve = |pending, found: Option<u64>| local(pending).resolve(found.map(|n| (n, "0-9".to_owned()))).ok();
        assert_eq!(resolve(None, Some(1)), Some(Fate::Settled));
        assert_eq!(resolve(None, None), None);
        assert_eq!(resolve(Some(Some(2)), Some(2)), Some(Fate::Landed));
        assert_eq!(resolve(Some(Some(2)), Some(1)), Some(Fate::Absent));
        assert_eq!(resolve(Some(Some(2)), Some(3)), None);
        assert_eq!(resolve(Some(None), None), Some(Fate::Landed));
    }
}
