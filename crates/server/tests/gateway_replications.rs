//! Replications that the admin port configures, between two servers. Source: `spec/gateway.md` 2.6.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use serde_json::{Value, json};
use tidegate_testkit::{http::Client, server::Server, until};

/// Two servers, each with a database of the same name.
struct Pair {
    here: Server,
    there: Server,
    _data: tempfile::TempDir,
}

impl Pair {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let start = |name: &str, listeners: &[&str]| {
            let server = Server::start_with(env!("CARGO_BIN_EXE_tidegate"), &data.path().join(name), listeners, &[]);
            let server = server.unwrap();
            put(&admin(&server), "/db/", "{}");
            server
        };
        // The one that replicates has no listener for CouchDB's dialect.
        let (here, there) = (start("here", &["gateway", "admin"]), start("there", &["couch", "gateway", "admin"]));
        Self { here, there, _data: data }
    }

    fn here(&self) -> Client {
        admin(&self.here)
    }

    fn there(&self) -> Client {
        admin(&self.there)
    }

    /// Configures a replication with the other server's admin port.
    fn replicate(&self, id: &str, members: &Value) {
        self.replicate_with(id, &self.there.url("admin").unwrap(), members);
    }

    fn replicate_with(&self, id: &str, remote: &str, members: &Value) {
        let mut config = members.clone();
        config["remote"] = format!("{remote}/db").into();
        put(&self.here(), &format!("/db/_replication/{id}"), &config.to_string());
    }

    fn status(&self, id: &str) -> Value {
        json(&self.here(), &format!("/db/_replicationStatus/{id}"))
    }

    fn until_status(&self, id: &str, status: &str) -> Value {
        until(status, || self.status(id)["status"] == status);
        self.status(id)
    }

    fn act(&self, id: &str, action: &str) -> Value {
        let path = format!("/db/_replicationStatus/{id}?action={action}");
        let answer = self.here().request("PUT", &path, &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{action}: {}", answer.text());
        serde_json::from_str(&answer.text()).unwrap()
    }
}

fn admin(server: &Server) -> Client {
    Client::new(server.address("admin").unwrap())
}

fn put(client: &Client, path: &str, body: &str) {
    let answer = client.put(path, body).unwrap();
    assert!([200, 201].contains(&answer.status), "{path}: {}", answer.text());
}

fn json(client: &Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

fn ids(client: &Client) -> Vec<String> {
    let rows = json(client, "/db/_all_docs");
    rows["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn documents_go_both_ways_and_those_that_follow_as_well() {
    let pair = Pair::start();
    let attached = r#"{"channels":["x"],"_attachments":{"file":{"content_type":"text/plain","data":"eA=="}}}"#;
    put(&pair.here(), "/db/a", attached);
    put(&pair.here(), "/db/_design/d", r#"{"views":{}}"#);
    put(&pair.there(), "/db/b", r#"{"channels":["x"],"from":"there"}"#);
    pair.replicate("r", &json!({ "direction": "pushAndPull", "continuous": true }));
    until("both to have both", || ids(&pair.here()) == ["a", "b"] && ids(&pair.there()) == ["a", "b"]);
    put(&pair.here(), "/db/c", "{}");
    put(&pair.there(), "/db/d", "{}");
    until("both to have all", || ids(&pair.here()).len() == 4 && ids(&pair.there()).len() == 4);
    assert_eq!(pair.there().get("/db/a/file").unwrap().text(), "x");
    assert_eq!(json(&pair.there(), "/db/a")["_rev"], json(&pair.here(), "/db/a")["_rev"]);
    assert_eq!(pair.there().get("/db/_design/d").unwrap().status, 404, "design documents are each server's own");
    let status = pair.until_status("r", "running");
    until("the counts", || pair.status("r")["docs_written"] == 2 && pair.status("r")["docs_read"] == 2);
    assert_eq!(status["replication_id"], "r");
}

#[test]
fn a_user_of_the_other_side_replicates_its_channels() {
    let pair = Pair::start();
    for (id, channel) in [("x1", "x"), ("x2", "x"), ("y", "y"), ("z", "z")] {
        put(&pair.there(), &format!("/db/{id}"), &json!({ "channels": [channel] }).to_string());
    }
    put(&pair.there(), "/db/_user/al", r#"{"password":"secret","admin_channels":["x","y"]}"#);
    let public = pair.there.url("gateway").unwrap();
    let filter = json!({
        "direction": "pull", "filter": "sync_gateway/bychannel", "query_params": { "channels": ["x"] },
        "remote_username": "al", "remote_password": "secret",
    });
    pair.replicate_with("filtered", &public, &filter);
    let status = pair.until_status("filtered", "stopped");
    assert_eq!((ids(&pair.here()), &status["docs_read"]), (vec!["x1".to_owned(), "x2".to_owned()], &json!(2)));
    let all = json!({ "direction": "pull", "remote_username": "al", "remote_password": "secret" });
    pair.replicate_with("all", &public, &all);
    pair.until_status("all", "stopped");
    assert_eq!(ids(&pair.here()), ["x1", "x2", "y"]);
    let wrong = json!({ "direction": "pull", "remote_username": "al", "remote_password": "wrong" });
    pair.replicate_with("wrong", &public, &wrong);
    let status = pair.until_status("wrong", "reconnecting");
    assert!(status["error_message"].as_str().unwrap().contains("unauthorized"), "{status}");
}

#[test]
fn with_couchdbs_dialect_on_the_other_side() {
    let pair = Pair::start();
    put(&pair.here(), "/db/a", r#"{"channels":["x"]}"#);
    let couch = Client::new(pair.there.address("couch").unwrap());
    put(&couch, "/plain", "");
    let remote = format!("{}/plain", pair.there.url("couch").unwrap());
    let config = json!({ "remote": remote, "direction": "push" });
    put(&pair.here(), "/db/_replication/r", &config.to_string());
    pair.until_status("r", "stopped");
    let pushed = json(&couch, "/plain/a");
    assert_eq!((&pushed["channels"], pushed.get("_cv")), (&json!(["x"]), None));
}

#[test]
fn a_replication_is_stopped_started_reset_and_survives_restarts() {
    let mut pair = Pair::start();
    pair.replicate("r", &json!({ "direction": "push", "continuous": true, "initial_state": "stopped" }));
    put(&pair.here(), "/db/a", "{}");
    assert_eq!(pair.status("r")["status"], "stopped");
    pair.act("r", "start");
    until("the first", || ids(&pair.there()) == ["a"]);
    let reset = pair.here().request("PUT", "/db/_replicationStatus/r?action=reset", &[], b"").unwrap();
    assert_eq!(reset.status, 400, "{}", reset.text());
    assert_eq!(pair.act("r", "stop")["status"], "stopped");
    put(&pair.here(), "/db/b", "{}");
    pair.here.stop().unwrap();
    pair.here.restart().unwrap();
    assert_eq!(pair.status("r")["status"], "stopped");
    assert_eq!(ids(&pair.there()), ["a"]);
    pair.act("r", "start");
    until("the second", || ids(&pair.there()) == ["a", "b"]);
    pair.here.kill().unwrap();
    pair.here.restart().unwrap();
    put(&pair.here(), "/db/c", "{}");
    until("the third", || ids(&pair.there()) == ["a", "b", "c"]);
    // What the other side lost comes again when nothing is remembered of it.
    pair.act("r", "stop");
    assert_eq!(pair.there().post("/db/_purge", r#"{"a":["*"]}"#).unwrap().status, 200);
    assert_eq!(pair.act("r", "reset")["docs_written"], 0);
    pair.act("r", "start");
    until("the first again", || ids(&pair.there()) == ["a", "b", "c"]);
    assert_eq!(pair.here().delete("/db/_replication/r").unwrap().status, 200);
    assert_eq!(pair.here().get("/db/_replicationStatus/r").unwrap().status, 404);
}

#[test]
fn of_a_conflict_both_sides_keep_both_and_show_the_same() {
    let pair = Pair::start();
    put(&pair.here(), "/db/a", r#"{"from":"here"}"#);
    put(&pair.there(), "/db/a", r#"{"from":"there"}"#);
    pair.replicate("r", &json!({ "direction": "pushAndPull", "conflict_resolution_type": "default" }));
    pair.until_status("r", "stopped");
    let leaves = |client: &Client| {
        let answer = client.request("GET", "/db/a?open_revs=all", &[("accept", "application/json")], b"").unwrap();
        serde_json::from_str::<Value>(&answer.text()).unwrap().as_array().unwrap().len()
    };
    assert_eq!((leaves(&pair.here()), leaves(&pair.there())), (2, 2));
    assert_eq!(json(&pair.here(), "/db/a")["from"], json(&pair.there(), "/db/a")["from"]);
}

#[test]
fn passwords_are_told_nobody() {
    let pair = Pair::start();
    let config = json!({
        "remote": "http://al:secret@127.0.0.1:9/db", "direction": "push", "remote_password": "secret",
        "initial_state": "stopped",
    });
    let posted = pair.here().post("/db/_replication/", &config.to_string()).unwrap();
    assert_eq!(posted.status, 201, "{}", posted.text());
    for path in ["/db/_replication/", "/db/_replicationStatus/?includeConfig=true"] {
        let text = pair.here().get(path).unwrap().text();
        assert!(text.contains("xxxxx") && !text.contains("secret"), "{path}: {text}");
    }
    assert_eq!(pair.here().post("/db/_flush", "").unwrap().status, 200);
    assert!(pair.here().get("/db/_replication/").unwrap().text().contains("push"), "a flush leaves what is configured");
    assert_eq!(pair.here().delete("/db/").unwrap().status, 200);
    put(&pair.here(), "/db/", "{}");
    assert_eq!(pair.here().get("/db/_replication/").unwrap().text(), "{}");
}
