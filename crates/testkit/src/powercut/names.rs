//! Folders and the names in them, and changes that may or may not have become durable.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Number of a file or folder, never used twice: unlike inodes, which the kernel gives out again.
pub(super) type NodeId = usize;

/// Where a name is: folder and entry.
pub(super) type Place = (NodeId, OsString);

/// The names of all folders at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    folders: BTreeMap<NodeId, BTreeMap<OsString, NodeId>>,
}

/// One atomic change of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameChange {
    Add { place: Place, node: NodeId },
    Remove { place: Place },
    Move { from: Place, to: Place, node: NodeId },
}

impl NameChange {
    /// Whether the change is one of this folder's.
    pub(super) fn concerns(&self, folder: NodeId) -> bool {
        match self {
            Self::Add { place, .. } | Self::Remove { place } => place.0 == folder,
            Self::Move { from, to, .. } => from.0 == folder || to.0 == folder,
        }
    }

    /// The folder in whose order the change stands.
    pub(super) fn folder(&self) -> NodeId {
        match self {
            Self::Add { place, .. } | Self::Remove { place } => place.0,
            Self::Move { from, .. } => from.0,
        }
    }
}

impl Tree {
    pub(super) fn add_folder(&mut self, node: NodeId) {
        self.folders.entry(node).or_default();
    }

    /// Applies a change. One that no longer fits (as an earlier one was lost) is applied as far as it does.
    pub(super) fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Add { place, node } => self.insert(place, *node),
            NameChange::Remove { place: (folder, name) } => {
                self.folders.entry(*folder).or_default().remove(name);
            }
            NameChange::Move { from: (folder, name), to, node } => {
                let entries = self.folders.entry(*folder).or_default();
                if entries.get(name) == Some(node) {
                    entries.remove(name);
                }
                self.insert(to, *node);
            }
        }
    }

    fn insert(&mut self, (folder, name): &Place, node: NodeId) {
        self.folders.entry(*folder).or_default().insert(name.clone(), node);
    }

    /// The node with this name.
    pub(super) fn get(&self, (folder, name): &Place) -> Option<NodeId> {
        self.folders.get(folder)?.get(name).copied()
    }

    /// Folder and entry of a path below `root`; `None` when a folder on the way doesn't exist.
    pub(super) fn place(&self, root: NodeId, path: &Path) -> Option<Place> {
        let mut folder = root;
        for part in path.parent()?.components() {
            folder = self.get(&(folder, part.as_os_str().to_owned()))?;
        }
        Some((folder, path.file_name()?.to_owned()))
    }

    /// Everything reachable from `root`, folders before what they hold.
    pub(super) fn walk(&self, root: NodeId) -> Vec<(PathBuf, NodeId)> {
        let mut found = vec![(PathBuf::new(), root)];
        let mut next = 0;
        while let Some((path, node)) = found.get(next).cloned() {
            for (name, child) in self.folders.get(&node).into_iter().flatten() {
                found.push((path.join(name), *child));
            }
            next += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: NodeId, name: &str) -> Place {
        (folder, name.into())
    }

    #[test]
    fn changes_apply_as_far_as_they_fit() {
        let mut tree = Tree::default();
        tree.add_folder(0);
        tree.apply(&NameChange::Add { place: place(0, "a"), node: 1 });
        tree.apply(&NameChange::Move { from: place(0, "a"), to: place(0, "b"), node: 1 });
        assert_eq!((tree.get(&place(0, "a")), tree.get(&place(0, "b"))), (None, Some(1)));
        // The name moved from is another file's by now: it stays.
        tree.apply(&NameChange::Add { place: place(0, "a"), node: 2 });
        tree.apply(&NameChange::Move { from: place(0, "a"), to: place(0, "c"), node: 1 });
        assert_eq!((tree.get(&place(0, "a")), tree.get(&place(0, "c"))), (Some(2), Some(1)));
        tree.apply(&NameChange::Remove { place: place(0, "nothing") });
        assert_eq!(tree.walk(0).len(), 4);
    }
}
