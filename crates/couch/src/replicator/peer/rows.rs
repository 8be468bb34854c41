//! The rows of a `_changes` response, one by one as they arrive, however the bytes were cut and laid out.

use std::collections::VecDeque;

/// The longest row, in bytes: a document with very many conflicts.
const ROW_BYTES_MAX: usize = 16 << 20;
/// What may stand before the first row, and behind the last.
const FRAME_BYTES_MAX: usize = 64 << 10;

/// How rows are laid out in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"results":[…],"last_seq":…}`.
    Whole,
    /// One after the other, for as long as the response goes on.
    Lines,
}

/// The response is no feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer to _changes is no feed")]
pub(super) struct NoFeed;

/// Cuts a response into rows, without reading them.
#[derive(Debug)]
pub(super) struct Splitter {
    shape: Shape,
    place: Place,
    /// How many objects and arrays are open in what is being read.
    depth: u32,
    text: Text,
    held: Vec<u8>,
    rows: VecDeque<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the array of rows.
    Head,
    Rows,
    /// Behind it.
    Tail,
}

/// Whether we are inside a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Splitter {
    pub(super) fn new(shape: Shape) -> Self {
        let place = match shape {
            Shape::Whole => Place::Head,
            Shape::Lines => Place::Rows,
        };
        Self { shape, place, depth: 0, text: Text::Outside, held: Vec::new(), rows: VecDeque::new() }
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    /// [`NoFeed`]: it can't be one.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), NoFeed> {
        for byte in bytes {
            match self.place {
                Place::Head => self.head(*byte)?,
                Place::Rows => self.row(*byte)?,
                Place::Tail => self.hold(*byte, FRAME_BYTES_MAX)?,
            }
        }
        Ok(())
    }

    /// The next row that is there as a whole.
    pub(super) fn next_row(&mut self) -> Option<Vec<u8>> {
        self.rows.pop_front()
    }

    /// The response is over: what stood behind the rows, as an object.
    ///
    /// # Errors
    /// [`NoFeed`]: it ended too early.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, NoFeed> {
        let tail = self.held.trim_ascii();
        match self.shape {
            Shape::Lines if tail.is_empty() => Ok(b"{}".to_vec()),
            Shape::Whole if self.place == Place::Tail && tail.ends_with(b"}") => {
                let tail = tail.strip_prefix(b",").unwrap_or(tail);
                let object = [b"{", tail].concat();
                self.held.clear();
                Ok(object)
            }
            Shape::Lines | Shape::Whole => Err(NoFeed),
        }
    }

    fn hold(&mut self, byte: u8, bytes_max: usize) -> Result<(), NoFeed> {
        if self.held.len() >= bytes_max {
            return Err(NoFeed);
        }
        self.held.push(byte);
        Ok(())
    }

    fn head(&mut self, byte: u8) -> Result<(), NoFeed> {
        self.hold(byte, FRAME_BYTES_MAX)?;
        self.follow(byte);
        let is_outside = self.text == Text::Outside;
        if is_outside && byte == b'[' && self.depth == 2 {
            self.held.clear();
            self.depth = 0;
            self.place = Place::Rows;
        }
        let began_otherwise = is_outside && self.depth == 0 && !byte.is_ascii_whitespace() && byte != b'[';
        if self.place == Place::Head && began_otherwise { Err(NoFeed) } else { Ok(()) }
    }

    fn row(&mut self, byte: u8) -> Result<(), NoFeed> {
        if self.depth == 0 {
            match byte {
                b'{' => {}
                b']' if self.shape == Shape::Whole => {
                    self.place = Place::Tail;
                    return Ok(());
                }
                b',' => return Ok(()),
                _ if byte.is_ascii_whitespace() => return Ok(()),
                _ => return Err(NoFeed),
            }
        }
        self.hold(byte, ROW_BYTES_MAX)?;
        self.follow(byte);
        if self.depth == 0 {
            self.rows.push_back(std::mem::take(&mut self.held));
        }
        Ok(())
    }

    /// Keeps count of what is open.
    fn follow(&mut self, byte: u8) {
        self.text = match (self.text, byte) {
            (Text::Outside, b'"') => Text::Inside,
            (Text::Inside, b'"') => Text::Outside,
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Escaped, _) => Text::Inside,
            (text, _) => text,
        };
        if self.text == Text::Outside {
            match byte {
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows and what follows them, with the text cut into pieces of `size`.
    fn split(shape: Shape, text: &str, size: usize) -> Result<(Vec<String>, String), NoFeed> {
        let mut splitter = Splitter::new(shape);
        let mut rows = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            splitter.feed(piece)?;
            rows.extend(std::iter::from_fn(|| splitter.next_row()).map(|row| String::from_utf8(row).unwrap()));
        }
        Ok((rows, String::from_utf8(splitter.finish()?).unwrap()))
    }

    #[track_caller]
    fn check(shape: Shape, text: &str, rows: &[&str], tail: &str) {
        for size in [1, 2, 3, 7, 1000] {
            let (found, rest) = split(shape, text, size).unwrap();
            assert_eq!(found, rows, "{size}");
            assert_eq!(rest, tail, "{size}");
        }
    }

    #[test]
    fn rows_come_whole_however_they_are_cut() {
        let one = r#"{"seq":"1-x","id":"a]}\"","changes":[{"rev":"1-a"}]}"#;
        let two = r#"{"seq":2,"id":"{[","changes":[]}"#;
        let whole = format!("{{\"results\":[\n{one},\n{two}\n],\n\"last_seq\":\"2-x\",\"pending\":0}}\n");
        check(Shape::Whole, &whole, &[one, two], "{\n\"last_seq\":\"2-x\",\"pending\":0}");
        check(Shape::Whole, "{\"results\":[]}", &[], "{}");
        let odd = format!(" {{ \"results\" : [{one},{two}] , \"last_seq\":2}}");
        check(Shape::Whole, &odd, &[one, two], "{ \"last_seq\":2}");
        check(Shape::Lines, &format!("\n\n{one}\n\n{two}\n"), &[one, two], "{}");
    }

    #[test]
    fn what_is_cut_short_or_no_feed_is_told() {
        for text in
            ["{\"results\":[", "{\"results\":[{\"seq\":1", "{\"results\":[{}],\"last_seq\"", "[{}]", "<html>", ""]
        {
            assert_eq!(split(Shape::Whole, text, 5), Err(NoFeed), "{text}");
        }
        for text in ["{\"seq\":1", "<html>"] {
            assert_eq!(split(Shape::Lines, text, 5), Err(NoFeed), "{text}");
        }
    }
}
