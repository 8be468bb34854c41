//! Decision records are numbered `docs/adr/NNNN-*.md` without gaps or doubles.

use super::{finding::Finding, tree::Tree};

const FOLDER: &str = "docs/adr/";

/// The records count from 0001; a template may stand before them as 0000.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut next = 1;
    for file in tree.files().iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".md")) {
        match number(file.name()) {
            None => findings.push(Finding::failure(&file.path, 1, "name it `NNNN-what-was-decided.md`")),
            Some(0) => {}
            Some(found) if found == next => next += 1,
            Some(found) => {
                findings.push(Finding::failure(&file.path, 1, format!("the next record is {next:04}: renumber it")));
                next = found + 1;
            }
        }
    }
    findings
}

fn number(name: &str) -> Option<u32> {
    let (digits, _) = name.split_once('-')?;
    let is_number = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    #[test]
    fn records_are_numbered_densely() {
        let tree =
            Tree::of([("docs/adr/0000-template.md", ""), ("docs/adr/0001-a.md", ""), ("docs/adr/0002-b.md", "")]);
        assert_findings(&check(&tree), &[]);
    }

    #[test]
    fn a_gap_a_double_and_a_stray_name_are_found() {
        let gap = Tree::of([("docs/adr/0001-a.md", ""), ("docs/adr/0003-b.md", ""), ("docs/adr/0004-c.md", "")]);
        assert_findings(&check(&gap), &["docs/adr/0003-b.md:1: error: the next record is 0002"]);
        let double = Tree::of([("docs/adr/0001-a.md", ""), ("docs/adr/0001-b.md", "")]);
        assert_findings(&check(&double), &["docs/adr/0001-b.md:1: error: the next record is 0002"]);
        let stray = Tree::of([("docs/adr/storage.md", "")]);
        assert_findings(&check(&stray), &["docs/adr/storage.md:1: error: name it"]);
    }
}
