//! On whose behalf replications work: nobody gets by a replication what they couldn't get themselves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tidegate_testkit::http::{Client, Response};

const ADA: &str = "Basic YWRhOnNlY3JldA==";
const BOB: &str = "Basic Ym9iOnNlY3JldA==";
const EVE: &str = "Basic ZXZlOnNlY3JldA==";
const WAIT: Duration = Duration::from_secs(30);

/// A server with the administrator `ada` and the users `bob` and `eve`, killed at the end of its test.
struct Server {
    child: Child,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, "")
    }

    /// With more lines for the section `[config.replicator]`.
    fn start_with(folder: &Path, replicator: &str) -> Self {
        let config = folder.join("tidegate.toml");
        let data = folder.join("data");
        let text = format!(
            "data = {data:?}\n[admins]\nada = \"secret\"\n[config.chttpd_auth]\niterations = \"1\"\n\
             [config.replicator]\ninterval = \"200\"\n{replicator}"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("serve").arg("--config").arg(config).args([
            "--couch",
            "127.0.0.1:0",
            "--metrics",
            "off",
            "--gateway",
            "off",
            "--admin",
            "off",
        ]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let printed: Vec<String> = lines.take_while(|line| line != "ready").collect();
        let url = printed.iter().find_map(|line| line.strip_prefix("couch")).unwrap().trim();
        let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let server = Self { child, client: Client::new(address) };
        for name in ["bob", "eve"] {
            let user = format!(r#"{{"name":"{name}","password":"secret","roles":[],"type":"user"}}"#);
            server.expect(ADA, 201, ("PUT", &format!("/_users/org.couchdb.user:{name}")), &user);
        }
        for db in ["secret", "open"] {
            server.expect(ADA, 201, ("PUT", &format!("/{db}")), "");
        }
        server.expect(ADA, 201, ("PUT", "/secret/a"), "{}");
        server.expect(ADA, 200, ("PUT", "/open/_security"), r#"{"admins":{},"members":{"names":["bob","eve"]}}"#);
        server.expect(
            ADA,
            200,
            ("PUT", "/_replicator/_security"),
            r#"{"admins":{},"members":{"names":["bob","eve"]}}"#,
        );
        server
    }

    fn ask(&self, who: &str, method: &str, path: &str, json: &str) -> Response {
        let headers = [("authorization", who), ("content-type", "application/json")];
        self.client.request(method, path, &headers, json.as_bytes()).unwrap()
    }

    #[track_caller]
    fn expect(&self, who: &str, status: u16, (method, path): (&str, &str), json: &str) -> String {
        let answer = self.ask(who, method, path, json);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        answer.text()
    }

    /// What the scheduler tells of a document's replication once `sought` stands in it.
    #[track_caller]
    fn until(&self, doc: &str, sought: &str) -> String {
        let end = Instant::now() + WAIT;
        loop {
            let shown = self.ask(ADA, "GET", &format!("/_scheduler/docs/_replicator/{doc}"), "").text();
            if shown.contains(sought) {
                return shown;
            }
            assert!(Instant::now() < end, "{sought} isn't in {shown}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_request_works_with_the_rights_of_who_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let body = r#"{"source":"secret","target":"open"}"#;
    let anonymous = server.client.post("/_replicate", body).unwrap();
    assert_eq!(anonymous.status, 401);
    assert!(anonymous.text().contains("You are not an authenticated user"));
    let refused = server.expect(BOB, 401, ("POST", "/_replicate"), body);
    assert!(refused.contains("unauthorized to access or create database secret"), "{refused}");
    server.expect(BOB, 401, ("POST", "/_replicate"), r#"{"source":"open","target":"new","create_target":true}"#);
    assert!(server.expect(ADA, 200, ("POST", "/_replicate"), body).contains(r#""docs_written":1"#));
    for path in ["/_scheduler/jobs", "/_scheduler/docs", "/_active_tasks"] {
        server.expect(BOB, 401, ("GET", path), "");
    }
}

#[test]
fn a_document_works_with_the_rights_of_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let forged = r#"{"source":"secret","target":"open","user_ctx":{"name":"ada","roles":["_admin"]}}"#;
    server.expect(BOB, 201, ("PUT", "/_replicator/forged"), forged);
    assert!(server.expect(BOB, 200, ("GET", "/_replicator/forged"), "").contains(r#""owner":"bob""#));
    let shown = server.until("forged", "crashing");
    assert!(shown.contains("unauthorized to access or create database secret"), "{shown}");
    server.expect(BOB, 404, ("GET", "/open/a"), "");

    let lent = r#"{"source":"open","target":"secret","user_ctx":{"name":"bob","roles":[]}}"#;
    server.expect(ADA, 201, ("PUT", "/_replicator/lent"), lent);
    assert!(server.until("lent", "crashing").contains("create database secret"));

    server.expect(ADA, 201, ("PUT", "/_replicator/own"), r#"{"source":"secret","target":"open"}"#);
    server.until("own", "completed");
    server.expect(BOB, 200, ("GET", "/open/a"), "");
}

#[test]
fn a_document_belongs_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let others = "Can't update replication documents from other users.";
    let endpoint = r#""source":"http://x:hidden@127.0.0.1:1/db","target":{"url":"http://127.0.0.1:1/db","headers":{"Authorization":"hidden"}}"#;
    server.expect(BOB, 201, ("PUT", "/_replicator/bobs"), &format!("{{{endpoint}}}"));
    let refused = server.expect(EVE, 403, ("PUT", "/_replicator/for-bob"), &format!(r#"{{"owner":"bob",{endpoint}}}"#));
    assert!(refused.contains(others));
    let own = server.expect(BOB, 200, ("GET", "/_replicator/bobs"), "");
    assert!(own.contains("x:hidden@"), "{own}");
    let seen = server.expect(EVE, 200, ("GET", "/_replicator/bobs"), "");
    assert!(!seen.contains("hidden") && seen.contains("http://127.0.0.1:1/db/"), "{seen}");
    assert!(server.expect(ADA, 200, ("GET", "/_replicator/bobs"), "").contains("hidden"));

    let rev = own.split('"').skip_while(|part| *part != "_rev").nth(2).unwrap();
    let taken = format!(r#"{{"_rev":"{rev}",{endpoint}}}"#);
    assert!(server.expect(EVE, 403, ("PUT", "/_replicator/bobs"), &taken).contains(others));
    server.expect(EVE, 403, ("DELETE", &format!("/_replicator/bobs?rev={rev}")), "");
    // Nor by replicating it there.
    let bulk = format!(r#"{{"new_edits":false,"docs":[{{"_id":"mine","_rev":"1-a","owner":"ada",{endpoint}}}]}}"#);
    assert!(server.expect(EVE, 201, ("POST", "/_replicator/_bulk_docs"), &bulk).contains(others));
    server.expect(BOB, 200, ("DELETE", &format!("/_replicator/bobs?rev={rev}")), "");
}

#[test]
fn jobs_take_turns_where_there_is_room_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), "max_jobs = \"1\"\n");
    let docs = ["first", "second", "third"];
    for doc in docs {
        let body = format!(r#"{{"source":"secret","target":"{doc}","create_target":true,"continuous":true}}"#);
        server.expect(ADA, 201, ("PUT", &format!("/_replicator/{doc}")), &body);
    }
    let end = Instant::now() + WAIT;
    for doc in docs.iter().cycle() {
        let jobs = server.expect(ADA, 200, ("GET", "/_active_tasks"), "");
        assert!(jobs.matches(r#""type":"replication""#).count() <= 1, "{jobs}");
        let copied = |doc: &&str| server.ask(ADA, "GET", &format!("/{doc}/a"), "").status == 200;
        if copied(doc) && docs.iter().all(copied) {
            return;
        }
        assert!(Instant::now() < end, "{jobs}");
    }
}
