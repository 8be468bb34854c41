//! How a tree grows: by an edit made here, or by a path that another replica sends.

use crate::{Body, Node, Tree};
use tidegate_types::{Rev, Seq};

/// What a merged path changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Everything in it was known: nothing to write.
    Unchanged,
    /// The newest revision was known, but older ancestors were learnt.
    Ancestors,
    /// The newest revision is new.
    New,
}

/// Why an edit isn't allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The parent isn't a current leaf, or none was named though the document is live.
    #[error("the edit isn't made on a current leaf")]
    Conflict,
}

impl Tree {
    /// The revision that an edit made here has to extend.
    ///
    /// A named parent must be a live leaf; a tombstone can be extended by name only while a live leaf is there beside
    /// it. With no parent named the document must be new (`None` is answered) or deleted (its winner is answered).
    /// Source: `spec/couch.md` 3.2.
    ///
    /// # Errors
    /// [`EditError::Conflict`] otherwise.
    pub fn edit_parent(&self, named: Option<&Rev>) -> Result<Option<&Node>, EditError> {
        let Some(winner) = self.winner() else {
            return if named.is_none() { Ok(None) } else { Err(EditError::Conflict) };
        };
        match named {
            None if winner.deleted => Ok(Some(winner)),
            Some(rev) if !winner.deleted && self.is_leaf(rev) => Ok(self.get(rev)),
            None | Some(_) => Err(EditError::Conflict),
        }
    }

    /// Takes in a revision with its ancestors: `path` is newest first and each is one generation older than the one
    /// before it; `deleted` and `body` are those of the newest.
    ///
    /// Joins what is known wherever it can, and otherwise stands as a history of its own; never a conflict. Ancestors
    /// that contradict known ones are ignored: a peer can't rewrite history. Source: `couch_key_tree:merge`.
    pub fn merge(&mut self, path: &[Rev], deleted: bool, body: Seq) -> Merge {
        let newest_known = path.iter().enumerate().find_map(|(i, rev)| self.position(rev).map(|index| (i, index)));
        let (fresh, known) = match newest_known {
            Some((i, index)) => {
                let (fresh, known) = path.split_at(i);
                (fresh, Some((known, index)))
            }
            None => (path, None),
        };
        let learnt = known.is_some_and(|(known, index)| self.learn_ancestors(index, known));
        self.append(fresh, known.map(|(_, index)| index), deleted, body);
        match (fresh.is_empty(), learnt) {
            (false, _) => Merge::New,
            (true, true) => Merge::Ancestors,
            (true, false) => Merge::Unchanged,
        }
    }

    /// Puts `fresh` (newest first) on top of `parent`.
    fn append(&mut self, fresh: &[Rev], mut parent: Option<usize>, deleted: bool, body: Seq) {
        for (distance, rev) in fresh.iter().enumerate().rev() {
            let newest = distance == 0;
            let body = if newest { Body::Stored(body) } else { Body::Missing };
            parent = Some(self.push(Node { rev: rev.clone(), parent, deleted: newest && deleted, body }));
        }
    }

    /// Follows `known` (newest first, standing at `index`) towards the root, and lengthens a root whose ancestors had
    /// been forgotten. Whether anything was learnt.
    fn learn_ancestors(&mut self, mut index: usize, known: &[Rev]) -> bool {
        let mut learnt = false;
        for rev in known.iter().skip(1) {
            let parent = self.nodes.get(index).and_then(|node| node.parent);
            match parent {
                Some(parent) if self.nodes.get(parent).is_some_and(|node| node.rev == *rev) => index = parent,
                Some(_) => return learnt,
                None => {
                    index = self.lengthen(index, rev);
                    learnt = true;
                }
            }
        }
        learnt
    }

    /// Gives the root at `index` this parent, known already or not, and returns where it stands.
    fn lengthen(&mut self, index: usize, rev: &Rev) -> usize {
        let node = Node { rev: rev.clone(), parent: None, deleted: false, body: Body::Missing };
        let parent = self.position(rev).unwrap_or_else(|| self.push(node));
        if let Some(child) = self.nodes.get_mut(index) {
            child.parent = Some(parent);
        }
        parent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::{show, tree};

    fn check_merge(history: &str, path: &str, expected: Merge, after: &str) {
        let mut tree = tree(history);
        let path: Vec<Rev> = path.split('>').rev().map(|rev| rev.parse().unwrap()).collect();
        assert_eq!(tree.merge(&path, false, Seq::new(9)), expected, "{history} + {path:?}");
        assert_eq!(show(&tree), after, "{history} + {path:?}");
        assert_eq!(Tree::from_nodes(tree.nodes.clone()), Ok(tree));
    }

    #[test]
    fn paths_join_what_is_known() {
        check_merge("", "1-a", Merge::New, "1-a");
        check_merge("1-a", "1-a>2-b", Merge::New, "1-a>2-b");
        check_merge("1-a>2-b", "1-a>2-c", Merge::New, "1-a>2-b 1-a>2-c");
        check_merge("1-a>2-b", "2-b>3-c>4-d", Merge::New, "1-a>2-b>3-c>4-d");
        check_merge("1-a>2-b", "1-a>2-b", Merge::Unchanged, "1-a>2-b");
        check_merge("1-a>2-b", "1-a", Merge::Unchanged, "1-a>2-b");
        check_merge("1-a", "5-z", Merge::New, "1-a 5-z");
    }

    #[test]
    fn forgotten_ancestors_are_learnt() {
        check_merge("3-c", "1-a>2-b>3-c", Merge::Ancestors, "1-a>2-b>3-c");
        check_merge("3-c", "2-b>3-c>4-d", Merge::New, "2-b>3-c>4-d");
        // Two histories turn out to be one.
        check_merge("1-a 3-c", "1-a>2-b>3-c", Merge::Ancestors, "1-a>2-b>3-c");
        check_merge("2-b 3-c", "1-a>2-b>3-c", Merge::Ancestors, "1-a>2-b>3-c");
        check_merge("1-a>2-b 3-c 4-d", "1-x>2-b>3-c>4-d", Merge::Ancestors, "1-a>2-b>3-c>4-d");
    }

    #[test]
    fn a_peer_cannot_rewrite_history() {
        check_merge("1-a>2-b", "1-x>2-b>3-c", Merge::New, "1-a>2-b>3-c");
        check_merge("1-a>2-b", "1-x>2-b", Merge::Unchanged, "1-a>2-b");
    }

    fn check_edit(history: &str, named: &str, expected: Result<Option<&str>, EditError>) {
        let named: Option<Rev> = named.parse().ok();
        let tree = tree(history);
        let found = tree.edit_parent(named.as_ref()).map(|node| node.map(|node| node.rev.to_string()));
        assert_eq!(found, expected.map(|rev| rev.map(String::from)), "{history} {named:?}");
    }

    #[test]
    fn edits_extend_leaves() {
        check_edit("", "", Ok(None));
        check_edit("", "1-a", Err(EditError::Conflict));
        check_edit("1-a", "1-a", Ok(Some("1-a")));
        check_edit("1-a", "", Err(EditError::Conflict));
        check_edit("1-a>2-b", "1-a", Err(EditError::Conflict));
        check_edit("1-a>2-b 1-a>2-c", "2-b", Ok(Some("2-b"))); // a losing leaf may be edited
        check_edit("1-a>2-b", "9-z", Err(EditError::Conflict));
    }

    #[test]
    fn a_tombstone_is_extended_without_naming_it() {
        check_edit("1-a>2-bx", "", Ok(Some("2-b")));
        check_edit("1-a>2-bx", "2-b", Err(EditError::Conflict));
        check_edit("1-a>2-bx 1-a>2-c", "2-b", Ok(Some("2-b")));
    }
}
