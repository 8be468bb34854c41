//! What a tree answers: winner, leaves, conflicts, ancestry.

use crate::{Node, Tree};
use tidegate_types::Rev;

impl Tree {
    /// The revision a plain read returns, or `None` for an empty tree.
    ///
    /// Live leaves beat deleted leaves; among equals the greatest [`Rev`] wins. Every replica holding the same leaves
    /// picks the same winner whatever order they arrived in; replication relies on this, so a change here is a protocol
    /// change.
    ///
    /// O(n) in the revisions kept. Source: `couch_doc:to_doc_info`.
    pub fn winner(&self) -> Option<&Node> {
        self.leaves_unordered().max_by(|a, b| precedence(a).cmp(&precedence(b)))
    }

    /// Whether the document is deleted: its winner is a tombstone. An empty tree isn't.
    pub fn is_deleted(&self) -> bool {
        self.winner().is_some_and(|winner| winner.deleted)
    }

    /// The revisions nobody has edited yet, winner first, then by falling precedence: the order of `changes` in
    /// `_changes?style=all_docs`.
    pub fn leaves(&self) -> Vec<&Node> {
        let mut leaves: Vec<_> = self.leaves_unordered().collect();
        leaves.sort_by(|a, b| precedence(b).cmp(&precedence(a)));
        leaves
    }

    /// Live leaves besides the winner, greatest first.
    pub fn conflicts(&self) -> Vec<&Rev> {
        self.losers(|node| !node.deleted)
    }

    /// Deleted leaves besides the winner, greatest first.
    pub fn deleted_conflicts(&self) -> Vec<&Rev> {
        self.losers(|node| node.deleted)
    }

    /// The node of this revision.
    pub fn get(&self, rev: &Rev) -> Option<&Node> {
        self.position(rev).and_then(|index| self.nodes.get(index))
    }

    /// Whether nobody has edited this revision yet. False for one that isn't in the tree.
    pub fn is_leaf(&self, rev: &Rev) -> bool {
        self.position(rev).is_some_and(|index| self.nodes.iter().all(|node| node.parent != Some(index)))
    }

    /// From this revision back to the oldest remembered ancestor, newest first; empty if it isn't in the tree.
    pub fn path(&self, rev: &Rev) -> Vec<&Node> {
        self.path_indices(self.position(rev)).filter_map(|index| self.nodes.get(index)).collect()
    }

    /// The leaves that descend from this revision (itself, if it is one), in the order of [`Tree::leaves`]: what a
    /// reader who asks for the `latest` of it gets.
    pub fn descendants(&self, rev: &Rev) -> Vec<&Node> {
        let Some(ancestor) = self.position(rev) else { return Vec::new() };
        let descends = |leaf: &&Node| self.path_indices(self.position(&leaf.rev)).any(|index| index == ancestor);
        self.leaves().into_iter().filter(descends).collect()
    }

    /// Those of the given revisions that aren't in the tree, in their order.
    pub fn missing<'r>(&self, revs: &'r [Rev]) -> Vec<&'r Rev> {
        revs.iter().filter(|rev| self.position(rev).is_none()).collect()
    }

    /// Leaves that may be ancestors of one of the `missing` revisions: those of an older generation than the newest of
    /// them. Greatest first. Source: `couch_key_tree`, `fabric_rpc:possible_ancestors`.
    pub fn possible_ancestors(&self, missing: &[&Rev]) -> Vec<&Rev> {
        let newest = missing.iter().map(|rev| rev.generation()).max().unwrap_or(0);
        let mut ancestors: Vec<_> =
            self.leaves_unordered().map(|leaf| &leaf.rev).filter(|rev| rev.generation() < newest).collect();
        ancestors.sort_by(|a, b| b.cmp(a));
        ancestors
    }

    pub(crate) fn leaves_unordered(&self) -> impl Iterator<Item = &Node> {
        let inner = self.inner();
        self.nodes.iter().zip(inner).filter(|(_, inner)| !inner).map(|(node, _)| node)
    }

    /// For each node, whether it has children.
    pub(crate) fn inner(&self) -> Vec<bool> {
        let mut inner = vec![false; self.nodes.len()];
        for parent in self.nodes.iter().filter_map(|node| node.parent) {
            if let Some(has_children) = inner.get_mut(parent) {
                *has_children = true;
            }
        }
        inner
    }

    pub(crate) fn path_indices(&self, from: Option<usize>) -> impl Iterator<Item = usize> {
        std::iter::successors(from, |index| self.nodes.get(*index).and_then(|node| node.parent))
    }

    fn losers(&self, wanted: impl Fn(&Node) -> bool) -> Vec<&Rev> {
        self.leaves().into_iter().skip(1).filter(|node| wanted(node)).map(|node| &node.rev).collect()
    }
}

fn precedence(node: &Node) -> (bool, &Rev) {
    (!node.deleted, &node.rev)
}

#[cfg(test)]
mod tests {
    use crate::laws::tree;

    fn check_winner(history: &str, expected: &str) {
        assert_eq!(tree(history).winner().unwrap().rev.to_string(), expected, "{history}");
    }

    fn show(revs: &[&tidegate_types::Rev]) -> String {
        revs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn live_leaves_beat_tombstones_then_the_greatest_wins() {
        check_winner("1-a", "1-a");
        check_winner("1-a 1-a>2-b 1-a>2-c", "2-c");
        check_winner("1-a>2-b>3-c 1-a>2-d", "3-c");
        check_winner("1-a 1-a>2-b 1-a>2-cx", "2-b"); // `x` deletes: a live leaf beats a higher tombstone.
        check_winner("1-a 1-a>2-bx 1-a>2-cx", "2-c");
        check_winner("1-a 1-b", "1-b");
    }

    #[test]
    fn conflicts_are_the_other_live_leaves_greatest_first() {
        let tree = tree("1-a>2-b 1-a>2-d 1-a>2-cx 1-a>2-ax 1-a>2-e>3-fx");
        assert_eq!(tree.winner().unwrap().rev.to_string(), "2-d");
        assert_eq!(show(&tree.conflicts()), "2-b");
        assert_eq!(show(&tree.deleted_conflicts()), "3-f 2-c 2-a");
        let leaves: Vec<_> = tree.leaves().iter().map(|node| node.rev.to_string()).collect();
        assert_eq!(leaves, ["2-d", "2-b", "3-f", "2-c", "2-a"]);
    }

    #[test]
    fn ancestry() {
        let tree = tree("1-a>2-b>3-c 2-b>3-d>4-e");
        let path = |rev: &str| tree.path(&rev.parse().unwrap()).iter().map(|n| n.rev.to_string()).collect::<Vec<_>>();
        assert_eq!(path("3-c"), ["3-c", "2-b", "1-a"]);
        assert_eq!(path("9-z"), Vec::<String>::new());
        let latest = |rev: &str| {
            tree.descendants(&rev.parse().unwrap()).iter().map(|n| n.rev.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(latest("2-b"), "4-e 3-c");
        assert_eq!(latest("3-d"), "4-e");
        assert_eq!(latest("3-c"), "3-c");
        assert!(tree.is_leaf(&"4-e".parse().unwrap()));
        assert!(!tree.is_leaf(&"2-b".parse().unwrap()));
    }

    #[test]
    fn what_a_source_has_to_send() {
        let tree = tree("1-a>2-b 1-a>2-c>3-d");
        let asked = ["1-a", "2-x", "3-d", "3-y"].map(|rev| rev.parse().unwrap());
        let missing = tree.missing(&asked);
        assert_eq!(show(&missing), "2-x 3-y");
        assert_eq!(show(&tree.possible_ancestors(&missing)), "2-b");
    }
}
