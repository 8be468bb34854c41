//! What a command prints: text for people, or JSON for programs, on the standard output; progress on the standard error.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::{
    io::{self, Write},
    time::Duration,
};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// One JSON value a line.
    Json,
}

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) form: Form,
}

impl Output {
    /// A result: the value for programs, or the text for people.
    pub(crate) fn row(self, value: &Value, text: &str) -> Result<()> {
        match self.form {
            Form::Json => line(&value.to_string()),
            Form::Text => line(text),
        }
    }

    /// A JSON text: as it is for programs, indented for people.
    pub(crate) fn document(self, document: &Value) -> Result<()> {
        match self.form {
            Form::Json => line(&document.to_string()),
            Form::Text => line(&serde_json::to_string_pretty(document)?),
        }
    }

    /// Said to people only.
    pub(crate) fn remark(self, text: &str) -> Result<()> {
        match self.form {
            Form::Json => Ok(()),
            Form::Text => line(text),
        }
    }

    /// A bar that grows to `total`; it shows on a terminal, when people read.
    pub(crate) fn bar(self, what: &str, total: u64, unit: Unit) -> ProgressBar {
        let bar = self.drawn(ProgressBar::new(total));
        let template = match unit {
            Unit::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            Unit::Things => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.with_style(style).with_message(what.to_owned())
    }

    /// Shows that something goes on whose end isn't known.
    pub(crate) fn spinner(self, what: &str) -> ProgressBar {
        let spinner = self.drawn(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} {elapsed}");
        let spinner = spinner.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        spinner.enable_steady_tick(Duration::from_millis(200));
        spinner.with_message(what.to_owned())
    }

    fn drawn(self, bar: ProgressBar) -> ProgressBar {
        bar.set_draw_target(match self.form {
            Form::Json => ProgressDrawTarget::hidden(),
            Form::Text => ProgressDrawTarget::stderr(),
        });
        bar
    }
}

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Things,
}

/// Writes a line to the standard output at once, so that who reads it is never behind.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Columns as wide as their widest cell, but the last.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let padded = |(column, cell): (usize, &String)| {
        let width = width(column).unwrap_or_default();
        format!("{cell:width$}")
    };
    let joined = rows.iter().map(|row| row.iter().enumerate().map(padded).collect::<Vec<_>>().join("  "));
    joined.map(|row| row.trim_end().to_owned()).collect()
}

/// `1 document`, `2 documents`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Bytes as people read them.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = columns(&[row(["a", "bcd", "e"]), row(["abc", "é", ""])]);
        assert_eq!(rows, ["a    bcd  e", "abc  é"]);
    }

    #[test]
    fn things_are_counted() {
        assert_eq!([0, 1, 2].map(|number| count(number, "row")), ["0 rows", "1 row", "2 rows"]);
    }
}
