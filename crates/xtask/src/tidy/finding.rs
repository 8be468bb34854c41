//! A broken rule, at a place, with what to do about it.

use std::fmt;

/// Failures fail the chore; warnings are only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Failure,
    Warning,
}

/// One broken rule. Ordered by place, so that a file's findings stand together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    severity: Severity,
    advice: String,
}

impl Finding {
    /// A finding that fails the chore; `line` counts from 1, `advice` says what is wrong and what to do.
    pub(crate) fn failure(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, severity: Severity::Failure, advice: advice.into() }
    }

    /// A finding that is only shown.
    pub(crate) fn warning(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::failure(path, line, advice) }
    }

    /// Whether this fails the chore.
    pub(crate) fn is_failure(&self) -> bool {
        self.severity == Severity::Failure
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Failure => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}: {severity}: {}", self.path, self.line, self.advice)
    }
}

/// Asserts that `findings`, displayed, are `expected` line by line, each cut at the length of what is expected.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_findings(findings: &[Finding], expected: &[&str]) {
    let shown: Vec<String> = findings.iter().map(Finding::to_string).collect();
    let agree =
        shown.len() == expected.len() && shown.iter().zip(expected).all(|(line, start)| line.starts_with(start));
    assert!(agree, "found {shown:#?}\nexpected {expected:#?}");
}
