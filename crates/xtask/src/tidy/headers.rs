//! Each source file says what it is for before anything else.

use super::{finding::Finding, tree::Tree};

/// Every Rust file below a `src` folder starts with a `//!` header.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.rust().filter(|file| file.path.contains("/src/"));
    let bare = sources.filter(|file| !has_header(&file.text));
    let advice = "start the file with `//!`: what it owns, what it guarantees, what it leaves out";
    bare.map(|file| Finding::failure(&file.path, 1, advice)).collect()
}

fn has_header(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("//!").is_some_and(|header| !header.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    #[test]
    fn a_source_file_starts_with_its_header() {
        let tree =
            Tree::of([("crates/kv/src/log.rs", "//! The commit log.\n"), ("crates/kv/tests/model.rs", "use a;\n")]);
        assert_findings(&check(&tree), &[]);
    }

    #[test]
    fn a_missing_late_or_empty_header_is_found() {
        for text in ["", "use a;\n", "use a;\n//! Late.\n", "//!\n//! Text.\n", "// Plain.\n"] {
            let tree = Tree::of([("crates/kv/src/log.rs", text)]);
            assert_findings(&check(&tree), &["crates/kv/src/log.rs:1: error: start the file with `//!`"]);
        }
    }
}
