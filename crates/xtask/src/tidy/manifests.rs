//! Crates take lints and versions from the workspace.

use toml::{Table, Value};

use super::{
    finding::Finding,
    tree::{File, Tree},
};

/// The manifest of every crate of the workspace.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.manifests().flat_map(in_manifest).collect()
}

fn in_manifest(file: &File) -> Vec<Finding> {
    let manifest = match file.text.parse::<Table>() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::failure(&file.path, 1, format!("not TOML: {}", error.message()))],
    };
    let lints = (!takes_from_workspace(manifest.get("lints"))).then(|| {
        Finding::failure(&file.path, 1, "the workspace's lints are missing: add `[lints]` with `workspace = true`")
    });
    let own_versions = dependencies(&manifest).filter(|(_, value)| !takes_from_workspace(Some(value))).map(|(name, _)| {
        let advice = format!("`{name}` has a version of its own: move it to `[workspace.dependencies]`, say `{name}.workspace = true`");
        Finding::failure(&file.path, file.line_of_key(name), advice)
    });
    lints.into_iter().chain(own_versions).collect()
}

/// Every dependency of any kind, on any platform.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(platforms.filter_map(Value::as_table));
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables.flat_map(move |table| kinds.into_iter().filter_map(|kind| table.get(kind)?.as_table())).flatten()
}

fn takes_from_workspace(value: Option<&Value>) -> bool {
    let Some(setting) = value.and_then(|value| value.get("workspace")) else { return false };
    setting.as_bool() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    #[track_caller]
    fn check_manifest(text: &str, expected: &[&str]) {
        assert_findings(&check(&Tree::of([("crates/kv/Cargo.toml", text)])), expected);
    }

    #[test]
    fn what_comes_from_the_workspace_is_fine() {
        check_manifest(
            "[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"c\"] }\n[lints]\nworkspace = true\n",
            &[],
        );
    }

    #[test]
    fn missing_lints_are_found() {
        check_manifest(
            "[package]\nname = \"tidegate-kv\"\n",
            &["crates/kv/Cargo.toml:1: error: the workspace's lints"],
        );
        check_manifest(
            "[lints.rust]\nunsafe_code = \"allow\"\n",
            &["crates/kv/Cargo.toml:1: error: the workspace's lints"],
        );
    }

    #[test]
    fn a_version_of_its_own_is_found_wherever_it_stands() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            let text = format!("lints.workspace = true\n[{table}]\nredb = \"4.5\"\n");
            check_manifest(&text, &["crates/kv/Cargo.toml:3: error: `redb` has a version of its own"]);
        }
        check_manifest(
            "lints.workspace = true\n[dependencies.redb]\nversion = \"4\"\n",
            &["crates/kv/Cargo.toml:2: error: `redb`"],
        );
    }

    #[test]
    fn a_manifest_that_is_not_toml_is_found() {
        check_manifest("[package\n", &["crates/kv/Cargo.toml:1: error: not TOML"]);
    }
}
