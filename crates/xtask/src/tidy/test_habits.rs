//! Tests all run, and wait for events instead of sleeping.

use std::collections::BTreeSet;

use super::{
    finding::Finding,
    mask::{block_end, is_word},
    tree::{File, Tree, line_at},
};

const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

/// No test is ignored; no test code names a function that sleeps.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let test_files: BTreeSet<String> = tree.rust().flat_map(test_modules_elsewhere).collect();
    let habits = |file: &File| {
        let spans =
            if is_test_file(file, &test_files) { vec![(0, file.masked.len())] } else { test_spans(&file.masked) };
        ignored(file).into_iter().chain(sleeps(file, &spans)).collect::<Vec<_>>()
    };
    tree.rust().flat_map(habits).collect()
}

fn is_test_file(file: &File, test_files: &BTreeSet<String>) -> bool {
    file.path.starts_with("tests/") || file.path.contains("/tests/") || test_files.contains(&file.path)
}

/// The bytes between the braces of whatever is compiled for tests only.
fn test_spans(masked: &str) -> Vec<(usize, usize)> {
    let starts = masked.match_indices(TEST_ATTRIBUTE).map(|(offset, _)| offset);
    starts.filter_map(|start| Some((start, block_end(masked, start)?))).collect()
}

/// The paths of test modules that are declared in `file` and stand in files of their own.
fn test_modules_elsewhere(file: &File) -> Vec<String> {
    let declared = file.masked.split(TEST_ATTRIBUTE).skip(1).filter_map(|after| {
        let (declaration, _) = after.split_once([';', '{'])?;
        declaration.trim().strip_prefix("mod ").map(str::to_owned)
    });
    let folder = module_folder(&file.path);
    declared.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]).collect()
}

/// Where the modules that the file at `path` declares stand.
fn module_folder(path: &str) -> &str {
    let is_root = ["/lib.rs", "/main.rs", "/mod.rs"].iter().any(|name| path.ends_with(name));
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    if is_root { parent } else { path.trim_end_matches(".rs") }
}

fn ignored(file: &File) -> Vec<Finding> {
    let attributes = file.masked.match_indices("#[").filter_map(|(offset, _)| {
        let (attribute, _) = file.masked.split_at(offset).1.split_once(']')?;
        let ignores = attribute.split(|char| !is_word(char)).any(|word| word == "ignore");
        ignores.then_some(offset)
    });
    let advice = "an ignored test tests nothing: mend it, or delete it";
    attributes.map(|offset| Finding::failure(&file.path, line_at(&file.masked, offset), advice)).collect()
}

fn sleeps(file: &File, spans: &[(usize, usize)]) -> Vec<Finding> {
    let calls = ["thread::sleep", "time::sleep"].into_iter().flat_map(|call| file.masked.match_indices(call));
    let in_tests = calls.filter(|(offset, _)| spans.iter().any(|(start, end)| (*start..*end).contains(offset)));
    let advice = "a test that sleeps is slow or flaky: wait for the event, with a deadline";
    in_tests.map(|(offset, _)| Finding::failure(&file.path, line_at(&file.masked, offset), advice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    #[test]
    fn ignored_tests_are_found() {
        let text =
            "#[test]\n#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}\n#[cfg_attr(unix, ignore)]\nfn c() {}\n";
        let tree = Tree::of([("crates/kv/src/log.rs", text)]);
        let expected =
            ["crates/kv/src/log.rs:2: error:", "crates/kv/src/log.rs:4: error:", "crates/kv/src/log.rs:6: error:"];
        assert_findings(&check(&tree), &expected);
    }

    #[test]
    fn sleeps_are_found_in_tests_only() {
        let text = "fn backoff() { std::thread::sleep(D); }\n#[cfg(test)]\nmod tests {\n  use tokio::time::sleep;\n}\n";
        let tree = Tree::of([
            ("crates/kv/src/log.rs", text),
            ("crates/kv/tests/model.rs", "//! M\nfn a() { thread::sleep(D) }\n"),
        ]);
        assert_findings(
            &check(&tree),
            &["crates/kv/src/log.rs:4: error: a test that sleeps", "crates/kv/tests/model.rs:2: error:"],
        );
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_tests() {
        let tree = Tree::of([
            ("crates/kv/src/lib.rs", "#[cfg(test)]\nmod laws;\nmod log;\n"),
            ("crates/kv/src/laws.rs", "fn a() { thread::sleep(D) }"),
            ("crates/kv/src/log.rs", "#[cfg(test)]\nmod model;\nfn a() { thread::sleep(D) }"),
            ("crates/kv/src/log/model.rs", "fn a() { thread::sleep(D) }"),
        ]);
        assert_findings(&check(&tree), &["crates/kv/src/laws.rs:1: error:", "crates/kv/src/log/model.rs:1: error:"]);
    }
}
