//! What can be wrong with a JSON text. Offsets count bytes from the start of the text the caller handed in.

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text breaks the JSON grammar, or ends too early (then `offset` is its length).
    #[error("invalid JSON at byte {offset}")]
    Syntax {
        /// Where the first byte that can't stand there is.
        offset: usize,
    },
    /// The text isn't UTF-8.
    #[error("invalid UTF-8 at byte {offset}")]
    Utf8 {
        /// How many bytes before the fault are good.
        offset: usize,
    },
    /// Arrays and objects are nested deeper than allowed.
    #[error("JSON nested deeper than {limit} levels at byte {offset}")]
    TooDeep {
        /// Where the container one too deep opens.
        offset: usize,
        /// The limit, [`Limits::depth_max`](crate::Limits::depth_max).
        limit: usize,
    },
    /// Valid JSON, but an object was wanted.
    #[error("a JSON object was expected at byte {offset}")]
    NotAnObject {
        /// Where the other value begins.
        offset: usize,
    },
    /// Valid JSON so far, but an array was wanted.
    #[error("a JSON array was expected at byte {offset}")]
    NotAnArray {
        /// Where the other value begins.
        offset: usize,
    },
    /// Something other than white space follows the value.
    #[error("unexpected data after the JSON value at byte {offset}")]
    TrailingData {
        /// Where it begins.
        offset: usize,
    },
}
