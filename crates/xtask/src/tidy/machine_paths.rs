//! No file names a folder of the machine it was written on.

use super::{
    finding::Finding,
    mask::is_word,
    tree::{File, Tree},
};

/// Folders as the first part of a path; split, so that this file names none.
const FOLDERS: &[&str] = &[concat!("/", "work/"), concat!("/", "root/")];

/// Every text file but lock files, which tools write.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files().iter().filter(|file| !is_lock(file.name())).flat_map(in_file).collect()
}

fn is_lock(name: &str) -> bool {
    name.ends_with(".lock") || name == "package-lock.json"
}

fn in_file(file: &File) -> impl Iterator<Item = Finding> {
    let lines = file.text.lines().enumerate();
    lines.filter_map(|(index, line)| {
        let folder = FOLDERS.iter().find(|folder| names(line, folder))?;
        let advice = format!("`{folder}` is a path of one machine: use a path from the root, or a temporary folder");
        Some(Finding::failure(&file.path, index + 1, advice))
    })
}

/// Whether `line` holds `folder` as the start of an absolute path, and not as the inside of a longer one.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(offset, _)| {
        let before = line.split_at(offset).0.chars().next_back();
        before.is_none_or(|char| !is_word(char) && !matches!(char, '.' | '}' | '~' | '*' | '-' | '%'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    #[test]
    fn an_absolute_path_is_found() {
        for folder in FOLDERS {
            let text = format!("one\nsee {folder}notes.md\n(`{folder}b`)\n");
            let tree = Tree::of([("docs/a.md", &text)]);
            assert_findings(&check(&tree), &["docs/a.md:2: error:", "docs/a.md:3: error:"]);
        }
    }

    #[test]
    fn the_inside_of_a_path_and_lock_files_are_left_alone() {
        for folder in FOLDERS {
            let text = format!("a{folder}b .{folder}b ${{dir}}{folder}b");
            assert_findings(&check(&Tree::of([("a.md", &text)])), &[]);
            assert_findings(&check(&Tree::of([("Cargo.lock", *folder)])), &[]);
        }
    }
}
