//! How a tree shrinks: stemming, purging, compaction.

use crate::{Body, Node, Tree};
use tidegate_types::{Rev, Seq};

/// What a purge took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// The leaves that were named and are gone, in the order they were named.
    pub revs: Vec<Rev>,
    /// The bodies nobody refers to any more.
    pub bodies: Vec<Seq>,
}

impl Tree {
    /// Forgets all but the newest `limit` revisions of each branch (itself included), and returns the bodies that went
    /// with them. A revision that any branch keeps stays. Source: `couch_key_tree:stem`.
    pub fn stem(&mut self, limit: usize) -> Vec<Seq> {
        if self.nodes.len() <= limit {
            return Vec::new();
        }
        let mut kept = vec![false; self.nodes.len()];
        for leaf in self.leaf_indices() {
            for index in self.path_indices(Some(leaf)).take(limit.max(1)) {
                if let Some(keep) = kept.get_mut(index) {
                    *keep = true;
                }
            }
        }
        self.retain(&kept)
    }

    /// Takes away those of `revs` that are leaves, with the ancestors that only they kept. What isn't a leaf is left
    /// alone. Source: `couch_key_tree:remove_leafs`.
    pub fn purge(&mut self, revs: &[Rev]) -> Purge {
        let doomed: Vec<_> = revs.iter().filter(|rev| self.is_leaf(rev)).cloned().collect();
        let mut kept = vec![false; self.nodes.len()];
        for leaf in self.leaf_indices() {
            let stays = self.nodes.get(leaf).is_some_and(|node| !doomed.contains(&node.rev));
            for index in self.path_indices(Some(leaf).filter(|_| stays)) {
                if let Some(keep) = kept.get_mut(index) {
                    *keep = true;
                }
            }
        }
        Purge { revs: doomed, bodies: self.retain(&kept) }
    }

    /// Lets go of the bodies of all revisions that were edited since, and returns them. Source: CouchDB's compaction.
    pub fn drop_inner_bodies(&mut self) -> Vec<Seq> {
        let inner = self.inner();
        let edited = self.nodes.iter_mut().zip(inner).filter(|(_, inner)| *inner);
        edited.filter_map(|(node, _)| std::mem::replace(&mut node.body, Body::Missing).stored()).collect()
    }

    fn leaf_indices(&self) -> Vec<usize> {
        self.inner().iter().enumerate().filter(|(_, inner)| !**inner).map(|(index, _)| index).collect()
    }

    /// Keeps the marked nodes, re-targets their parents, and returns the bodies of the others.
    fn retain(&mut self, kept: &[bool]) -> Vec<Seq> {
        let moved_to: Vec<Option<usize>> = kept
            .iter()
            .scan(0, |next, keep| {
                let place = keep.then_some(*next);
                *next += usize::from(*keep);
                Some(place)
            })
            .collect();
        let place_of = |index: usize| moved_to.get(index).copied().flatten();
        let mut bodies = Vec::new();
        let nodes = std::mem::take(&mut self.nodes);
        for (node, keep) in nodes.into_iter().zip(kept) {
            if *keep {
                let parent = node.parent.and_then(place_of);
                self.nodes.push(Node { parent, ..node });
            } else {
                bodies.extend(node.body.stored());
            }
        }
        bodies
    }
}

impl Body {
    /// The sequence it is stored under.
    pub fn stored(self) -> Option<Seq> {
        match self {
            Self::Stored(seq) => Some(seq),
            Self::Missing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::{show, tree};

    fn check_stem(history: &str, limit: usize, after: &str) {
        let mut tree = tree(history);
        tree.stem(limit);
        assert_eq!(show(&tree), after, "{history} to {limit}");
        assert_eq!(Tree::from_nodes(tree.nodes.clone()), Ok(tree));
    }

    #[test]
    fn stemming_keeps_what_any_branch_keeps() {
        check_stem("1-a>2-b>3-c", 3, "1-a>2-b>3-c");
        check_stem("1-a>2-b>3-c", 2, "2-b>3-c");
        check_stem("1-a>2-b>3-c", 1, "3-c");
        check_stem("1-a>2-b>3-c 1-a>2-d", 2, "1-a>2-b>3-c 1-a>2-d"); // 2-d keeps 1-a
        check_stem("1-a>2-b>3-c>4-e 1-a>2-d", 1, "2-d 4-e");
        check_stem("1-a>2-b>3-c 2-b>3-d", 2, "2-b>3-c 2-b>3-d");
    }

    #[test]
    fn purging_takes_leaves_and_what_they_alone_kept() {
        let mut one = tree("1-a>2-b>3-c 1-a>2-d");
        let purged = one.purge(&["3-c", "2-b", "9-z"].map(|rev| rev.parse().unwrap()));
        assert_eq!(purged.revs, ["3-c".parse().unwrap()]);
        assert_eq!(purged.bodies.len(), 2);
        assert_eq!(show(&one), "1-a>2-d");
        one.purge(&["2-d".parse().unwrap()]);
        assert!(one.is_empty());
    }

    #[test]
    fn compaction_keeps_the_bodies_of_leaves() {
        let mut tree = tree("1-a>2-b 1-a>2-c");
        assert_eq!(tree.drop_inner_bodies().len(), 1);
        assert_eq!(tree.drop_inner_bodies(), []);
        assert!(tree.leaves().iter().all(|leaf| leaf.body.stored().is_some()));
    }
}
