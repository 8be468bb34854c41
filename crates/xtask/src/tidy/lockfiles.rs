//! npm's lock files name no registry, so that any mirror serves them.

use super::{finding::Finding, tree::Tree};

/// No `package-lock.json` has a `resolved` field that is an address.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().iter().filter(|file| file.name() == "package-lock.json") {
        let named = |line: &str| line.trim_start().starts_with("\"resolved\"") && line.contains("://");
        for (index, _) in file.text.lines().enumerate().filter(|(_, line)| named(line)) {
            let advice =
                "a registry's address: put `omit-lockfile-registry-resolved=true` into .npmrc beside it, lock again";
            findings.push(Finding::failure(&file.path, index + 1, advice));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    #[test]
    fn a_resolved_address_is_found() {
        let tree = Tree::of([
            (
                "e2e/package-lock.json",
                "{\n  \"version\": \"1.0.0\",\n  \"resolved\": \"https://registry.example/a.tgz\"\n}\n",
            ),
            ("ui/package-lock.json", "{\n  \"version\": \"1.0.0\",\n  \"integrity\": \"sha512-AA\"\n}\n"),
        ]);
        assert_findings(&check(&tree), &["e2e/package-lock.json:3: error: a registry's address"]);
    }
}
