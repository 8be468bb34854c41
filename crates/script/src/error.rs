//! What can go wrong with a call.

/// Why a call has no result. It concerns this call alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The source isn't a function. CouchDB calls it `compilation_error`.
    #[error("{message}")]
    Compile {
        /// What is wrong with it.
        message: String,
        /// Where, counted from 1, if it is known.
        line: Option<u32>,
    },
    /// The function threw something that isn't a verdict.
    #[error("{error}: {reason}")]
    Thrown {
        /// The name of the error, or CouchDB's word for a thing that has none.
        error: String,
        /// The message, or the thing as JSON.
        reason: String,
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
