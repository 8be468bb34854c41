//! What can go wrong with a call.

/// Why a call has no result. It concerns this call alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The source isn't a function. CouchDB calls it `compilation_error`.
    #[error("{message}")]
    Compile {
        /// What is wrong with it.
        message: String,
        /// Where, if it is known.
        place: Option<Place>,
    },
    /// The function threw something that isn't a verdict.
    #[error("{error}: {reason}")]
    Thrown {
        /// The name of the error, or CouchDB's word for a thing that has none.
        error: String,
        /// The message, or the thing as JSON.
        reason: String,
        /// Where, for sync functions, if it is known.
        place: Option<Place>,
    },
    /// The function took longer than [`Limits::time_max`](crate::Limits::time_max).
    #[error("the function took too long")]
    Timeout,
    /// The function needed more than [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max), in a fresh runtime.
    #[error("the function needed too much memory")]
    Memory,
    /// The function called itself too deeply, or a value was nested too deeply.
    #[error("the function needed too much stack")]
    Stack,
    /// A document or another argument isn't JSON in UTF-8.
    #[error("an argument of the function is not valid JSON")]
    Input,
    /// Too many calls are waiting; it may be tried again later.
    #[error("too many functions are waiting to be run")]
    Overloaded,
    /// The pool was stopped.
    #[error("functions are not run any more")]
    Stopped,
    /// The runtime failed in a way that isn't the function's fault.
    #[error("the JavaScript runtime failed: {0}")]
    Internal(String),
}

/// A place in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

impl Place {
    /// The offset in bytes of this place in `source`, or of the end of its line; `None` if there is no such line.
    pub fn offset(self, source: &str) -> Option<usize> {
        let index = |number: u32| usize::try_from(number).ok()?.checked_sub(1);
        let (line, column) = (index(self.line)?, index(self.column)?);
        let mut start = 0;
        for (number, text) in source.split_inclusive('\n').chain([""]).enumerate() {
            if number == line {
                let text = text.trim_end_matches(['\n', '\r']);
                return Some(start + text.char_indices().nth(column).map_or(text.len(), |(at, _)| at));
            }
            start += text.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_offsets() {
        let source = "ab\r\nécd\n";
        for (line, column, expected) in [
            (1, 1, Some(0)),
            (1, 9, Some(2)),
            (2, 2, Some(6)),
            (2, 9, Some(8)),
            (3, 1, Some(9)),
            (4, 1, None),
            (0, 0, None),
        ] {
            assert_eq!(Place { line, column }.offset(source), expected, "{line}:{column}");
        }
    }
}
