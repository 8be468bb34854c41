//! The chunked transfer coding, decoded as bytes arrive.
//!
//! A value without I/O: bytes go in by [`Decoder::decode`], payload comes out. Trailers are read and dropped.

use bytes::{Buf, BytesMut};

use crate::Error;

/// A chunk head longer than this isn't one.
const HEAD_BYTES_MAX: usize = 256;

/// Decodes one chunked body.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Payload(usize),
    PayloadEnd,
    Trailer,
    Done,
}

impl Decoder {
    /// Whether the last chunk and its trailer have been read.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes what it can from `input` and appends the payload to `output`; what stays in `input` waits for more bytes.
    ///
    /// # Errors
    /// [`Error::Protocol`] if a chunk head or its end is not one.
    pub fn decode(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), Error> {
        while self.step(input, output)? {}
        Ok(())
    }

    /// Whether a step could be made.
    fn step(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<bool, Error> {
        match self.state {
            State::Head => self.read_head(input),
            State::Payload(left) => {
                let taken = left.min(input.len());
                output.extend_from_slice(&input.split_to(taken));
                self.state = if taken == left { State::PayloadEnd } else { State::Payload(left - taken) };
                Ok(taken > 0)
            }
            State::PayloadEnd => {
                if input.len() < 2 {
                    return Ok(false);
                }
                if !input.starts_with(b"\r\n") {
                    return Err(Error::Protocol("a chunk runs over its length"));
                }
                input.advance(2);
                self.state = State::Head;
                Ok(true)
            }
            State::Trailer => Ok(self.read_trailer(input)),
            State::Done => Ok(false),
        }
    }

    fn read_head(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        let Some(end) = memchr::memmem::find(input, b"\r\n") else {
            return if input.len() > HEAD_BYTES_MAX { Err(Error::Protocol("endless chunk head")) } else { Ok(false) };
        };
        let head = input.split_to(end);
        input.advance(2);
        let length = chunk_length(&head).ok_or(Error::Protocol("bad chunk length"))?;
        self.state = if length == 0 { State::Trailer } else { State::Payload(length) };
        Ok(true)
    }

    fn read_trailer(&mut self, input: &mut BytesMut) -> bool {
        let Some(end) = memchr::memmem::find(input, b"\r\n") else { return false };
        input.advance(end + 2);
        if end == 0 {
            self.state = State::Done;
        }
        true
    }
}

fn chunk_length(head: &[u8]) -> Option<usize> {
    let digits = head.split(|byte| *byte == b';').next()?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5\r\nhello\r\n1;name=value\r\n \r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest";

    #[test]
    fn any_split_gives_the_same_payload() {
        for cut in 0..=BODY.len() {
            let (mut decoder, mut output) = (Decoder::default(), BytesMut::new());
            let mut input = BytesMut::from(&BODY[..cut]);
            decoder.decode(&mut input, &mut output).unwrap();
            input.extend_from_slice(&BODY[cut..]);
            decoder.decode(&mut input, &mut output).unwrap();
            assert_eq!((&output[..], &input[..]), (&b"hello 0123456789"[..], &b"rest"[..]), "cut at {cut}");
            assert!(decoder.is_done());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for body in [&b"zz\r\n"[..], b"2\r\nabc\r\n", b"\r\n", &[b'1'; 300]] {
            let mut input = BytesMut::from(body);
            let outcome = Decoder::default().decode(&mut input, &mut BytesMut::new());
            assert!(matches!(outcome, Err(Error::Protocol(_))), "{body:?}");
        }
    }
}
