//! gzip over chunks, in bounded memory.
//!
//! The [encoder](Encoder) is deterministic (no time, no name in its header), so equal attachments have equal digests.
//! The [decoder](Decoder) hands out small pieces: a bomb can't grow beyond one before its reader has a say.

use std::io::{self, Write};

use bytes::{Buf, Bytes};
use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};

/// The level attachments are compressed with; CouchDB's default.
pub const LEVEL: u32 = 8;

/// Decoded bytes after which a piece is handed out, so that pieces aren't tiny either.
const PIECE_BYTES: usize = 32 * 1024;

/// The input is not gzip, is damaged, or ended early.
#[derive(Debug, thiserror::Error)]
#[error("the gzip data is damaged")]
pub struct GzipError(#[source] io::Error);

/// Compresses chunk by chunk at [`LEVEL`].
#[derive(Debug)]
pub struct Encoder {
    inner: GzEncoder<Vec<u8>>,
}

/// Decompresses chunk by chunk; several gzip members in a row are one text.
#[derive(Debug)]
pub struct Decoder {
    inner: MultiGzDecoder<Vec<u8>>,
    fed: bool,
}

/// Compresses a whole text, fast rather than small.
///
/// # Errors
/// None in practice: the output is memory.
pub fn pack(text: &[u8]) -> Result<Bytes, GzipError> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text).map_err(GzipError)?;
    encoder.finish().map(Bytes::from).map_err(GzipError)
}

impl Default for Encoder {
    fn default() -> Self {
        Self { inner: GzEncoder::new(Vec::new(), Compression::new(LEVEL)) }
    }
}

impl Encoder {
    /// Takes a chunk; returns what is ready, often nothing.
    ///
    /// # Errors
    /// None in practice: the output is memory.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Bytes, GzipError> {
        self.inner.write_all(chunk).map_err(GzipError)?;
        Ok(Bytes::from(std::mem::take(self.inner.get_mut())))
    }

    /// Takes a chunk; returns all that is needed to read it.
    ///
    /// # Errors
    /// None in practice: the output is memory.
    pub fn push_now(&mut self, chunk: &[u8]) -> Result<Bytes, GzipError> {
        self.inner.write_all(chunk).and_then(|()| self.inner.flush()).map_err(GzipError)?;
        Ok(Bytes::from(std::mem::take(self.inner.get_mut())))
    }

    /// Returns the rest.
    ///
    /// # Errors
    /// None in practice: the output is memory.
    pub fn finish(self) -> Result<Bytes, GzipError> {
        self.inner.finish().map(Bytes::from).map_err(GzipError)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self { inner: MultiGzDecoder::new(Vec::new()), fed: false }
    }
}

impl Decoder {
    /// Decodes the next piece of `input` (under 128 KiB), taking off what was used. `None` once all of `input` is used
    /// up: feed the next chunk, or [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`GzipError`].
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, GzipError> {
        while !input.is_empty() {
            // One `write` decodes no more than the 32 KiB of flate2's own buffer.
            let used = self.inner.write(input).map_err(GzipError)?;
            if used == 0 {
                return Err(GzipError(io::ErrorKind::InvalidData.into()));
            }
            self.fed = true;
            input.advance(used);
            if self.inner.get_ref().len() >= PIECE_BYTES {
                break;
            }
        }
        let piece = std::mem::take(self.inner.get_mut());
        Ok((!piece.is_empty()).then(|| Bytes::from(piece)))
    }

    /// Checks that the text is complete and returns its rest. No input at all is the empty text.
    ///
    /// # Errors
    /// [`GzipError`] when the input ended early or its checksum is wrong.
    pub fn finish(self) -> Result<Bytes, GzipError> {
        if !self.fed {
            return Ok(Bytes::new());
        }
        self.inner.finish().map(Bytes::from).map_err(GzipError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(chunks: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        let mut encoded: Vec<u8> = chunks.iter().flat_map(|chunk| encoder.push(chunk).unwrap()).collect();
        encoded.extend(encoder.finish().unwrap());
        encoded
    }

    fn decode(encoded: &[u8], chunk_bytes: usize) -> Result<Vec<u8>, GzipError> {
        let mut decoder = Decoder::default();
        let mut decoded = Vec::new();
        for chunk in encoded.chunks(chunk_bytes) {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some(piece) = decoder.next(&mut chunk)? {
                decoded.extend_from_slice(&piece);
            }
        }
        decoded.extend(decoder.finish()?);
        Ok(decoded)
    }

    #[test]
    fn a_bomb_comes_in_bounded_pieces() {
        let bomb = encode(&[&vec![0; 64 << 20]]);
        let mut decoder = Decoder::default();
        let mut input = Bytes::from(bomb);
        let piece = decoder.next(&mut input).unwrap().unwrap();
        assert!(piece.len() < 128 << 10, "{}", piece.len());
        assert!(!input.is_empty());
    }

    #[test]
    fn damage_is_noticed() {
        let good = encode(&[b"hello world"]);
        assert_eq!(decode(&good, 3).unwrap(), b"hello world");
        assert_eq!(decode(&[], 3).unwrap(), b"");
        for end in 1..good.len() {
            assert!(decode(&good[..end], 7).is_err(), "cut at {end}");
        }
        let mut bad_checksum = good.clone();
        let at = bad_checksum.len() - 6;
        bad_checksum[at] ^= 1;
        assert!(decode(&bad_checksum, 100).is_err());
        assert!(decode(b"not gzip at all", 100).is_err());
        assert_eq!(decode(&[good.clone(), good].concat(), 5).unwrap(), b"hello worldhello world");
    }

    proptest! {
        #[test]
        fn decode_reverses_encode(chunks: Vec<Vec<u8>>, chunk_bytes in 1_usize..50) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let encoded = encode(&slices);
            prop_assert_eq!(decode(&encoded, chunk_bytes).unwrap(), chunks.concat());
            prop_assert_eq!(encode(&[&chunks.concat()]), encoded, "the chunks don't show in the result");
        }
    }
}
