//! Content of attachments on its way in: streamed to the disk before the document that will refer to it.

use crate::{
    AttachmentDigest, Database, Error,
    commit::{Draft, Stop},
    keys::{Key, Keys},
    record::AttachmentRecord,
};
use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};

/// Bytes in one chunk. Content that fits in one is written with its document, in the same commit.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// Content being taken in. Holds one chunk in memory, whatever the content's length.
///
/// What is abandoned without [`Upload::abort`] is cleared when the database is next opened.
pub struct Upload {
    database: Database,
    blob: u128,
    buffer: BytesMut,
    chunks: u32,
    length: u64,
    hash: Md5,
}

/// Content that has been taken in, waiting for a document to refer to it.
#[derive(Clone, Debug)]
pub struct Staged {
    blob: u128,
    digest: AttachmentDigest,
    length: u64,
    /// The content itself, where nothing of it has been written yet.
    inline: Option<Bytes>,
}

impl Database {
    /// Begins to take in an attachment's content.
    pub fn upload(&self) -> Upload {
        let blob = rand::random();
        Upload { database: self.clone(), blob, buffer: BytesMut::new(), chunks: 0, length: 0, hash: Md5::new() }
    }

    /// Lets go of staged content that no document came to refer to.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn discard(&self, staged: Vec<Staged>) -> Result<(), Error> {
        if staged.iter().all(|staged| !staged.is_blob()) {
            return Ok(());
        }
        let keys = self.collection.keys;
        let reads = staged.iter().map(|staged| keys.attachment(&staged.digest)).collect();
        let apply = move |draft: &mut Draft<'_>| staged.iter().try_for_each(|staged| staged.forget(keys, draft));
        self.inner.propose_one(reads, Box::new(apply)).await
    }
}

impl Upload {
    /// Takes in the next bytes; waits until a full chunk is durable.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.hash.update(&bytes);
        self.length += bytes.len() as u64;
        while self.buffer.len() + bytes.len() > CHUNK_BYTES {
            let part = bytes.split_to(CHUNK_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(&part);
            self.flush().await?;
        }
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }

    /// All bytes are in.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn finish(mut self) -> Result<Staged, Error> {
        let inline = if self.chunks == 0 {
            Some(self.buffer.split().freeze())
        } else {
            self.flush().await?;
            None
        };
        let digest = AttachmentDigest::new(self.hash.finalize().into());
        Ok(Staged { blob: self.blob, digest, length: self.length, inline })
    }

    /// Lets go of what has been taken in.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn abort(self) -> Result<(), Error> {
        let database = self.database.clone();
        let digest = AttachmentDigest::new([0; 16]);
        let inline = (self.chunks == 0).then(Bytes::new);
        database.discard(vec![Staged { blob: self.blob, digest, length: 0, inline }]).await
    }

    /// Writes the buffer as the next chunk. A scope of its own: uploads don't wait for the database's commits.
    async fn flush(&mut self) -> Result<(), Error> {
        let (inner, keys) = (&self.database.inner, self.database.collection.keys);
        let mark: Key = keys.upload(self.blob);
        let _uploading = inner.uploading.read().await;
        let mut transaction = inner.kv.begin(&mark).await?;
        inner.check_not_deleted()?;
        if self.chunks == 0 {
            transaction.put(mark, Vec::new());
        }
        transaction.put(keys.chunk(self.blob, self.chunks), self.buffer.split().freeze());
        self.chunks += 1;
        transaction.commit().await?;
        Ok(())
    }
}

impl Staged {
    /// The MD5 of the content.
    pub fn digest(&self) -> AttachmentDigest {
        self.digest
    }

    /// Its bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn blob(&self) -> u128 {
        self.blob
    }

    pub(crate) fn is_blob(&self) -> bool {
        self.inline.is_none()
    }

    pub(crate) fn inline_bytes(&self) -> usize {
        self.inline.as_ref().map_or(0, Bytes::len)
    }

    /// Makes the content the database's: it is no upload any more.
    pub(crate) fn settle(&self, keys: Keys, draft: &mut Draft<'_>) {
        match &self.inline {
            Some(bytes) => draft.put(keys.chunk(self.blob, 0), bytes.to_vec()),
            None => draft.delete(self.upload_key(keys)),
        }
    }

    /// The mark of content that waits.
    pub(crate) fn upload_key(&self, keys: Keys) -> Key {
        keys.upload(self.blob)
    }

    /// Whether the content still waits: it may have been let go, or be in another database.
    pub(crate) fn is_there(&self, keys: Keys, draft: &Draft<'_>) -> Result<bool, Stop> {
        Ok(!self.is_blob() || draft.get(&self.upload_key(keys))?.is_some())
    }

    /// Clears the content: the database has the same already, or nobody wants it.
    pub(crate) fn forget(&self, keys: Keys, draft: &mut Draft<'_>) -> Result<(), Stop> {
        let stored =
            draft.get(&keys.attachment(&self.digest))?.map(|bytes| AttachmentRecord::decode(bytes)).transpose()?;
        // Another revision may have been written with this very content.
        let in_use = stored.is_some_and(|stored| stored.blob == self.blob);
        if self.is_blob() && !in_use {
            draft.clear(keys.chunks(self.blob));
            draft.delete(self.upload_key(keys));
        }
        Ok(())
    }
}
