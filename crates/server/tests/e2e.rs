//! Real clients (PouchDB, RxDB, nano) end to end against the real binary: one test for each file of `e2e/`.
//!
//! The tests themselves are JavaScript, run by Node's own runner. Every file starts its own server on a folder and a port
//! of its own, so that they run in parallel. Their npm packages are fetched by `cargo xtask test`.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest run of a file; each wait inside has a shorter deadline of its own.
const FILE_MS_MAX: u32 = 300_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e")
}

/// Writes `authority.pem`, and `certificate.pem` and `key.pem` of a server on loopback that it vouches for.
fn write_certificates(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    fs::write(folder.join("authority.pem"), authority.self_signed(&authority_key)?.pem())?;
    let issuer = Issuer::new(authority, authority_key);
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    fs::write(folder.join("certificate.pem"), certificate.pem())?;
    fs::write(folder.join("key.pem"), key.serialize_pem())?;
    Ok(())
}

/// Runs one file of `e2e/` to its end and shows all it printed if anything in it failed.
fn run(file: &str) {
    let folder = folder();
    assert!(
        folder.join("node_modules/pouchdb/package.json").exists(),
        "the npm packages of e2e/ are missing: run `cargo xtask test`, it fetches the npm packages"
    );
    let certificates = tempfile::tempdir().expect("a folder for certificates");
    write_certificates(certificates.path()).expect("certificates can be made");
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec", "--test-force-exit"])
        .arg(format!("--test-timeout={FILE_MS_MAX}"))
        .arg(file)
        .env("TIDEGATE_BIN", env!("CARGO_BIN_EXE_tidegate"))
        .env("TIDEGATE_TEST_CERTIFICATES", certificates.path())
        .current_dir(&folder)
        .output()
        .expect("`node` (20.14 or newer) can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file} failed\n{printed}\n{complaints}");
}

macro_rules! files {
    ($($name:ident => $file:literal,)*) => {
        $(#[test]
        fn $name() {
            run($file);
        })*

        const FILES: &[&str] = &[$($file),*];
    };
}

files! {
    access => "access.test.mjs",
    attachments => "attachments.test.mjs",
    bulk => "bulk.test.mjs",
    changes => "changes.test.mjs",
    checkpoints => "checkpoints.test.mjs",
    conflicts => "conflicts.test.mjs",
    crash => "crash.test.mjs",
    demo => "demo.test.mjs",
    filtered => "filtered.test.mjs",
    functions => "functions.test.mjs",
    logins => "logins.test.mjs",
    nano => "nano.test.mjs",
    oidc => "oidc.test.mjs",
    openapi => "openapi.test.mjs",
    pouchdb => "pouchdb.test.mjs",
    replicator_peers => "replicator-peers.test.mjs",
    replicator_ways => "replicator-ways.test.mjs",
    replicator => "replicator.test.mjs",
    rxdb => "rxdb.test.mjs",
}

#[test]
fn every_file_is_run() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .expect("e2e/ can be listed")
        .map(|entry| entry.expect("an entry of e2e/").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}
