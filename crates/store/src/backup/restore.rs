//! From a backup to a storage.

use super::{BackupSummary, Damage, Decoder, Item};
use crate::{Corrupt, keys, record::Meta};
use bytes::Bytes;
use std::{io, path::Path};
use tidegate_kv::Kv;

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// Rows are written in steps of so many bytes.
const STEP_BYTES: usize = 8 << 20;

/// Why there is no restored storage.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup isn't whole.
    #[error("the backup can't be used")]
    Damage(#[from] Damage),
    /// The backup can't be read.
    #[error("the backup can't be read")]
    Read(#[from] io::Error),
    /// What it holds isn't what this program writes.
    #[error("the backup holds a database that can't be read")]
    Corrupt(#[from] Corrupt),
    /// The storage can't be made.
    #[error("the storage can't be made")]
    Storage(#[from] tidegate_kv::Error),
}

/// Makes a storage at `dest`, which must not exist or be an empty folder, of the backup that `source` gives.
///
/// The folder appears when the whole backup has been read and found sound, or not at all. Databases get new ids: what
/// clients remember of the old ones is not taken for a place in these. Blocks. `progress` is told of rows.
///
/// # Errors
/// [`RestoreError`]; nothing is at `dest` then.
pub fn restore(
    dest: &Path,
    mut source: impl io::Read,
    mut progress: impl FnMut(u64),
) -> Result<BackupSummary, RestoreError> {
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; READ_BYTES]);
    let (mut summary, mut is_read) = (None, false);
    let (mut step, mut bytes) = (Vec::new(), 0);
    Kv::build(dest, || {
        while !is_read {
            match decoder.take()? {
                Some(Item::Rows(rows)) => {
                    progress(rows.len() as u64);
                    for row in rows {
                        bytes += row.0.len() + row.1.len();
                        step.push(renewed(row)?);
                    }
                    if bytes >= STEP_BYTES {
                        bytes = 0;
                        return Ok(Some(std::mem::take(&mut step)));
                    }
                }
                Some(Item::End(end)) => summary = Some(end),
                Some(Item::Head(_)) => {}
                None => {
                    let count = source.read(&mut buffer)?;
                    decoder.feed(buffer.get(..count).unwrap_or_default());
                    is_read = count == 0;
                }
            }
        }
        if !step.is_empty() {
            return Ok(Some(std::mem::take(&mut step)));
        }
        std::mem::take(&mut decoder).finish()?;
        Ok::<_, RestoreError>(None)
    })?;
    summary.ok_or(RestoreError::Damage(Damage::CutShort(0)))
}

/// The row as it is restored: a database gets a new id.
fn renewed((key, value): (Bytes, Bytes)) -> Result<(Bytes, Bytes), Corrupt> {
    if !keys::is_meta(&key) {
        return Ok((key, value));
    }
    let meta = Meta { uuid: rand::random(), ..Meta::decode(&value)? };
    Ok((key, meta.encode().into()))
}
