//! What functions log.

use std::cell::RefCell;

use crate::Limits;

/// A line that a function logged, or a warning about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How grave it is.
    pub level: LogLevel,
    /// What it says; may have line breaks.
    pub text: String,
}

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// `log` or `console.log`.
    Info,
    /// `console.warn`; or something the function said was ignored.
    Warning,
    /// `console.error`.
    Error,
}

impl LogLevel {
    /// The level in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// By the number that `sync.js` knows it as.
    pub(crate) fn numbered(number: u8) -> Self {
        match number {
            0 => Self::Info,
            1 => Self::Warning,
            _ => Self::Error,
        }
    }
}

/// The lines of one call, up to a limit.
pub(crate) struct Log {
    lines: RefCell<Vec<LogLine>>,
    limits: Limits,
}

impl Log {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { lines: RefCell::default(), limits }
    }

    /// Keeps a line, cut to its limit, unless there are too many.
    pub(crate) fn push(&self, level: LogLevel, mut text: String) {
        let mut lines = self.lines.borrow_mut();
        if lines.len() < self.limits.log_lines_max {
            text.truncate(text.floor_char_boundary(self.limits.log_line_bytes_max));
            lines.push(LogLine { level, text });
        }
    }

    pub(crate) fn take(&self) -> Vec<LogLine> {
        self.lines.take()
    }
}
