//! The history of one document as a tree of revisions, and the rules every replica applies to it.
//!
//! A tree is a forest, really: old ancestors are forgotten ([`Tree::stem`]), and a replica may learn of two histories
//! that share no revision. Invariants, which every operation keeps; [`Tree::from_nodes`] checks the second:
//! - a revision is in the tree once;
//! - a node's parent is exactly one generation older.
//!
//! What a tree decides depends on its revisions alone, never on the order in which they arrived: replicas that hold the
//! same revisions agree on the winner and on the conflicts. Rules and names follow CouchDB's `couch_key_tree.erl` and
//! `spec/couch.md` 3.2. The crate knows nothing of bodies but the sequence under which each was stored.

mod merge;
mod node;
mod prune;
mod query;

#[cfg(test)]
mod laws;

pub use merge::{EditError, Merge};
pub use node::{Body, Node, Tree, TreeError};
pub use prune::Purge;
