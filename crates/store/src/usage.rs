//! What a range of documents takes.

use crate::{
    DocRange, Error,
    read::Reader,
    record::{BodyRecord, DocumentRecord},
};
use std::ops::{Bound, ControlFlow};
use tidegate_kv::Direction;
use tidegate_types::Seq;

/// Documents read at once.
const DOCUMENTS_AT_ONCE: usize = 500;
/// Bodies read at once: each may have megabytes.
const BODIES_AT_ONCE: usize = 16;

/// What a range of documents takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Live documents.
    pub doc_count: u64,
    /// Deleted documents.
    pub doc_del_count: u64,
    /// Bytes of the leaves' bodies and attachments.
    pub leaf_bytes: u64,
    /// The same, with those of revisions that were edited since and aren't compacted away yet.
    pub stored_bytes: u64,
}

/// A stored body.
struct Stored {
    seq: Seq,
    is_leaf: bool,
}

impl Reader {
    /// What the documents of a range take. It reads all of them.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn usage(&self, range: &DocRange) -> Result<Usage, Error> {
        let bound = |bound: &Bound<String>| bound.clone();
        let (start, end) = (bound(&range.start), bound(&range.end));
        let mut keys = self.keys.documents(start.as_ref().map(String::as_str), end.as_ref().map(String::as_str));
        let mut usage = Usage::default();
        loop {
            let (mut bodies, mut last, mut seen, mut failure) = (Vec::new(), Vec::new(), 0, None);
            let visit = |key: &[u8], value: &[u8]| {
                seen += 1;
                last = key.to_vec();
                match DocumentRecord::decode(value) {
                    Ok(record) => usage.count(&record, &mut bodies),
                    Err(error) => failure = Some(error),
                }
                if failure.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            self.snapshot.scan_with(keys.clone(), Direction::Forward, DOCUMENTS_AT_ONCE, visit).await?;
            if let Some(error) = failure {
                return Err(error.into());
            }
            self.weigh(&bodies, &mut usage).await?;
            if seen < DOCUMENTS_AT_ONCE {
                return Ok(usage);
            }
            keys.start = Bound::Excluded(last);
        }
    }

    async fn weigh(&self, bodies: &[Stored], usage: &mut Usage) -> Result<(), Error> {
        for part in bodies.chunks(BODIES_AT_ONCE) {
            let keys: Vec<_> = part.iter().map(|body| self.keys.body(body.seq)).collect();
            for (body, bytes) in part.iter().zip(self.snapshot.get_many(&keys).await?) {
                let Some(bytes) = bytes else { continue };
                let attachments = BodyRecord::decode(&bytes)?.attachments;
                let attached: u64 = attachments.iter().map(|attachment| attachment.stored_length).sum();
                usage.stored_bytes += bytes.len() as u64 + attached;
                usage.leaf_bytes += if body.is_leaf { bytes.len() as u64 + attached } else { 0 };
            }
        }
        Ok(())
    }
}

impl Usage {
    fn count(&mut self, record: &DocumentRecord, bodies: &mut Vec<Stored>) {
        match record.tree.winner() {
            Some(winner) if winner.deleted => self.doc_del_count += 1,
            Some(_) => self.doc_count += 1,
            None => {}
        }
        let leaves: Vec<Seq> = record.tree.leaves().iter().filter_map(|leaf| leaf.body.stored()).collect();
        let stored = record.tree.nodes().iter().filter_map(|node| node.body.stored());
        bodies.extend(stored.map(|seq| Stored { seq, is_leaf: leaves.contains(&seq) }));
    }
}
