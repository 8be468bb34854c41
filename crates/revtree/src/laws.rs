//! What must hold of every history, and a notation for histories in tests.

use crate::{Body, Merge, Node, Tree};
use proptest::prelude::*;
use tidegate_types::{Rev, Seq};

/// A tree from branches such as `1-a>2-b 1-a>2-cx`: a branch may begin at a known revision; `x` at the end deletes.
pub(crate) fn tree(history: &str) -> Tree {
    let mut tree = Tree::default();
    for branch in history.split_whitespace() {
        let mut parent = None;
        for text in branch.split('>') {
            let deleted = text.len() > 3 && text.ends_with('x');
            let rev: Rev = text.strip_suffix('x').filter(|_| deleted).unwrap_or(text).parse().unwrap();
            let body = Body::Stored(Seq::new(tree.nodes.len() as u64 + 1));
            parent = tree.position(&rev).or_else(|| Some(tree.push(Node { rev: rev.clone(), parent, deleted, body })));
        }
    }
    tree
}

/// The branches of a tree, oldest first, without marks: the same for trees with the same revisions.
pub(crate) fn show(tree: &Tree) -> String {
    let mut branches: Vec<String> = tree
        .leaves_unordered()
        .map(|leaf| tree.path(&leaf.rev).iter().rev().map(|node| node.rev.to_string()).collect::<Vec<_>>().join(">"))
        .collect();
    branches.sort();
    branches.join(" ")
}

/// Revision `g-n` with one fixed parent for each: what honest replicas make, where a revision id is a hash of its past.
fn path_of(leaf: (u64, u8), length: usize) -> Vec<Rev> {
    let (generation, branch) = leaf;
    let ancestors = (1..=generation).rev().take(length);
    ancestors.map(|g| format!("{g}-{:x}", branch >> (generation - g).min(7)).parse().unwrap()).collect()
}

fn histories() -> impl Strategy<Value = Vec<((u64, u8), usize, bool)>> {
    prop::collection::vec(((1u64..8, any::<u8>()), 1usize..8, any::<bool>()), 1..12)
}

/// Deletion is part of what a revision is, so it must not depend on the path it came by.
fn merge_all<'a>(paths: impl Iterator<Item = &'a ((u64, u8), usize, bool)>) -> Tree {
    let mut tree = Tree::default();
    for (leaf, _, _) in paths {
        let path = path_of(*leaf, 8);
        let deleted = path[0].digest().as_bytes().last().is_some_and(|b| b % 3 == 0);
        tree.merge(&path, deleted, Seq::new(1));
    }
    tree
}

proptest! {
    #[test]
    fn merge_commutes(paths in histories()) {
        let (forth, back) = (merge_all(paths.iter()), merge_all(paths.iter().rev()));
        prop_assert_eq!(show(&forth), show(&back));
    }

    #[test]
    fn merge_is_idempotent(paths in histories()) {
        let once = merge_all(paths.iter());
        let twice = merge_all(paths.iter().chain(paths.iter()));
        prop_assert_eq!(once, twice);
    }

    /// Paths that other replicas cut short, too. Few branches, so that histories meet.
    #[test]
    fn what_was_merged_is_known(paths in histories()) {
        let mut tree = Tree::default();
        for ((generation, branch), length, deleted) in &paths {
            let path = path_of((*generation, branch % 2), *length);
            tree.merge(&path, *deleted, Seq::new(1));
            prop_assert_eq!(tree.merge(&path, *deleted, Seq::new(2)), Merge::Unchanged);
        }
    }

    #[test]
    fn every_operation_keeps_the_tree_proper(paths in histories(), limit in 1usize..5) {
        let mut tree = Tree::default();
        for (leaf, length, deleted) in &paths {
            tree.merge(&path_of(*leaf, *length), *deleted, Seq::new(1));
            prop_assert_eq!(Tree::from_nodes(tree.nodes.clone()), Ok(tree.clone()));
            let mut revs: Vec<_> = tree.nodes.iter().map(|node| node.rev.clone()).collect();
            revs.sort();
            revs.dedup();
            prop_assert_eq!(revs.len(), tree.nodes.len(), "a revision is in the tree once");
        }
        let winner = tree.winner().cloned();
        tree.stem(limit);
        prop_assert_eq!(Tree::from_nodes(tree.nodes.clone()), Ok(tree.clone()));
        prop_assert_eq!(tree.winner().map(|node| node.rev.clone()), winner.map(|node| node.rev));
        let leaves: Vec<_> = tree.leaves().into_iter().map(|node| node.rev.clone()).collect();
        prop_assert!(leaves.iter().all(|leaf| tree.path(leaf).len() <= 8));
        tree.purge(&leaves);
        prop_assert!(tree.is_empty());
    }
}
