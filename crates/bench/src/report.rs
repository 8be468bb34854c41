//! The table: for a terminal, for `docs/benchmarks.md`, as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    machine::Machine,
    measurement::{Budget, Figure, Measurement},
};

const HEADINGS: [&str; 10] =
    ["operation", "server", "rate /s", "p50 ms", "p99 ms", "CPU µs", "KB each", "docs/fsync", "RSS MB", "budget"];

/// All rows of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was run.
    pub machine: Machine,
    /// In the order of running.
    pub measurements: Vec<Measurement>,
}

impl Report {
    /// A table in columns.
    pub fn terminal(&self) -> String {
        let rows: Vec<Vec<String>> = std::iter::once(HEADINGS.map(str::to_owned).to_vec())
            .chain(self.measurements.iter().map(|measurement| cells(measurement).to_vec()))
            .collect();
        let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max();
        let widths: Vec<usize> = (0..HEADINGS.len()).filter_map(width).collect();
        let mut table = format!("{}\n", self.machine.paragraph());
        for (row, note) in rows.iter().zip(std::iter::once("").chain(self.measurements.iter().map(|row| &*row.note))) {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(width - cell.chars().count());
                // Words stand left, numbers right.
                let padded = if column < 2 || column == 9 { [cell, &*pad] } else { [&*pad, cell] };
                table.extend(padded.into_iter().chain(["  "]));
            }
            table.push_str(note);
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
        table
    }

    /// A section of Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("Measured on: {}\n\n", self.machine.paragraph());
        text.push_str("CPU is the server's user and system time per operation, work put off included; ");
        text.push_str("the load generator runs on the same cores, so rates are lower bounds.\n\n");
        push_row(&mut text, &HEADINGS.map(str::to_owned), "note");
        push_row(&mut text, &HEADINGS.map(|heading| alignment(heading).to_owned()), "---");
        for measurement in &self.measurements {
            push_row(&mut text, &cells(measurement), &measurement.note);
        }
        text
    }

    /// Rows over their budget.
    pub fn over_budget(&self) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(|row| row.budgets.iter().any(|budget| is_met(row, budget) == Some(false)))
    }
}

fn alignment(heading: &str) -> &'static str {
    match heading {
        "operation" | "server" | "budget" => "---",
        _ => "---:",
    }
}

fn push_row(text: &mut String, cells: &[String], note: &str) {
    text.push('|');
    for cell in cells.iter().map(String::as_str).chain([note]) {
        text.extend([" ", cell, " |"]);
    }
    text.push('\n');
}

fn cells(row: &Measurement) -> [String; 10] {
    [
        row.operation.clone(),
        row.server.clone(),
        row.rate.map(|rate| format!("{rate:.0}")).unwrap_or_default(),
        number(row.p50_millis),
        number(row.p99_millis),
        number(row.cpu_micros),
        number(row.kilobytes_each),
        number(row.documents_per_fsync),
        number(row.rss_megabytes),
        row.budgets.iter().map(|budget| verdict(row, budget)).collect::<Vec<_>>().join(", "),
    ]
}

/// Three digits that matter.
fn number(figure: Option<f64>) -> String {
    match figure {
        None => String::new(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

fn verdict(row: &Measurement, budget: &Budget) -> String {
    let unit = match budget.figure {
        Figure::CpuMicros => "µs",
        Figure::KilobytesEach => "KB",
        Figure::P50Millis => "ms p50",
        Figure::P99Millis => "ms p99",
        Figure::RssMegabytes => "MB RSS",
    };
    let verdict = match is_met(row, budget) {
        None => "not measured",
        Some(false) => "over",
        Some(true) if budget.goal.is_some_and(|goal| row.figure(budget.figure) <= Some(goal)) => "goal met",
        Some(true) => "met",
    };
    let mut text = format!("{} {unit}", budget.limit);
    if let Some(goal) = budget.goal {
        let written = write!(text, " (goal {goal})");
        debug_assert!(written.is_ok(), "writing to memory doesn't fail");
    }
    format!("{text}: {verdict}")
}

fn is_met(row: &Measurement, budget: &Budget) -> Option<bool> {
    row.figure(budget.figure).map(|figure| figure <= budget.limit)
}
