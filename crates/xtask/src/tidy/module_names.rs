//! Modules and crates are named for what they hold, never for a grab bag.

use super::{
    finding::Finding,
    mask::is_word,
    tree::{File, Tree, line_at},
};

const BANNED: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager", "misc", "base"];

/// Names of files and folders, and of modules written inside a file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(|file| from_path(file).into_iter().chain(from_text(file))).collect()
}

fn from_path(file: &File) -> Option<Finding> {
    let name = file.path.trim_end_matches(".rs").split('/').find(|part| BANNED.contains(part))?;
    Some(grab_bag(&file.path, 1, name))
}

fn from_text(file: &File) -> impl Iterator<Item = Finding> {
    file.masked.match_indices("mod ").filter_map(|(offset, keyword)| {
        let (before, after) = file.masked.split_at(offset);
        let name: String = after.chars().skip(keyword.len()).take_while(|char| is_word(*char)).collect();
        let is_module = !before.ends_with(is_word) && BANNED.contains(&name.as_str());
        is_module.then(|| grab_bag(&file.path, line_at(&file.masked, offset), &name))
    })
}

fn grab_bag(path: &str, line: usize, name: &str) -> Finding {
    Finding::failure(
        path,
        line,
        format!("`{name}` says nothing: name it for the one thing it holds, in the field's words"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    #[test]
    fn a_banned_name_is_found_in_paths_and_texts() {
        let tree = Tree::of([
            ("crates/kv/src/log.rs", "//! Log.\nmod misc {}\npub(crate) mod utils;\n"),
            ("crates/kv/src/utils.rs", ""),
            ("crates/kv/tests/common/mod.rs", ""),
        ]);
        let expected = [
            "crates/kv/src/log.rs:2: error: `misc`",
            "crates/kv/src/log.rs:3: error: `utils`",
            "crates/kv/src/utils.rs:1: error: `utils`",
            "crates/kv/tests/common/mod.rs:1: error: `common`",
        ];
        assert_findings(&check(&tree), &expected);
    }

    #[test]
    fn words_that_only_contain_one_are_fine() {
        let tree = Tree::of([("crates/kv/src/database.rs", "// mod utils\nmod commonality; mod base64;\n")]);
        assert_findings(&check(&tree), &[]);
    }
}
