//! `tidegate serve`: who gets in, and what it refuses to start with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use tidegate_testkit::http::Client;

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const ADDRESSES: [&str; 8] = ["--couch", "127.0.0.1:0", "--metrics", "off", "--gateway", "off", "--admin", "off"];

/// A running server, killed at the end of its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn config(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("tidegate.toml");
    std::fs::write(&path, format!("data = {:?}\n{text}", folder.join("data"))).unwrap();
    path
}

fn start(config: &Path) -> (Server, Client) {
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--config").arg(config).args(ADDRESSES).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.take_while(|line| line != "ready").collect();
    let url = printed.iter().find_map(|line| line.strip_prefix("couch")).unwrap().trim();
    let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
    (Server(child), Client::new(address))
}

fn refused(config: &Path, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } =
        Command::new(BINARY).arg("serve").arg("--config").arg(config).args(arguments).output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

#[test]
fn only_the_administrator_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, client) = start(&config(folder.path(), "[couch]\nrealm = \"here\"\n[admins]\nada = \"secret\"\n"));
    let with = |credentials: &str| [("authorization", credentials.to_owned())];
    let get = |path: &str, headers: &[(&str, String)]| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.request("GET", path, &headers, b"").unwrap()
    };
    let right = with("Basic YWRhOnNlY3JldA==");
    assert_eq!(get("/", &[]).status, 200);
    assert_eq!(client.put("/db", "").unwrap().status, 401);
    let put = client.request("PUT", "/db", &[("authorization", "Basic YWRhOnNlY3JldA==")], b"").unwrap();
    assert_eq!(put.status, 201);
    let (server, database) = ("You are not a server admin.", "You are not authorized to access this db.");
    for (path, reason) in [("/_all_dbs", server), ("/db", database), ("/db/a", database), ("/db/_changes", database)] {
        let answer = get(path, &[]);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic realm=\"here\"")), "{path}");
        assert_eq!(answer.text(), format!("{{\"error\":\"unauthorized\",\"reason\":\"{reason}\"}}\n"));
    }
    let wrong = get("/", &with("Basic YWRhOndyb25n"));
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains("Name or password is incorrect."));
    assert_eq!(get("/", &with("Basic %%")).status, 400);
    assert_eq!(get("/_all_dbs", &with("Bearer x")).status, 401);
    assert_eq!(get("/_all_dbs", &right).text(), "[\"_replicator\",\"_users\",\"db\"]\n");
}

#[test]
fn it_does_not_start_open_or_misconfigured() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&config(folder.path(), ""), &ADDRESSES).contains("no administrator"));
    assert!(refused(&config(folder.path(), "[couch]\nlissten = \"x\"\n"), &ADDRESSES).contains("line 3"));
    let admin = config(folder.path(), "[admins]\nada = \"secret\"\n");
    assert!(refused(&admin, &["--gateway", "127.0.0.1:0"]).contains("no such listener yet"));
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[admins]\nada = \"secret\"\n");
    let _server = start(&config);
    assert!(refused(&config, &ADDRESSES).contains("in use"));
}
