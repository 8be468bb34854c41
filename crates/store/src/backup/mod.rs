//! A whole storage as one file: written while the server runs, checked before any of it is used.
//!
//! ```text
//! file  = "tidegate-backup\n" · version (u32) · block…
//! block = kind (u8) · length of the payload (u32) · payload · CRC-32C of all these (u32)
//! ```
//!
//! The first block is a head, then come rows in the order of their keys, then one end, and nothing behind it. The end
//! says how many rows and bytes there are, and the SHA-256 of the file before it: a file that is cut, altered or has lost
//! a block is told from a whole one. Numbers before a payload are big-endian; payloads are coded as records are.
//!
//! Rows are those of the storage: databases with their histories, attachments, local documents and settings, users, the
//! server's settings. [`restore()`] makes a storage of them in which every database has a new id, so that sequences and
//! checkpoints made after the backup aren't taken for places in it.

mod decode;
mod restore;
mod write;

pub use decode::{Damage, Decoder, Item};
pub use restore::{RestoreError, restore};
pub use write::Backup;

const MAGIC: &[u8] = b"tidegate-backup\n";
const VERSION: u32 = 1;
/// The version of each payload.
const PAYLOAD_VERSION: u8 = 1;
const HEAD: u8 = b'H';
const ROWS: u8 = b'R';
const END: u8 = b'E';
/// Kind and length.
const BLOCK_HEAD_BYTES: usize = 5;
const CHECKSUM_BYTES: usize = 4;

/// What stands at the beginning of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupHead {
    /// The server's id: 32 hexadecimal digits, or nothing if it had none.
    pub server_id: String,
    /// The version of the program that wrote it.
    pub program: String,
    /// When, in seconds since 1970.
    pub created_s: u64,
    /// How many rows will come.
    pub rows: u64,
}

/// What a backup holds, as its end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// Rows.
    pub rows: u64,
    /// Keys and values, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file up to its end block.
    pub digest: [u8; 32],
}
