//! What the chunks of blobs come to when they are read again.

use crate::{AttachmentDigest, Error, keys::Keys, rows::Rows, upload::CHUNK_BYTES};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use std::collections::BTreeSet;
use tidegate_kv::{Direction, Snapshot};

/// What the chunks of one blob come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlobContent {
    /// `None` if chunks are missing between them.
    pub(crate) digest: Option<AttachmentDigest>,
    pub(crate) length: u64,
}

/// What is met among the chunks.
pub(crate) enum Met {
    /// All chunks of a blob.
    Blob(u128, BlobContent),
    /// A key that no chunk has.
    Illegal(Bytes),
}

/// The contents of a database, one blob after the other, each chunk in memory once.
pub(crate) struct Contents {
    keys: Keys,
    rows: Rows,
    current: Option<(u128, Content)>,
}

impl Contents {
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys, rows: Rows::of_chunks(keys.chunks_all()), current: None }
    }

    /// The next blob; none at the end. The snapshot is the same each time.
    pub(crate) async fn next(&mut self, snapshot: &Snapshot) -> Result<Option<Met>, Error> {
        while let Some((key, chunk)) = self.rows.next(snapshot).await? {
            let Some((blob, index)) = self.keys.chunk_in(&key) else { return Ok(Some(Met::Illegal(key))) };
            let ended = self.current.take_if(|(current, _)| *current != blob);
            let (_, content) = self.current.get_or_insert_with(|| (blob, Content::default()));
            content.take(index, &chunk);
            if let Some((blob, content)) = ended {
                return Ok(Some(Met::Blob(blob, content.told())));
            }
        }
        Ok(self.current.take().map(|(blob, content)| Met::Blob(blob, content.told())))
    }
}

/// The blobs that are still being uploaded.
pub(crate) async fn uploads(keys: Keys, snapshot: &Snapshot) -> Result<BTreeSet<u128>, Error> {
    let rows = snapshot.scan(keys.uploads(), Direction::Forward, usize::MAX).await?;
    Ok(rows.iter().filter_map(|(key, _)| keys.blob_in(key)).collect())
}

/// The chunks of one blob, in order.
struct Content {
    chunks: u32,
    length: u64,
    /// Whether none is missing between them, and none but the last is short.
    sound: bool,
    hash: Md5,
}

impl Default for Content {
    fn default() -> Self {
        Self { chunks: 0, length: 0, sound: true, hash: Md5::new() }
    }
}

impl Content {
    fn take(&mut self, index: u32, chunk: &[u8]) {
        let full = self.length == u64::from(self.chunks) * CHUNK_BYTES as u64;
        self.sound &= index == self.chunks && full;
        self.chunks += 1;
        self.length += chunk.len() as u64;
        self.hash.update(chunk);
    }

    /// When all chunks were taken.
    fn told(self) -> BlobContent {
        let digest = self.sound.then(|| AttachmentDigest::new(self.hash.finalize().into()));
        BlobContent { digest, length: self.length }
    }
}
