//! The multipart scanner on any bytes: it must not panic or loop, and how the bytes were cut must not show.
//!
//! The first byte says how long the chunks are; the rest is the body, with the boundary `XX`.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate_http::multipart::{Boundary, Event, MultipartError, PartHead, Scanner};

fuzz_target!(|input: &[u8]| {
    let Some((chunk_bytes, body)) = input.split_first() else { return };
    let chunk_bytes = usize::from(*chunk_bytes).max(1);
    assert_eq!(scan(body, usize::MAX), scan(body, chunk_bytes));
});

/// The parts, as far as they were read, and the error that ended them, if one did.
fn scan(body: &[u8], chunk_bytes: usize) -> (Vec<(PartHead, Vec<u8>)>, Option<String>) {
    let mut parts: Vec<(PartHead, Vec<u8>)> = Vec::new();
    let error = run(body, chunk_bytes, &mut parts).err();
    // What was seen of a part before its error may depend on the cuts; that it failed may not.
    if error.is_some() {
        parts.pop();
    }
    (parts, error.map(|error| format!("{error:?}")))
}

fn run(body: &[u8], chunk_bytes: usize, parts: &mut Vec<(PartHead, Vec<u8>)>) -> Result<(), MultipartError> {
    let mut scanner = Scanner::new(&Boundary::new("XX")?);
    let mut chunks = body.chunks(chunk_bytes);
    loop {
        match scanner.next_event()? {
            Event::NeedInput => match chunks.next() {
                Some(chunk) => scanner.feed(Bytes::copy_from_slice(chunk)),
                None => scanner.close(),
            },
            Event::Part(head) => parts.push((head, Vec::new())),
            Event::Data(data) => {
                assert!(!data.is_empty());
                parts.last_mut().expect("data belongs to a part").1.extend_from_slice(&data);
            }
            Event::PartEnd => {}
            Event::End => return Ok(()),
        }
    }
}
