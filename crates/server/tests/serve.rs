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
    start_on(config, &ADDRESSES, "couch")
}

/// With these addresses; a client of one of the listeners.
fn start_on(config: &Path, addresses: &[&str], listener: &str) -> (Server, Client) {
    start_with(Command::new(BINARY).arg("serve").arg("--config").arg(config).args(addresses), listener)
}

fn start_with(command: &mut Command, listener: &str) -> (Server, Client) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.take_while(|line| line != "ready").collect();
    let url = printed.iter().find_map(|line| line.strip_prefix(listener)).unwrap().trim();
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
fn the_admin_port_asks_for_a_password_unless_it_is_told_not_to() {
    let addresses = ["--couch", "off", "--metrics", "off", "--gateway", "off", "--admin", "127.0.0.1:0"];
    let admins = "[admins]\nada = \"secret\"\n";
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = start_on(&config(folder.path(), admins), &addresses, "admin");
    let get = |credentials: Option<&str>| {
        let header = credentials.map(|credentials| ("authorization", credentials));
        client.request("GET", "/_all_dbs", &header.into_iter().collect::<Vec<_>>(), b"").unwrap()
    };
    let answer = get(None);
    assert_eq!((answer.status, answer.text().as_str()), (401, r#"{"error":"Unauthorized","reason":"Login required"}"#));
    assert_eq!(get(Some("Basic YWRhOndyb25n")).status, 401);
    assert_eq!(get(Some("Basic YWRhOnNlY3JldA==")).text(), "[]");
    assert_eq!(client.get("/_ping").unwrap().text(), "OK");
    drop(server);
    let folder = tempfile::tempdir().unwrap();
    let open = config(folder.path(), &format!("{admins}[gateway]\nopen_admin = true\n"));
    let (_server, client) = start_on(&open, &addresses, "admin");
    assert_eq!(client.get("/_all_dbs").unwrap().text(), "[]");
}

#[test]
fn it_does_not_start_open_or_misconfigured() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&config(folder.path(), ""), &ADDRESSES).contains("no administrator"));
    assert!(refused(&config(folder.path(), "[couch]\nlissten = \"x\"\n"), &ADDRESSES).contains("line 3"));
    let admin = config(folder.path(), "[admins]\nada = \"secret\"\n");
    assert!(refused(&admin, &["--jobs", "127.0.0.1:0"]).contains("no such listener yet"));
    let open = "[admins]\nada = \"secret\"\n[gateway]\nadmin = \"0.0.0.0:0\"\nopen_admin = true\n";
    assert!(refused(&config(folder.path(), open), &[]).contains("must be on loopback"));
}

#[test]
fn a_log_that_nobody_watches_has_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[admins]\nada = \"secret\"\n[log]\nlevel = \"debug\"\n");
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--config").arg(&config).args(ADDRESSES).stderr(Stdio::piped());
    let (mut server, client) = start_with(&mut command, "couch");
    assert_eq!(client.get("/").unwrap().status, 200);
    let log = server.0.stderr.take().unwrap();
    drop(server);
    let log = std::io::read_to_string(log).unwrap();
    assert!(log.contains("DEBUG") && !log.contains('\x1b'), "{log:?}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[admins]\nada = \"secret\"\n");
    let _server = start(&config);
    assert!(refused(&config, &ADDRESSES).contains("in use"));
}
