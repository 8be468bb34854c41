//! Files stay short: 500 lines warn, 800 fail unless `tidy.toml` exempts the file.
//!
//! An exemption has a reason and a ceiling, which is the file's present length: it can be lowered, never raised. So a
//! long file may only shrink, and its exemption goes with its last line too many.

use std::{fs, process::Command};

use anyhow::Context as _;
use serde::Deserialize;

use super::{
    finding::Finding,
    tree::{File, Tree},
};

const LINES_WARN: usize = 500;
const LINES_MAX: usize = 800;
const ARCHITECTURE_LINES_MAX: usize = 300;
const SETTINGS: &str = "tidy.toml";
const SOURCES: &[&str] = &["rs", "mjs", "js", "ts", "py", "c", "sh"];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    long_file: Vec<LongFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LongFile {
    path: String,
    lines: usize,
    reason: String,
}

/// The files that may be long, as they are exempted now and were in the last commits.
#[derive(Debug, Default)]
pub(crate) struct Exemptions {
    now: Vec<LongFile>,
    before: Vec<LongFile>,
}

impl Exemptions {
    /// Reads `tidy.toml` as it is here, and as the last two commits have it.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let text = fs::read_to_string(SETTINGS).with_context(|| format!("{SETTINGS} can't be read"))?;
        let now = parse(&text).with_context(|| format!("{SETTINGS} is wrong"))?;
        let before = ["HEAD", "HEAD^"].into_iter().filter_map(committed).flatten().collect();
        Ok(Self { now, before })
    }

    /// The lowest ceiling that `path` had.
    fn lines_before(&self, path: &str) -> Option<usize> {
        self.before.iter().filter(|entry| entry.path == path).map(|entry| entry.lines).min()
    }
}

/// The exemptions of a commit; `None` where there is no such commit, or no readable settings in it.
fn committed(commit: &str) -> Option<Vec<LongFile>> {
    let output = Command::new("git").args(["show", &format!("{commit}:{SETTINGS}")]).output().ok()?;
    output.status.success().then(|| parse(&String::from_utf8(output.stdout).ok()?).ok())?
}

fn parse(text: &str) -> anyhow::Result<Vec<LongFile>> {
    Ok(toml::from_str::<Settings>(text)?.long_file)
}

/// Every source file, the exemptions, and the length of `ARCHITECTURE.md`.
pub(crate) fn check(tree: &Tree, exemptions: &Exemptions) -> Vec<Finding> {
    let sources = tree.files().iter().filter(|file| is_source(&file.path));
    let long = sources.filter(|file| exemptions.now.iter().all(|entry| entry.path != file.path)).filter_map(long);
    let exempted = exemptions.now.iter().flat_map(|entry| check_exemption(tree, exemptions, entry));
    long.chain(exempted).chain(architecture(tree)).collect()
}

fn is_source(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| SOURCES.contains(&extension))
}

fn long(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let advice =
        |limit| format!("{lines} lines, the limit is {limit}: give a part with an idea of its own a file of its own");
    if lines > LINES_MAX {
        return Some(Finding::failure(&file.path, LINES_MAX + 1, advice(LINES_MAX)));
    }
    (lines > LINES_WARN).then(|| Finding::warning(&file.path, LINES_WARN + 1, advice(LINES_WARN)))
}

fn check_exemption(tree: &Tree, exemptions: &Exemptions, entry: &LongFile) -> Vec<Finding> {
    let LongFile { path, lines: ceiling, reason } = entry;
    let lines = tree.get(path).map_or(0, |file| file.text.lines().count());
    let mut findings = Vec::new();
    let mut fail = |path: &str, advice: String| findings.push(Finding::failure(path, 1, advice));
    if lines <= LINES_MAX {
        fail(SETTINGS, format!("`{path}` has {lines} lines and needs no exemption: delete it"));
    } else if lines > *ceiling {
        fail(path, format!("{lines} lines, its ceiling in {SETTINGS} is {ceiling}: a long file may only shrink"));
    } else if lines < *ceiling {
        fail(SETTINGS, format!("`{path}` shrank: lower its ceiling from {ceiling} to {lines}"));
    }
    if exemptions.lines_before(path).is_some_and(|before| before < *ceiling) {
        fail(SETTINGS, format!("the ceiling of `{path}` was raised: shorten the file instead"));
    }
    if reason.trim().is_empty() {
        fail(SETTINGS, format!("say why `{path}` has to be long"));
    }
    findings
}

fn architecture(tree: &Tree) -> Option<Finding> {
    let file = tree.get("ARCHITECTURE.md")?;
    let lines = file.text.lines().count();
    let advice =
        format!("{lines} lines, the limit is {ARCHITECTURE_LINES_MAX}: move detail to rustdoc or a decision record");
    (lines > ARCHITECTURE_LINES_MAX).then(|| Finding::failure(&file.path, ARCHITECTURE_LINES_MAX + 1, advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    const PATH: &str = "crates/kv/src/log.rs";

    fn entry(lines: usize) -> LongFile {
        LongFile { path: PATH.to_owned(), lines, reason: "a generated table".to_owned() }
    }

    #[track_caller]
    fn check_lines(lines: usize, exemptions: &Exemptions, expected: &[&str]) {
        let text = "\n".repeat(lines);
        assert_findings(&check(&Tree::of([(PATH, &text)]), exemptions), expected);
    }

    #[test]
    fn a_long_file_warns_then_fails() {
        let none = Exemptions::default();
        check_lines(500, &none, &[]);
        check_lines(501, &none, &["crates/kv/src/log.rs:501: warning: 501 lines"]);
        check_lines(800, &none, &["crates/kv/src/log.rs:501: warning: 800 lines"]);
        check_lines(801, &none, &["crates/kv/src/log.rs:801: error: 801 lines"]);
    }

    #[test]
    fn an_exempted_file_may_only_shrink() {
        let exempted = Exemptions { now: vec![entry(900)], before: vec![] };
        check_lines(900, &exempted, &[]);
        check_lines(901, &exempted, &["crates/kv/src/log.rs:1: error: 901 lines, its ceiling in tidy.toml is 900"]);
        check_lines(
            899,
            &exempted,
            &["tidy.toml:1: error: `crates/kv/src/log.rs` shrank: lower its ceiling from 900 to 899"],
        );
        check_lines(
            800,
            &exempted,
            &["tidy.toml:1: error: `crates/kv/src/log.rs` has 800 lines and needs no exemption"],
        );
    }

    #[test]
    fn a_ceiling_is_never_raised() {
        let raised = Exemptions { now: vec![entry(900)], before: vec![entry(950), entry(899)] };
        check_lines(900, &raised, &["tidy.toml:1: error: the ceiling of `crates/kv/src/log.rs` was raised"]);
        let lowered = Exemptions { now: vec![entry(900)], before: vec![entry(901)] };
        check_lines(900, &lowered, &[]);
    }

    #[test]
    fn an_exemption_has_a_reason() {
        let silent = Exemptions { now: vec![LongFile { reason: " ".to_owned(), ..entry(900) }], before: vec![] };
        check_lines(900, &silent, &["tidy.toml:1: error: say why"]);
        let without = "[[long_file]]\npath = \"a\"\nlines = 1\n";
        assert!(parse(without).unwrap_err().to_string().contains("reason"));
    }

    #[test]
    fn the_architecture_fits_its_limit() {
        let exemptions = Exemptions::default();
        assert_findings(&check(&Tree::of([("ARCHITECTURE.md", &"\n".repeat(300))]), &exemptions), &[]);
        let long = Tree::of([("ARCHITECTURE.md", &*"\n".repeat(301))]);
        assert_findings(&check(&long, &exemptions), &["ARCHITECTURE.md:301: error: 301 lines"]);
    }
}
