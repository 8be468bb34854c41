//! Content of attachments on its way out.

use crate::{
    AttachmentDigest, Corrupt, Error, keys::Keys, read::Reader, record::AttachmentRecord, upload::CHUNK_BYTES,
};
use bytes::Bytes;
use std::ops::Range;
use tidegate_kv::Snapshot;

/// Reads stored content chunk by chunk: holds one in memory, whatever the content's length.
pub struct AttachmentReader {
    snapshot: Snapshot,
    keys: Keys,
    blob: u128,
    /// What is left to be read.
    range: Range<u64>,
}

impl Reader {
    /// The stored bytes behind a digest, or the part of them that `range` asks for.
    ///
    /// # Errors
    /// The content isn't there, or the storage failed.
    pub async fn attachment(
        &self,
        digest: &AttachmentDigest,
        range: Option<Range<u64>>,
    ) -> Result<AttachmentReader, Error> {
        let bytes = self.snapshot.get(&self.keys.attachment(digest)).await?;
        let record = AttachmentRecord::decode(&bytes.ok_or(LOST)?)?;
        let range = range.unwrap_or(0..record.stored_length);
        let range = range.start..range.end.min(record.stored_length);
        Ok(AttachmentReader { snapshot: self.snapshot.clone(), keys: self.keys, blob: record.blob, range })
    }
}

const LOST: Corrupt = Corrupt { record: "attachment", what: "its content is missing" };

impl AttachmentReader {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The content is cut short, or the storage failed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let chunk_bytes = CHUNK_BYTES as u64;
        let index = u32::try_from(self.range.start / chunk_bytes).map_err(|_invalid| LOST)?;
        let chunk = self.snapshot.get(&self.keys.chunk(self.blob, index)).await?.ok_or(LOST)?;
        let chunk_start = u64::from(index) * chunk_bytes;
        let within = |position: u64| usize::try_from(position - chunk_start).map_err(|_invalid| LOST);
        let (start, end) = (within(self.range.start)?, within(self.range.end.min(chunk_start + chunk_bytes))?);
        if end > chunk.len() {
            return Err(LOST.into());
        }
        self.range.start = (chunk_start + chunk_bytes).min(self.range.end);
        Ok(Some(chunk.slice(start..end)))
    }
}
