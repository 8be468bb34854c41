//! Reading a backup as its bytes come, however they are cut, and noticing whatever is wrong with it.

use super::{
    BLOCK_HEAD_BYTES, BackupHead, BackupSummary, CHECKSUM_BYTES, END, HEAD, MAGIC, PAYLOAD_VERSION, ROWS, VERSION,
};
use crate::{Corrupt, codec::Reader};
use bytes::{Buf, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// No block is larger: a row's key and value have limits.
const BLOCK_BYTES_MAX: usize = 80 << 20;
const START_BYTES: usize = MAGIC.len() + 4;

/// Why a file is no whole backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It begins otherwise.
    #[error("it is not a Tidegate backup")]
    NotABackup,
    /// A newer version of this program wrote it.
    #[error("it has format {found}; this version reads formats up to {VERSION}")]
    NewerFormat {
        /// The format it declares.
        found: u32,
    },
    /// It ends before its end block.
    #[error("it is cut short: it ends at byte {0}, before its end was written")]
    CutShort(u64),
    /// Something was altered since it was written.
    #[error("it is damaged at byte {offset}: {what}")]
    Altered {
        /// Where the damaged block begins.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

/// A piece of a backup, sound so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// It comes first.
    Head(BackupHead),
    /// Keys and values, in the order of the keys.
    Rows(Vec<(Bytes, Bytes)>),
    /// It comes last: the whole is sound if nothing follows; see [`Decoder::finish`].
    End(BackupSummary),
}

/// Takes a backup apart.
pub struct Decoder {
    buffer: BytesMut,
    /// Of the buffer's first byte.
    offset: u64,
    stage: Stage,
    hash: Sha256,
    rows: u64,
    bytes: u64,
    last_key: Option<Bytes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Head,
    Rows,
    Over(BackupSummary),
}

impl Default for Decoder {
    fn default() -> Self {
        let (buffer, hash) = (BytesMut::new(), Sha256::new());
        Self { buffer, offset: 0, stage: Stage::Start, hash, rows: 0, bytes: 0, last_key: None }
    }
}

impl Decoder {
    /// Takes in the next bytes of the file. [`Self::take`] is to be called until it gives `None` before more come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item, if it is there in full.
    ///
    /// # Errors
    /// [`Damage`]; only errors follow it.
    pub fn take(&mut self) -> Result<Option<Item>, Damage> {
        if self.stage == Stage::Start && !self.take_start()? {
            return Ok(None);
        }
        match self.stage {
            Stage::Start | Stage::Head | Stage::Rows => self.next_block(),
            Stage::Over(_) if self.buffer.is_empty() => Ok(None),
            Stage::Over(_) => Err(self.altered("something follows its end")),
        }
    }

    /// The file is over. What it holds, if it is whole.
    ///
    /// # Errors
    /// [`Damage::CutShort`], or what [`Self::take`] failed with.
    pub fn finish(mut self) -> Result<BackupSummary, Damage> {
        while self.take()?.is_some() {}
        match self.stage {
            Stage::Over(summary) => Ok(summary),
            Stage::Start | Stage::Head | Stage::Rows => Err(Damage::CutShort(self.offset + self.buffer.len() as u64)),
        }
    }

    fn altered(&self, what: &'static str) -> Damage {
        Damage::Altered { offset: self.offset, what }
    }

    /// Whether the start was there.
    fn take_start(&mut self) -> Result<bool, Damage> {
        let seen = self.buffer.len().min(MAGIC.len());
        if self.buffer.get(..seen) != MAGIC.get(..seen) {
            return Err(Damage::NotABackup);
        }
        let version = self.buffer.get(MAGIC.len()..START_BYTES).and_then(|bytes| bytes.try_into().ok());
        let Some(version) = version.map(u32::from_be_bytes) else { return Ok(false) };
        if version != VERSION {
            return Err(Damage::NewerFormat { found: version });
        }
        let start = self.buffer.split_to(START_BYTES);
        self.hash.update(&start);
        self.offset += START_BYTES as u64;
        self.stage = Stage::Head;
        Ok(true)
    }

    fn next_block(&mut self) -> Result<Option<Item>, Damage> {
        let Some((kind, length)) = self.buffer.split_first().and_then(|(kind, rest)| {
            let length: [u8; 4] = rest.get(..BLOCK_HEAD_BYTES - 1)?.try_into().ok()?;
            Some((*kind, u32::from_be_bytes(length) as usize))
        }) else {
            return Ok(None);
        };
        if length > BLOCK_BYTES_MAX {
            return Err(self.altered("a block's length is impossible"));
        }
        let whole = BLOCK_HEAD_BYTES + length + CHECKSUM_BYTES;
        if self.buffer.len() < whole {
            self.buffer.reserve(whole - self.buffer.len());
            return Ok(None);
        }
        let block = self.buffer.split_to(whole).freeze();
        let (covered, mut checksum) = (block.slice(..whole - CHECKSUM_BYTES), block.slice(whole - CHECKSUM_BYTES..));
        if crc32c::crc32c(&covered) != checksum.get_u32() {
            return Err(self.altered("a block's checksum is wrong"));
        }
        let item = self.read(kind, &covered.slice(BLOCK_HEAD_BYTES..))?;
        self.hash.update(&block);
        self.offset += whole as u64;
        Ok(Some(item))
    }

    fn read(&mut self, kind: u8, payload: &Bytes) -> Result<Item, Damage> {
        let unreadable = |corrupt: Corrupt| self.altered(corrupt.what);
        match (self.stage, kind) {
            (Stage::Head, HEAD) => {
                let head = read_head(payload).map_err(unreadable)?;
                self.stage = Stage::Rows;
                Ok(Item::Head(head))
            }
            (Stage::Rows, ROWS) => {
                let rows = read_rows(payload).map_err(unreadable)?;
                self.count(&rows)?;
                Ok(Item::Rows(rows))
            }
            (Stage::Rows, END) => {
                let summary = read_end(payload).map_err(unreadable)?;
                let digest: [u8; 32] = self.hash.clone().finalize().into();
                if (summary.rows, summary.bytes, summary.digest) != (self.rows, self.bytes, digest) {
                    return Err(self.altered("its end doesn't belong to what stands before it"));
                }
                self.stage = Stage::Over(summary);
                Ok(Item::End(summary))
            }
            _ => Err(self.altered("a block is out of place")),
        }
    }

    fn count(&mut self, rows: &[(Bytes, Bytes)]) -> Result<(), Damage> {
        for (key, value) in rows {
            if self.last_key.as_ref().is_some_and(|last| last >= key) {
                return Err(self.altered("its rows are out of order"));
            }
            self.last_key = Some(Bytes::copy_from_slice(key));
            self.rows += 1;
            self.bytes += (key.len() + value.len()) as u64;
        }
        Ok(())
    }
}

fn read_head(payload: &[u8]) -> Result<BackupHead, Corrupt> {
    let mut reader = Reader::versioned("backup", PAYLOAD_VERSION, payload)?;
    let (server_id, program) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    Ok(BackupHead { server_id, program, created_s: reader.number()?, rows: reader.number()? })
}

fn read_rows(payload: &Bytes) -> Result<Vec<(Bytes, Bytes)>, Corrupt> {
    let mut reader = Reader::versioned("backup", PAYLOAD_VERSION, payload)?;
    let mut rows = Vec::new();
    while !reader.is_at_end() {
        let key = payload.slice_ref(reader.sized()?);
        rows.push((key, payload.slice_ref(reader.sized()?)));
    }
    Ok(rows)
}

fn read_end(payload: &[u8]) -> Result<BackupSummary, Corrupt> {
    let mut reader = Reader::versioned("backup", PAYLOAD_VERSION, payload)?;
    Ok(BackupSummary { rows: reader.number()?, bytes: reader.number()?, digest: reader.array()? })
}
