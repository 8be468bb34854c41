//! The backup decoder on any bytes: it must not panic, nor take what is no backup for one, and how the bytes were cut must
//! not show.
//!
//! The first byte says how long the pieces are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_store::{BackupSummary, Damage, Decoder, Item};

fuzz_target!(|input: &[u8]| {
    let Some((piece_bytes, file)) = input.split_first() else { return };
    let piece_bytes = usize::from(*piece_bytes).max(1);
    assert_eq!(decode(file, usize::MAX), decode(file, piece_bytes));
});

/// The items, as far as they were sound, and how it ended.
fn decode(file: &[u8], piece_bytes: usize) -> (Vec<Item>, Result<BackupSummary, Damage>) {
    let (mut decoder, mut items) = (Decoder::default(), Vec::new());
    for piece in file.chunks(piece_bytes) {
        decoder.feed(piece);
        loop {
            match decoder.take() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(damage) => return (items, Err(damage)),
            }
        }
    }
    (items, decoder.finish())
}
