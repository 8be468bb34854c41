//! Why a request failed, sorted by what can be done about it.

use std::time::Duration;

/// A request that had no useful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What can be done about it.
    pub kind: FailureKind,
    /// What the peer or the connection said, for people. Without credentials: it is shown.
    pub reason: String,
    /// How long the peer asks to be left alone. Not believed beyond what a request waits at the most.
    pub retry_after: Option<Duration>,
}

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// May go away by itself: no connection, cut, too late, 408, 429, 5xx.
    Transient,
    /// The peer does not know the caller: 401.
    Unauthorized,
    /// The peer knows the caller and refuses: 403.
    Forbidden,
    /// There is no such database or document: 404.
    NotFound,
    /// A checkpoint was written by someone else: 409.
    Conflict,
    /// Too much in one request: 413.
    TooLarge,
    /// Anything else the peer does not want or know: it will not want it next time.
    Refused,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), retry_after: None }
    }

    /// The same, with how long the peer asks to be left alone.
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// The failure that an HTTP status other than 2xx means.
    pub fn from_status(status: u16, reason: impl Into<String>) -> Self {
        let kind = match status {
            401 => FailureKind::Unauthorized,
            403 => FailureKind::Forbidden,
            404 => FailureKind::NotFound,
            409 => FailureKind::Conflict,
            413 => FailureKind::TooLarge,
            501 | 505 => FailureKind::Refused,
            408 | 425 | 429 | 500.. => FailureKind::Transient,
            _ => FailureKind::Refused,
        };
        Self::new(kind, reason)
    }
}

impl FailureKind {
    /// Whether the database itself is out of reach until somebody changes something.
    pub(crate) fn is_permanent(self) -> bool {
        match self {
            Self::Unauthorized | Self::Forbidden | Self::NotFound => true,
            Self::Transient | Self::Conflict | Self::TooLarge | Self::Refused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_can_be_done() {
        let check = |status, kind| assert_eq!(Failure::from_status(status, "").kind, kind, "{status}");
        check(400, FailureKind::Refused);
        check(401, FailureKind::Unauthorized);
        check(403, FailureKind::Forbidden);
        check(404, FailureKind::NotFound);
        check(405, FailureKind::Refused);
        check(408, FailureKind::Transient);
        check(409, FailureKind::Conflict);
        check(413, FailureKind::TooLarge);
        check(429, FailureKind::Transient);
        check(500, FailureKind::Transient);
        check(501, FailureKind::Refused);
        check(503, FailureKind::Transient);
    }
}
