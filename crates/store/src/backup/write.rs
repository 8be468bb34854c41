//! Writing a backup, block by block, as fast as somebody takes it.

use super::{BackupHead, BackupSummary, END, HEAD, MAGIC, PAYLOAD_VERSION, ROWS, VERSION};
use crate::{
    Error, Store,
    codec::{put_length, put_number, put_text},
};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::{
    ops::{Bound, ControlFlow},
    time::Duration,
};
use tidegate_kv::{Direction, KeyRange, Snapshot};

/// Bytes of rows after which a block is full; a row is never divided.
const BLOCK_BYTES: usize = 256 << 10;

/// A backup under way: the storage as it was at one moment.
///
/// While it is held, the space of what is overwritten can't be reused: the data folder may grow by as much as is written
/// meanwhile.
pub struct Backup {
    snapshot: Snapshot,
    range: KeyRange,
    head: BackupHead,
    stage: Stage,
    hash: Sha256,
    rows: u64,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Rows,
    Over,
}

impl Store {
    /// Begins a backup of everything, as it is now. `since_1970` is the time.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn backup(&self, server_id: &str, program: &str, since_1970: Duration) -> Result<Backup, Error> {
        let snapshot = self.storage().snapshot()?;
        let rows = snapshot.row_count().await?;
        let (server_id, program) = (server_id.to_owned(), program.to_owned());
        let head = BackupHead { server_id, program, created_s: since_1970.as_secs(), rows };
        let (range, hash) = (KeyRange::all(), Sha256::new());
        Ok(Backup { snapshot, range, head, stage: Stage::Head, hash, rows: 0, bytes: 0 })
    }
}

impl Backup {
    /// The next piece of the file; `None` behind the last. Not cancel safe.
    ///
    /// # Errors
    /// The storage failed: what was given so far is no backup.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self.stage {
            Stage::Head => {
                self.stage = Stage::Rows;
                let start = [MAGIC, &VERSION.to_be_bytes()].concat();
                let piece = [start, block(HEAD, &head_payload(&self.head))?].concat();
                Ok(Some(self.hashed(piece)))
            }
            Stage::Rows => match self.next_rows().await? {
                Some(payload) => {
                    let piece = block(ROWS, &payload)?;
                    Ok(Some(self.hashed(piece)))
                }
                None => {
                    self.stage = Stage::Over;
                    Ok(Some(block(END, &end_payload(&self.summary()))?.into()))
                }
            },
            Stage::Over => Ok(None),
        }
    }

    fn hashed(&mut self, piece: Vec<u8>) -> Bytes {
        self.hash.update(&piece);
        piece.into()
    }

    async fn next_rows(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let (mut payload, mut last) = (vec![PAYLOAD_VERSION], Vec::new());
        let (mut rows, mut bytes) = (0, 0);
        let visit = |key: &[u8], value: &[u8]| {
            for part in [key, value] {
                put_length(&mut payload, part.len());
                payload.extend_from_slice(part);
                bytes += part.len() as u64;
            }
            rows += 1;
            last = key.to_vec();
            if payload.len() < BLOCK_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.snapshot.scan_with(self.range.clone(), Direction::Forward, usize::MAX, visit).await?;
        if rows == 0 {
            return Ok(None);
        }
        self.range.start = Bound::Excluded(last);
        self.rows += rows;
        self.bytes += bytes;
        Ok(Some(payload))
    }

    fn summary(&self) -> BackupSummary {
        BackupSummary { rows: self.rows, bytes: self.bytes, digest: self.hash.clone().finalize().into() }
    }
}

fn head_payload(head: &BackupHead) -> Vec<u8> {
    let mut out = vec![PAYLOAD_VERSION];
    put_text(&mut out, &head.server_id);
    put_text(&mut out, &head.program);
    put_number(&mut out, head.created_s);
    put_number(&mut out, head.rows);
    out
}

fn end_payload(summary: &BackupSummary) -> Vec<u8> {
    let mut out = vec![PAYLOAD_VERSION];
    put_number(&mut out, summary.rows);
    put_number(&mut out, summary.bytes);
    out.extend_from_slice(&summary.digest);
    out
}

fn block(kind: u8, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let too_large = |_| crate::Corrupt { record: "backup", what: "a row is too large" };
    let length = u32::try_from(payload.len()).map_err(too_large)?;
    let mut out = Vec::with_capacity(payload.len() + super::BLOCK_HEAD_BYTES + super::CHECKSUM_BYTES);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_be_bytes());
    Ok(out)
}
