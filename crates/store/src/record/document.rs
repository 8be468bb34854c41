//! A document's revision tree, with what plain reads need in front of it.

use crate::{
    Corrupt,
    codec::{Reader, put_length, put_number, put_rev},
};
use tidegate_revtree::{Body, Node, Tree};
use tidegate_types::{Rev, Seq};

const VERSION: u8 = 1;
const DELETED: u8 = 1;
const STORED: u8 = 2;
const ROOT: u8 = 4;
const FOLLOWS_PARENT: u8 = 8;

/// What a read of the winner needs: the tree behind it stays packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentHead {
    /// Of the latest change, under which the document stands in the sequence index.
    pub(crate) seq: Seq,
    pub(crate) winner: Rev,
    pub(crate) deleted: bool,
    pub(crate) winner_body: Option<Seq>,
}

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DocumentRecord {
    pub(crate) seq: Seq,
    pub(crate) tree: Tree,
}

impl DocumentHead {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        Self::read(&mut Reader::versioned("document", VERSION, bytes)?)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let deleted = reader.byte()? & DELETED != 0;
        let seq = Seq::new(reader.number()?);
        let winner_body = Some(Seq::new(reader.number()?)).filter(|seq| *seq > Seq::ZERO);
        let winner = reader.rev()?;
        Ok(Self { seq, winner, deleted, winner_body })
    }
}

impl DocumentRecord {
    /// The bytes, or `None` for an empty tree: there is no document then.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let winner = self.tree.winner()?;
        let nodes = self.tree.nodes();
        let mut out = Vec::with_capacity(40 + 26 * nodes.len());
        out.push(VERSION);
        out.push(if winner.deleted { DELETED } else { 0 });
        put_number(&mut out, self.seq.get());
        put_number(&mut out, winner.body.stored().map_or(0, Seq::get));
        put_rev(&mut out, &winner.rev);
        put_length(&mut out, nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            put_node(&mut out, index, node);
        }
        Some(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("document", VERSION, bytes)?;
        let head = DocumentHead::read(&mut reader)?;
        let count = reader.length()?;
        let mut nodes = Vec::new();
        for index in 0..count {
            nodes.push(read_node(&mut reader, index)?);
        }
        let tree = Tree::from_nodes(nodes).map_err(|_invalid| reader.corrupt("the revisions are no tree"))?;
        Ok(Self { seq: head.seq, tree })
    }
}

fn put_node(out: &mut Vec<u8>, index: usize, node: &Node) {
    let follows = index.checked_sub(1).is_some() && node.parent == index.checked_sub(1);
    let parent = match node.parent {
        None => ROOT,
        Some(_) if follows => FOLLOWS_PARENT,
        Some(_) => 0,
    };
    let stored = if node.body.stored().is_some() { STORED } else { 0 };
    out.push(parent | stored | if node.deleted { DELETED } else { 0 });
    if let Some(parent) = node.parent.filter(|_| !follows) {
        put_length(out, parent);
    }
    if let Some(seq) = node.body.stored() {
        put_number(out, seq.get());
    }
    put_rev(out, &node.rev);
}

fn read_node(reader: &mut Reader<'_>, index: usize) -> Result<Node, Corrupt> {
    let flags = reader.byte()?;
    let parent = match flags & (ROOT | FOLLOWS_PARENT) {
        ROOT => None,
        FOLLOWS_PARENT => Some(index.checked_sub(1).ok_or(reader.corrupt("the first node follows nothing"))?),
        _ => Some(reader.length()?),
    };
    let body = match flags & STORED {
        0 => Body::Missing,
        _ => Body::Stored(Seq::new(reader.number()?)),
    };
    Ok(Node { rev: reader.rev()?, parent, deleted: flags & DELETED != 0, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(paths: &[(u8, Vec<u8>)]) -> Tree {
        let mut tree = Tree::default();
        for (generation, digests) in paths {
            let newest = u64::from(*generation) + digests.len() as u64;
            let path: Vec<Rev> = digests
                .iter()
                .enumerate()
                .map(|(i, d)| format!("{}-{d:x}", newest - i as u64).parse().unwrap())
                .collect();
            tree.merge(&path, digests.len() % 3 == 0, Seq::new(u64::from(*generation) + 1));
        }
        tree
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            seq: u64, paths in prop::collection::vec((0u8..4, prop::collection::vec(0u8..8, 1..6)), 1..6),
        ) {
            let record = DocumentRecord { seq: Seq::new(seq), tree: tree(&paths) };
            let bytes = record.encode().unwrap();
            let head = DocumentHead::decode(&bytes).unwrap();
            prop_assert_eq!(&head.winner, &record.tree.winner().unwrap().rev);
            prop_assert_eq!(head.winner_body, record.tree.winner().unwrap().body.stored());
            prop_assert_eq!(DocumentRecord::decode(&bytes).unwrap(), record);
            for length in 0..bytes.len() {
                prop_assert!(DocumentRecord::decode(&bytes[..length]).is_err());
            }
        }

        #[test]
        fn noise_is_corrupt_and_nothing_worse(bytes: Vec<u8>) {
            let noise = [&[VERSION], bytes.as_slice()].concat();
            if let Ok(record) = DocumentRecord::decode(&noise) {
                record.encode();
            }
        }
    }

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01\x00\x05\x05\x02\x02b\x02\x06\x04\x01\x02a\x0a\x05\x02\x02b";
        let record = DocumentRecord::decode(bytes).unwrap();
        assert_eq!(record.seq, Seq::new(5));
        let path: Vec<_> = record.tree.path(&"2-b".parse().unwrap()).into_iter().map(|n| n.rev.to_string()).collect();
        assert_eq!(path, ["2-b", "1-a"]);
        assert_eq!(record.encode().unwrap(), bytes);
    }
}
