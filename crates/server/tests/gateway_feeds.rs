//! Feeds of users that run while what the user may see changes. Source: `spec/gateway.md` 2.4 and 3.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use tidegate_testkit::{
    http::{Client, Stream},
    server::Server,
};

const AL: (&str, &str) = ("authorization", "Basic YWw6c2VjcmV0");

struct Site {
    _server: Server,
    admin: Client,
    public: Client,
    _data: tempfile::TempDir,
}

impl Site {
    /// With the user `al`, who has the channel `x`, and a document in each of `x` and `y`.
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let binary = env!("CARGO_BIN_EXE_tidegate");
        let server = Server::start_with(binary, &data.path().join("data"), &["gateway", "admin"], &[]).unwrap();
        let client = |name| Client::new(server.address(name).unwrap());
        let (admin, public) = (client("admin"), client("gateway"));
        let site = Self { _server: server, admin, public, _data: data };
        site.put("/db/", "{}");
        site.put("/db/_user/al", r#"{"password":"secret","admin_channels":["x"]}"#);
        site.put("/db/in-x", r#"{"channels":["x"]}"#);
        site.put("/db/in-y", r#"{"channels":["y"]}"#);
        site
    }

    fn put(&self, path: &str, body: &str) {
        let answer = self.admin.put(path, body).unwrap();
        assert!([200, 201].contains(&answer.status), "{path}: {}", answer.text());
    }

    fn follow(&self, query: &str) -> Stream {
        let path = format!("/db/_changes?{query}");
        let stream = self.public.stream("GET", &path, &[AL], b"").unwrap();
        assert_eq!(stream.status, 200);
        stream
    }
}

/// The ids and sequences of the next rows.
fn rows(stream: &mut Stream, count: usize) -> Vec<String> {
    let mut rows = Vec::new();
    while rows.len() < count {
        let row: serde_json::Value = serde_json::from_str(&stream.next_row().unwrap().unwrap()).unwrap();
        let revoked = if row["revoked"] == true { " revoked" } else { "" };
        rows.push(format!("{} {}{revoked}", row["seq"], row["id"].as_str().unwrap()));
    }
    rows
}

#[test]
fn what_is_granted_comes_in_the_same_feed() {
    let site = Site::start();
    let mut feed = site.follow("feed=continuous&since=1");
    assert_eq!(rows(&mut feed, 1), ["2 in-x"]);
    site.put("/db/_user/al", r#"{"admin_channels":["x","y"]}"#);
    assert_eq!(rows(&mut feed, 2), ["\"4:3\" in-y", "4 _user/al"]);
    site.put("/db/more", r#"{"channels":["y"]}"#);
    assert_eq!(rows(&mut feed, 1), ["5 more"]);
}

#[test]
fn what_is_lost_is_told_in_the_same_feed_and_nothing_of_it_afterwards() {
    let site = Site::start();
    let mut feed = site.follow("feed=continuous&since=1&revocations=true");
    assert_eq!(rows(&mut feed, 1), ["2 in-x"]);
    site.put("/db/_user/al", r#"{"admin_channels":["y"]}"#);
    // What is granted with it comes in the order of sequences, too.
    assert_eq!(rows(&mut feed, 3), ["\"4:2\" in-x revoked", "\"4:3\" in-y", "4 _user/al"]);
    site.put("/db/unseen", r#"{"channels":["x"]}"#);
    site.put("/db/seen", r#"{"channels":["y"]}"#);
    assert_eq!(rows(&mut feed, 1), ["6 seen"]);
}

#[test]
fn a_feed_ends_with_its_user() {
    for feed in ["continuous", "longpoll"] {
        let site = Site::start();
        let mut feed = site.follow(&format!("feed={feed}&since=3"));
        assert_eq!(site.admin.delete("/db/_user/al").unwrap().status, 200);
        // Whoever reads on comes to the end, not to a cut.
        while feed.next_line().unwrap().is_some() {}
    }
}
