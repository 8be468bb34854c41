//! `cargo xtask tidy`: the rules of this repository that neither rustc nor clippy knows.
//!
//! One module a rule, each a function from the [`Tree`] of files to [`Finding`]s. A finding names a file, a line and
//! what to do; warnings are shown, failures fail the chore.

mod adrs;
mod finding;
mod functions;
mod headers;
mod layers;
mod lengths;
mod lockfiles;
mod machine_paths;
mod manifests;
mod mask;
mod module_names;
mod test_habits;
mod tree;

use anyhow::ensure;

use self::{finding::Finding, tree::Tree};

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    adrs::check,
    functions::check,
    headers::check,
    lockfiles::check,
    machine_paths::check,
    manifests::check,
    module_names::check,
    test_habits::check,
];

/// Checks the work tree, files not yet added to Git included, and prints every finding.
pub(crate) fn run() -> anyhow::Result<()> {
    let tree = Tree::load()?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.extend(lengths::check(&tree, &lengths::Exemptions::load()?));
    findings.extend(layers::check(&tree, &layers::packages()?));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let failures = findings.iter().filter(|finding| finding.is_failure()).count();
    println!("tidy: {} files, {failures} failures, {} warnings", tree.files().len(), findings.len() - failures);
    ensure!(failures == 0, "{failures} failures");
    Ok(())
}
