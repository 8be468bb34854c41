//! What can go wrong while measuring or torturing.
//!
//! A server that answers wrongly under torture isn't an error of this kind: see [`crate::torture::Report`].

use std::{io, time::Duration};

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something; `what` was being tried.
    #[error("{what}")]
    Io {
        /// What was being tried, in words.
        what: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The server ended the connection before the answer was whole.
    #[error("the server closed the connection")]
    Closed,
    /// The server's bytes aren't HTTP/1.1.
    #[error("not HTTP/1.1: {0}")]
    Protocol(&'static str),
    /// The server answered, and not with the status the run needs.
    #[error("{request} was answered {status}: {body}")]
    Status {
        /// Method and path.
        request: String,
        /// The status received.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// The answer isn't JSON.
    #[error("no JSON in the answer to {request}")]
    Json {
        /// Method and path.
        request: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The answer is JSON without a member the run needs.
    #[error("no {member} in the answer to {request}")]
    Member {
        /// Method and path.
        request: String,
        /// The member missed.
        member: &'static str,
    },
    /// A wait reached its end.
    #[error("{what} took longer than {limit:?}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The binary ended or printed something else than expected.
    #[error("the server did not start: {0}")]
    Start(String),
    /// This server can't take part in this scenario.
    #[error("not measurable on this server: {0}")]
    Unsupported(&'static str),
    /// A task of the load generator died.
    #[error("a task of the load generator died")]
    Task(#[from] tokio::task::JoinError),
    /// An option's text can't be read.
    #[error("{0}")]
    Argument(String),
}

impl Error {
    /// Whether the server went away (as it does when it is killed), as against answering wrongly.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Closed => true,
            Self::Protocol(_)
            | Self::Status { .. }
            | Self::Json { .. }
            | Self::Member { .. }
            | Self::Deadline { .. }
            | Self::Start(_)
            | Self::Unsupported(_)
            | Self::Task(_)
            | Self::Argument(_) => false,
        }
    }

    /// Wraps an I/O error with what was being tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
