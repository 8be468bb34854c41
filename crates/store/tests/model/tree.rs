//! A revision tree, written as plainly as can be: a map from each revision to its parent.

use crate::database::Body;
use std::collections::BTreeMap;
use tidegate_types::Rev;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<Rev, Node>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) parent: Option<Rev>,
    pub(crate) deleted: bool,
    pub(crate) body: Option<Body>,
}

impl Tree {
    pub(crate) fn is_leaf(&self, rev: &Rev) -> bool {
        self.nodes.contains_key(rev) && self.nodes.values().all(|node| node.parent.as_ref() != Some(rev))
    }

    /// The winner first.
    pub(crate) fn leaves(&self) -> Vec<(&Rev, &Node)> {
        let mut leaves: Vec<_> = self.nodes.iter().filter(|(rev, _)| self.is_leaf(rev)).collect();
        leaves.sort_by_key(|(rev, node)| (node.deleted, std::cmp::Reverse((*rev).clone())));
        leaves
    }

    pub(crate) fn winner(&self) -> Option<(&Rev, &Node)> {
        self.leaves().first().copied()
    }

    pub(crate) fn path(&self, rev: &Rev) -> Vec<Rev> {
        let parent = |rev: &Rev| self.nodes.get(rev).and_then(|node| node.parent.clone());
        std::iter::successors(self.nodes.contains_key(rev).then(|| rev.clone()), parent).collect()
    }

    /// Whether the newest of the path, which is newest first, is new.
    pub(crate) fn merge(&mut self, path: &[Rev], deleted: bool, body: Body) -> bool {
        let known = path.iter().position(|rev| self.nodes.contains_key(rev)).unwrap_or(path.len());
        for (index, rev) in path.iter().enumerate().take(known) {
            self.nodes.insert(rev.clone(), Node { parent: path.get(index + 1).cloned(), ..Node::default() });
        }
        for pair in path.get(known..).unwrap_or_default().windows(2) {
            let (child, parent) = (self.nodes.get_mut(&pair[0]).unwrap(), &pair[1]);
            if *child.parent.get_or_insert_with(|| parent.clone()) != *parent {
                break;
            }
            self.nodes.entry(parent.clone()).or_default();
        }
        if known > 0 {
            let newest = self.nodes.get_mut(&path[0]).unwrap();
            (newest.deleted, newest.body) = (deleted, Some(body));
        }
        known > 0
    }

    pub(crate) fn stem(&mut self, limit: u64) {
        let limit = usize::try_from(limit).unwrap().max(1);
        let leaves: Vec<_> = self.leaves().into_iter().map(|(rev, _)| rev.clone()).collect();
        let kept: Vec<_> = leaves.iter().flat_map(|leaf| self.path(leaf).into_iter().take(limit)).collect();
        self.keep(&kept);
    }

    /// The leaves that are gone.
    pub(crate) fn purge(&mut self, revs: &[Rev]) -> Vec<Rev> {
        let gone: Vec<_> = revs.iter().filter(|rev| self.is_leaf(rev)).cloned().collect();
        let leaves: Vec<_> = self.leaves().into_iter().map(|(rev, _)| rev.clone()).collect();
        let kept: Vec<_> = leaves.iter().filter(|leaf| !gone.contains(leaf)).flat_map(|leaf| self.path(leaf)).collect();
        self.keep(&kept);
        gone
    }

    pub(crate) fn compact(&mut self) {
        let leaves: Vec<_> = self.leaves().into_iter().map(|(rev, _)| rev.clone()).collect();
        self.nodes.iter_mut().filter(|(rev, _)| !leaves.contains(rev)).for_each(|(_, node)| node.body = None);
    }

    fn keep(&mut self, kept: &[Rev]) {
        self.nodes.retain(|rev, _| kept.contains(rev));
        for node in self.nodes.values_mut() {
            node.parent = node.parent.take().filter(|parent| kept.contains(parent));
        }
    }
}
