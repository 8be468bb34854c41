//! The text files of the work tree, as Git sees them.

use std::{fs, process::Command};

use anyhow::Context as _;

use super::mask::mask;
use crate::command;

/// A text file: its path from the root, with `/`, and its text.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Rust's text without comments and literals; of other files, the empty string.
    pub(crate) masked: String,
}

impl File {
    /// A file with this text.
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let masked = if path.ends_with(".rs") { mask(&text) } else { String::new() };
        Self { path, text, masked }
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The line on which `key` is set in a TOML file, or the first.
    pub(crate) fn line_of_key(&self, key: &str) -> usize {
        let sets = |line: &str| {
            let rest = line.trim_start().strip_prefix(key).unwrap_or_default();
            rest.starts_with([' ', '.', '=']) || line.trim_end().ends_with(&format!(".{key}]"))
        };
        self.text.lines().position(sets).map_or(1, |index| index + 1)
    }
}

/// The number of the line, from 1, that holds the byte `offset` of `text`.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Every text file that is tracked or would be by `git add .`
#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Reads the work tree. Files that aren't UTF-8, or are deleted but still tracked, are left out.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
        let paths = command::output(Command::new("git").args(listing))?;
        let files = paths.split_terminator('\0').map(read).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { files: files.into_iter().flatten().collect() })
    }

    /// A tree of these files.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self { files: files.into_iter().map(|(path, text)| File::new(path, text)).collect() }
    }

    /// All files, ordered by path.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The manifests of the workspace's crates.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| match file.path.split('/').collect::<Vec<_>>().as_slice() {
            ["crates", _, name] => *name == "Cargo.toml",
            _ => false,
        })
    }

    /// The file at `path`.
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn read(path: &str) -> anyhow::Result<Option<File>> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let bytes = fs::read(path).with_context(|| format!("{path} can't be read"))?;
    Ok(String::from_utf8(bytes).ok().map(|text| File::new(path, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_both_of_its_forms() {
        let file = File::new(
            "Cargo.toml",
            "[package]\nname = \"a\"\n[dependencies]\nserde.workspace = true\n[dependencies.toml]\n",
        );
        assert_eq!(file.line_of_key("serde"), 4);
        assert_eq!(file.line_of_key("toml"), 5);
        assert_eq!(file.line_of_key("absent"), 1);
    }

    #[test]
    fn only_manifests_of_crates_are_manifests() {
        let tree = Tree::of([("Cargo.toml", ""), ("crates/kv/Cargo.toml", ""), ("fuzz/Cargo.toml", "")]);
        assert_eq!(tree.manifests().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["crates/kv/Cargo.toml"]);
    }
}
