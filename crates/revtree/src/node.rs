//! The tree as a value: nodes that point at their parents.

use tidegate_types::{Rev, Seq};

/// All that is remembered of one document's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub(crate) nodes: Vec<Node>,
}

/// One revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub rev: Rev,
    /// Where in [`Tree::nodes`] its parent stands; `None` for a root or where the parent was forgotten.
    pub parent: Option<usize>,
    /// Whether the revision is a tombstone.
    pub deleted: bool,
    /// Whether its content is at hand.
    pub body: Body,
}

/// Whether a revision's content is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Stored under this sequence.
    Stored(Seq),
    /// Compacted away, or never received: replication brings ancestors as ids alone.
    Missing,
}

/// The nodes are no tree: what was read is corrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A node's parent isn't one generation older, or doesn't exist.
    #[error("node {0} has no proper parent")]
    Parent(usize),
}

impl Tree {
    /// The tree of these nodes, in this order.
    ///
    /// # Errors
    /// A parent that doesn't exist or isn't exactly one generation older (which rules out cycles).
    pub fn from_nodes(nodes: Vec<Node>) -> Result<Self, TreeError> {
        for (index, node) in nodes.iter().enumerate() {
            let Some(parent) = node.parent else { continue };
            let older = nodes.get(parent).map(|parent| parent.rev.generation());
            if older.and_then(|generation| generation.checked_add(1)) != Some(node.rev.generation()) {
                return Err(TreeError::Parent(index));
            }
        }
        Ok(Self { nodes })
    }

    /// Every revision, in no promised order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether nothing is known of the document.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn position(&self, rev: &Rev) -> Option<usize> {
        // The newest revisions are asked for most, and stand last.
        self.nodes.iter().rposition(|node| node.rev == *rev)
    }

    pub(crate) fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}
