//! pysyncgateway, as it is on PyPI, end to end against the real binary.
//!
//! What it does is in `e2e/python/`. `cargo xtask test` makes the Python environment with the package.

use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tidegate_testkit::server::Server;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/python")
}

#[test]
fn pysyncgateway() {
    let python = folder().join("venv/bin/python");
    assert!(python.exists(), "the Python environment of e2e/python/ is missing: run `cargo xtask test`, it makes it");
    let data = tempfile::tempdir().expect("a folder for the test");
    let (binary, listeners) = (env!("CARGO_BIN_EXE_tidegate"), ["gateway", "admin"]);
    let server = Server::start_with(binary, &data.path().join("data"), &listeners, &["--profile", "2"]);
    let server = server.expect("the server starts");
    let url = |listener| format!("{}/", server.url(listener).expect("the listener is on"));
    let output = Command::new(python)
        .arg("pysyncgateway_client.py")
        .args([url("admin"), url("gateway")])
        .current_dir(folder())
        .output()
        .expect("Python can be run");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{}", server.log());
}
