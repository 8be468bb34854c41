//! `cargo xtask test`: the npm and Python packages of the end-to-end tests, then all tests.
//!
//! The packages are installed once per lock file: a copy of the lock file kept beside them tells what they were
//! installed from. `npm ci` empties the folder first, so an interrupted install leaves no copy and is made again.

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;

use crate::command;

/// Fetches the packages where needed, then runs `cargo test --workspace` with `cargo_args`.
pub(crate) fn test(cargo_args: &[String]) -> anyhow::Result<()> {
    install_packages(Path::new("e2e"))?;
    install_environment(Path::new("e2e/python"))?;
    command::run(Command::new("cargo").args(["test", "--workspace"]).args(cargo_args))
}

/// Fetches the npm packages of `folder`, unless those of its lock file are there.
pub(crate) fn install_packages(folder: &Path) -> anyhow::Result<()> {
    let lock = folder.join("package-lock.json");
    let wanted = fs::read(&lock).with_context(|| format!("{} can't be read", lock.display()))?;
    let stamp = folder.join("node_modules/.installed-lock.json");
    if is_installed(&stamp, &wanted) {
        return Ok(());
    }
    command::run(Command::new("npm").arg("ci").current_dir(folder))?;
    fs::write(&stamp, wanted).with_context(|| format!("{} can't be written", stamp.display()))
}

/// Makes the Python environment of `folder`, unless that of its list of packages is there.
pub(crate) fn install_environment(folder: &Path) -> anyhow::Result<()> {
    let list = folder.join("requirements.txt");
    let wanted = fs::read(&list).with_context(|| format!("{} can't be read", list.display()))?;
    let stamp = folder.join("venv/.installed-requirements.txt");
    if is_installed(&stamp, &wanted) {
        return Ok(());
    }
    command::run(Command::new("python3").args(["-m", "venv", "--clear", "venv"]).current_dir(folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"];
    let python = std::path::absolute(folder.join("venv/bin/python"))?;
    command::run(Command::new(python).args(pip).current_dir(folder))?;
    fs::write(&stamp, wanted).with_context(|| format!("{} can't be written", stamp.display()))
}

/// Whether the packages there were installed from exactly the lock file `wanted`.
fn is_installed(stamp: &Path, wanted: &[u8]) -> bool {
    fs::read(stamp).is_ok_and(|installed| installed == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_again_when_the_lock_file_changed() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = folder.path().join("stamp");
        assert!(!is_installed(&stamp, b"1"), "nothing was installed yet");
        fs::write(&stamp, b"1").unwrap();
        assert!(is_installed(&stamp, b"1"));
        assert!(!is_installed(&stamp, b"2"));
    }
}
