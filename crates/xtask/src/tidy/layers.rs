//! Dependencies between crates point strictly down, as the layer table has them.
//!
//! Development dependencies are free: a test may use anything.

use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use super::{finding::Finding, tree::Tree};
use crate::command;

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a layer, without I/O, clock, randomness or `async`.
    Pure(u8),
    /// In a layer, free to touch the world.
    Shell(u8),
    /// For others to build on: sees the lowest layers only.
    Client,
    /// Tests, measurements and chores: sees everything, is seen by no layer.
    Side,
}

use Place::{Client, Pure, Shell, Side};

/// The layer table. Layer 0 knows nothing; each layer knows only those below it.
const TABLE: &[(&str, Place)] = &[
    ("types", Pure(0)),
    ("blip", Pure(1)),
    ("channels", Pure(1)),
    ("json", Pure(1)),
    ("revtree", Pure(1)),
    ("kv", Shell(1)),
    ("collate", Pure(2)),
    ("replication", Pure(2)),
    ("selector", Pure(3)),
    ("script", Shell(2)),
    ("store", Shell(3)),
    ("access", Shell(4)),
    ("jobs", Shell(4)),
    ("records", Shell(4)),
    ("views", Shell(4)),
    ("engine", Shell(5)),
    ("http", Shell(6)),
    ("documents", Shell(7)),
    ("admin", Shell(8)),
    ("couch", Shell(8)),
    ("gateway", Shell(8)),
    ("rpc", Shell(8)),
    ("sync", Shell(8)),
    ("server", Shell(9)),
    ("client", Client),
    ("bench", Side),
    ("testkit", Side),
    ("xtask", Side),
];

const CLIENT_LAYER_MAX: u8 = 2;
/// From here to the dialects, the façade is the only way to documents: no route can skip an access check.
const EDGE_LAYERS: std::ops::RangeInclusive<u8> = 6..=8;
const BEHIND_THE_FACADE: &[&str] = &["store", "kv"];
/// Crates with I/O, a clock, randomness or `async`, by the start of their names.
const IMPURE: &[&str] = &[
    "async",
    "axum",
    "chrono",
    "futures",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "mio",
    "rand",
    "redb",
    "reqwest",
    "rustix",
    "rustls",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tower",
    "tungstenite",
    "uuid",
];
/// Crates of HTTP, by the start of their names.
const HTTP: &[&str] = &["axum", "headers", "http", "hyper", "reqwest", "tower-http", "tungstenite"];

/// A crate of the workspace, as `cargo metadata` describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` for an ordinary dependency.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// The crates of this workspace.
pub(crate) fn packages() -> anyhow::Result<Vec<Package>> {
    let json = command::output(Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&json).context("`cargo metadata` printed something unknown")?;
    Ok(metadata.packages)
}

/// Every dependency of `packages` but those of tests.
pub(crate) fn check(tree: &Tree, packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(|package| check_package(tree, package)).collect()
}

fn check_package(tree: &Tree, package: &Package) -> Vec<Finding> {
    let name = short(&package.name).unwrap_or(&package.name);
    let path = format!("crates/{name}/Cargo.toml");
    let Some(place) = place(name) else {
        let advice =
            format!("`{name}` stands in no layer: add it to the layer table in crates/xtask/src/tidy/layers.rs");
        return vec![Finding::failure(&path, 1, advice)];
    };
    let line = |key: &str| tree.get(&path).map_or(1, |file| file.line_of_key(key));
    let counted = package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
    let refused = counted.filter_map(|Dependency { name: needed, .. }| Some((needed, refusal((name, place), needed)?)));
    refused.map(|(needed, advice)| Finding::failure(&path, line(needed), advice)).collect()
}

fn short(package: &str) -> Option<&str> {
    package.strip_prefix("tidegate-")
}

fn place(name: &str) -> Option<Place> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
}

/// Why the crate `name` at `place` may not depend on the package `needed`.
fn refusal((name, place): (&str, Place), needed: &str) -> Option<String> {
    match short(needed) {
        Some(ours) => refusal_of_ours((name, place), ours),
        None => refusal_of_others((name, place), needed),
    }
}

fn refusal_of_ours((name, place): (&str, Place), needed: &str) -> Option<String> {
    let below = self::place(needed)?; // An unknown crate is a finding of its own.
    let refused = |why: String| Some(format!("`{name}` may not depend on `{needed}`: {why}"));
    match (place, below) {
        (Side, _) => None,
        (_, Side | Client) => refused("a layer sees no side crate but in its tests".to_owned()),
        (Client, Pure(to) | Shell(to)) if to > CLIENT_LAYER_MAX => {
            refused(format!("a client sees layers 0 to {CLIENT_LAYER_MAX} only, this is layer {to}"))
        }
        (Pure(from) | Shell(from), Pure(to) | Shell(to)) if from <= to => {
            refused(format!("arrows point strictly down, from layer {from} to {to} they don't"))
        }
        (Pure(_), Shell(_)) => refused("a pure crate sees pure crates only".to_owned()),
        (Shell(from), _) if EDGE_LAYERS.contains(&from) && BEHIND_THE_FACADE.contains(&needed) => refused(
            "the engine's façade is the only way to documents, so that no route skips an access check".to_owned(),
        ),
        (Client | Pure(_) | Shell(_), Pure(_) | Shell(_)) => None,
    }
}

fn refusal_of_others((name, place): (&str, Place), needed: &str) -> Option<String> {
    let is_one_of = |list: &[&str]| list.iter().any(|start| starts_with_word(needed, start));
    match place {
        Pure(_) if is_one_of(IMPURE) => Some(format!(
            "`{name}` is pure and may not depend on `{needed}`: I/O, time and chance come in as arguments"
        )),
        Pure(layer) | Shell(layer) if layer < *EDGE_LAYERS.start() && is_one_of(HTTP) => {
            Some(format!("`{name}` may not depend on `{needed}`: HTTP begins in layer {}", EDGE_LAYERS.start()))
        }
        Pure(_) | Shell(_) | Client | Side => None,
    }
}

/// Whether `name` is `start`, or goes on after it with `-`, `_`: `tokio-util` starts with `tokio`, `randomize` not with `rand`.
fn starts_with_word(name: &str, start: &str) -> bool {
    name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    fn package(name: &str, needed: &str, kind: Option<&str>) -> Package {
        let dependency = Dependency { name: needed.to_owned(), kind: kind.map(str::to_owned) };
        Package { name: name.to_owned(), dependencies: vec![dependency] }
    }

    /// `from` may depend on `to`, where `why` is empty; or may not, and is told so.
    #[track_caller]
    fn check_arrow(from: &str, to: &str, why: &str) {
        let name = format!("tidegate-{from}");
        let findings = check(&Tree::of([]), &[package(&name, to, None)]);
        let shown = findings.first().map(Finding::to_string).unwrap_or_default();
        assert_eq!(shown.is_empty(), why.is_empty(), "{from} -> {to}: {shown}");
        assert!(shown.contains(why), "{from} -> {to}: {shown}");
    }

    #[test]
    fn arrows_point_strictly_down() {
        check_arrow("server", "tidegate-kv", "");
        check_arrow("store", "tidegate-kv", "");
        check_arrow("couch", "tidegate-engine", "");
        check_arrow("kv", "tidegate-store", "from layer 1 to 3");
        check_arrow("couch", "tidegate-gateway", "from layer 8 to 8");
        check_arrow("revtree", "tidegate-json", "from layer 1 to 1");
        check_arrow("access", "tidegate-views", "from layer 4 to 4");
    }

    #[test]
    fn dialects_reach_documents_through_the_facade_only() {
        for edge in ["http", "documents", "couch", "gateway", "sync", "admin", "rpc"] {
            check_arrow(edge, "tidegate-store", "façade");
            check_arrow(edge, "tidegate-kv", "façade");
            check_arrow(edge, "tidegate-json", "");
        }
    }

    #[test]
    fn pure_crates_stay_pure() {
        check_arrow("replication", "tidegate-revtree", "");
        check_arrow("replication", "tidegate-kv", "a pure crate sees pure crates only");
        check_arrow("revtree", "tokio", "is pure");
        check_arrow("json", "tokio-util", "is pure");
        check_arrow("types", "rand_core", "is pure");
        check_arrow("json", "memchr", "");
        check_arrow("kv", "tokio", "");
        check_arrow("json", "randomize", "");
    }

    #[test]
    fn http_begins_at_the_edge() {
        check_arrow("engine", "http-body", "HTTP begins in layer 6");
        check_arrow("store", "hyper", "HTTP begins in layer 6");
        check_arrow("couch", "hyper", "");
    }

    #[test]
    fn side_crates_see_all_and_are_seen_by_tests_only() {
        check_arrow("bench", "tidegate-testkit", "");
        check_arrow("store", "tidegate-testkit", "no side crate");
        check_arrow("client", "tidegate-replication", "");
        check_arrow("client", "tidegate-store", "layers 0 to 2 only");
        let tested = package("tidegate-store", "tidegate-testkit", Some("dev"));
        assert_findings(&check(&Tree::of([]), &[tested]), &[]);
        let built = package("tidegate-revtree", "tokio", Some("build"));
        assert_findings(&check(&Tree::of([]), &[built]), &["crates/revtree/Cargo.toml:1: error: `revtree` is pure"]);
    }

    #[test]
    fn a_crate_in_no_layer_is_found() {
        let stray = package("tidegate-stray", "serde", None);
        assert_findings(
            &check(&Tree::of([]), &[stray]),
            &["crates/stray/Cargo.toml:1: error: `stray` stands in no layer"],
        );
    }

    #[test]
    fn a_finding_points_at_the_dependency() {
        let tree = Tree::of([(
            "crates/couch/Cargo.toml",
            "[dependencies]\nbytes.workspace = true\ntidegate-store.workspace = true\n",
        )]);
        let findings = check(&tree, &[package("tidegate-couch", "tidegate-store", None)]);
        assert_findings(&findings, &["crates/couch/Cargo.toml:3: error: `couch` may not depend on `store`"]);
    }
}
