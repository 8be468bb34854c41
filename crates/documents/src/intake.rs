//! Content of one attachment on its way in, checked against what was said of it.

use crate::{Error, Fault, Follows};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use tidegate_engine::{AttachmentDigest, AttachmentUpload, Database, StagedAttachment};

/// An upload that counts and, where a digest is to be checked, hashes what comes.
pub struct Intake {
    name: String,
    upload: AttachmentUpload,
    received: u64,
    length: Option<u64>,
    hash: Option<Md5>,
    digest: Option<AttachmentDigest>,
}

impl Intake {
    /// An intake of what is expected.
    pub fn new(db: &Database, name: &str, content_type: &str, expected: &Follows) -> Self {
        Self {
            name: name.to_owned(),
            upload: db.upload(content_type, expected.encoding),
            received: 0,
            length: expected.length,
            hash: expected.digest.map(|_| Md5::new()),
            digest: expected.digest,
        }
    }

    /// The same, with a digest that will only be known at the end.
    pub fn hashing(self) -> Self {
        Self { hash: Some(Md5::new()), ..self }
    }

    /// The digest that was announced.
    pub fn expect(&mut self, digest: AttachmentDigest) {
        self.digest = Some(digest);
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    /// There is more than was said, it isn't what was said, or the storage failed. [`abort`](Self::abort) then.
    pub async fn push(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.received += chunk.len() as u64;
        if self.length.is_some_and(|length| self.received > length) {
            return Err(Error::bad_request("attachment longer than expected"));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&chunk);
        }
        self.upload.write(chunk).await.map_err(|error| named(error, &self.name))
    }

    /// All is in. Lets go of it where it isn't what was said.
    ///
    /// # Errors
    /// There is less than was said, it isn't what was said, or the storage failed.
    pub async fn finish(mut self) -> Result<StagedAttachment, Error> {
        if let Err(error) = self.check() {
            self.abort().await;
            return Err(error);
        }
        self.upload.finish().await.map_err(|error| named(error, &self.name))
    }

    /// Lets go of what came.
    pub async fn abort(self) {
        if let Err(error) = self.upload.abort().await {
            // It is cleared when the database is next opened.
            tracing::warn!(%error, "an upload could not be cleared");
        }
    }

    fn check(&mut self) -> Result<(), Error> {
        if self.length.is_some_and(|length| self.received < length) {
            return Err(Error::bad_request("attachment shorter than expected"));
        }
        let (Some(digest), Some(hash)) = (self.digest, self.hash.take()) else { return Ok(()) };
        if *digest.as_bytes() == <[u8; 16]>::from(hash.finalize()) { Ok(()) } else { Err(md5_mismatch()) }
    }
}

/// Source: `couch_httpd:error_info(md5_mismatch)`.
fn md5_mismatch() -> Error {
    Error::refused(Fault::Digest, "Possible message corruption.")
}

/// Says of which attachment an upload failed.
pub(crate) fn named(error: tidegate_engine::Error, of: &str) -> Error {
    use tidegate_engine::Error as E;
    let name = of.to_owned();
    if matches!(error, E::AttachmentTooLarge { .. }) {
        return E::AttachmentTooLarge { name }.into();
    }
    if matches!(error, E::BadGzip { .. }) {
        return E::BadGzip { name }.into();
    }
    error.into()
}
