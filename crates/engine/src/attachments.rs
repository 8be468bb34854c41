//! Taking in the content of attachments.

use crate::{Database, Encoding, Error};
use bytes::Bytes;
use flate2::{
    Compression, GzBuilder,
    write::{GzDecoder, GzEncoder},
};
use std::io::Write as _;
use tidegate_store::{Staged, Upload};

/// What zlib, and so CouchDB, writes into a gzip header: digests of short texts agree with CouchDB's then.
const UNIX: u8 = 3;

/// Content being taken in: streamed to the disk, compressed on the way where it is text.
pub struct AttachmentUpload {
    upload: Upload,
    packing: Packing,
    length: u64,
    length_max: u64,
}

/// Reads stored content chunk by chunk: holds one in memory, whatever the content's length.
pub struct AttachmentReader(pub(crate) tidegate_store::AttachmentReader);

impl AttachmentReader {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The content is cut short, or the storage failed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(self.0.next().await?)
    }
}

/// Content that has been taken in, waiting for a revision to refer to it.
#[derive(Clone, Debug)]
pub struct StagedAttachment {
    pub(crate) content: Staged,
    pub(crate) length: u64,
    pub(crate) encoding: Encoding,
}

enum Packing {
    /// Stored as it comes.
    None,
    /// Compressed here.
    Pack(GzEncoder<Vec<u8>>),
    /// It comes compressed; unpacked here to count its bytes and to prove it whole.
    Packed(GzDecoder<Count>),
}

/// Counts what is written to it.
struct Count(u64);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Database {
    /// Begins to take in content that comes in this encoding. Plain content of a compressible type is stored
    /// compressed, as CouchDB does.
    pub fn upload(&self, content_type: &str, encoding: Encoding) -> AttachmentUpload {
        let compression = &self.engine.live().compression;
        let packing = match encoding {
            Encoding::Gzip => Packing::Packed(GzDecoder::new(Count(0))),
            Encoding::Identity if compression.is_for(content_type) => {
                let header = GzBuilder::new().operating_system(UNIX);
                Packing::Pack(header.write(Vec::new(), Compression::new(compression.level)))
            }
            Encoding::Identity => Packing::None,
        };
        let length_max = self.engine.limits().attachment_bytes_max;
        AttachmentUpload { upload: self.store.upload(), packing, length: 0, length_max }
    }

    /// Takes in content that is at hand.
    ///
    /// # Errors
    /// As [`AttachmentUpload::write`].
    pub async fn upload_all(
        &self,
        content_type: &str,
        encoding: Encoding,
        bytes: Bytes,
    ) -> Result<StagedAttachment, Error> {
        let mut upload = self.upload(content_type, encoding);
        match upload.write(bytes).await {
            Ok(()) => upload.finish().await,
            Err(error) => {
                upload.abort().await?;
                Err(error)
            }
        }
    }

    /// Lets go of content that was taken in for a revision that will not be written.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn discard(&self, staged: Vec<StagedAttachment>) -> Result<(), Error> {
        Ok(self.store.discard(staged.into_iter().map(|staged| staged.content).collect()).await?)
    }
}

impl AttachmentUpload {
    /// Takes in the next bytes.
    ///
    /// # Errors
    /// [`Error::AttachmentTooLarge`], [`Error::BadGzip`], the database is gone, or the storage failed.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.length += bytes.len() as u64;
        if self.length > self.length_max {
            return Err(Error::AttachmentTooLarge { name: String::new() });
        }
        let bytes = match &mut self.packing {
            Packing::None => bytes,
            Packing::Pack(encoder) => {
                encoder.write_all(&bytes).map_err(|_invalid| BAD_GZIP)?;
                std::mem::take(encoder.get_mut()).into()
            }
            Packing::Packed(decoder) => {
                decoder.write_all(&bytes).map_err(|_invalid| BAD_GZIP)?;
                bytes
            }
        };
        if bytes.is_empty() { Ok(()) } else { Ok(self.upload.write(bytes).await?) }
    }

    /// All bytes are in.
    ///
    /// # Errors
    /// As [`AttachmentUpload::write`].
    pub async fn finish(mut self) -> Result<StagedAttachment, Error> {
        let unpacked = match self.packing {
            Packing::None => Ok((self.length, Encoding::Identity)),
            Packing::Pack(encoder) => match encoder.finish() {
                Ok(rest) => {
                    self.upload.write(rest.into()).await?;
                    Ok((self.length, Encoding::Gzip))
                }
                Err(_) => Err(BAD_GZIP),
            },
            Packing::Packed(decoder) => {
                decoder.finish().map(|count| (count.0, Encoding::Gzip)).map_err(|_invalid| BAD_GZIP)
            }
        };
        let (length, encoding) = match unpacked {
            Ok(unpacked) => unpacked,
            Err(error) => {
                self.upload.abort().await?;
                return Err(error);
            }
        };
        Ok(StagedAttachment { content: self.upload.finish().await?, length, encoding })
    }

    /// Lets go of what has been taken in.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn abort(self) -> Result<(), Error> {
        Ok(self.upload.abort().await?)
    }
}

const BAD_GZIP: Error = Error::BadGzip { name: String::new() };

impl StagedAttachment {
    /// The MD5 of the stored bytes.
    pub fn digest(&self) -> crate::AttachmentDigest {
        self.content.digest()
    }

    /// Bytes of the content, unpacked.
    pub fn length(&self) -> u64 {
        self.length
    }
}
