//! Feeds of users that run while what the user may see changes. Source: `spec/gateway.md` 2.4 and 3.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use tidegate_testkit::{
    http::{Client, Stream},
    server::Server,
};

const AL: (&str, &str) = ("authorization", "Basic YWw6c2VjcmV0");
const BO: (&str, &str) = ("authorization", "Basic Ym86c2VjcmV0");

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

    fn rev(&self, id: &str) -> String {
        let answer = self.admin.get(&format!("/db/{id}")).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        document["_rev"].as_str().unwrap().to_owned()
    }

    fn follow(&self, query: &str) -> Stream {
        self.follow_as(AL, query)
    }

    fn follow_as(&self, user: (&str, &str), query: &str) -> Stream {
        let path = format!("/db/_changes?{query}");
        let stream = self.public.stream("GET", &path, &[user], b"").unwrap();
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

/// What the next row tells of its document.
fn told(stream: &mut Stream) -> String {
    let row: serde_json::Value = serde_json::from_str(&stream.next_row().unwrap().unwrap()).unwrap();
    let deleted = if row["deleted"] == true { " deleted" } else { "" };
    let removed = row["removed"].as_array().map(|removed| format!(" removed from {}", removed[0])).unwrap_or_default();
    format!("{}{deleted}{removed}", row["id"].as_str().unwrap())
}

#[test]
fn feeds_that_wait_together_are_told_each_what_it_sees() {
    let site = Site::start();
    site.put("/db/_user/bo", r#"{"password":"secret","admin_channels":["y"]}"#);
    let mut al = site.follow("feed=continuous&since=3&heartbeat=60000");
    let mut al_other = site.follow("feed=continuous&since=3&style=all_docs");
    let mut al_live = site.follow("feed=continuous&since=3&active_only=true");
    let mut bos = site.follow_as(BO, "feed=continuous&since=4");
    let mut of_x = site.follow("feed=continuous&since=3&filter=sync_gateway/bychannel&channels=x,z");
    let mut check = |expected: [&[&str]; 5]| {
        let feeds = [&mut al, &mut al_other, &mut al_live, &mut bos, &mut of_x];
        for (place, (feed, expected)) in feeds.into_iter().zip(expected).enumerate() {
            for expected in expected {
                assert_eq!(told(feed), *expected, "feed {place}");
            }
        }
    };
    site.put("/db/a", r#"{"channels":["x"]}"#);
    site.put("/db/b", r#"{"channels":["y"]}"#);
    check([&["a"], &["a"], &["a"], &["b"], &["a"]]);
    site.put("/db/c", r#"{"channels":["x","y"]}"#);
    check([&["c"]; 5]);
    // It leaves a channel of some, and goes on in that of another.
    let rev = site.rev("a");
    site.put(&format!("/db/a?rev={rev}"), r#"{"channels":["y"]}"#);
    let removed: &[&str] = &["a removed from \"x\""];
    check([removed, removed, removed, &["a"], removed]);
    let rev = site.rev("c");
    assert_eq!(site.admin.delete(&format!("/db/c?rev={rev}")).unwrap().status, 200);
    site.put("/db/d", r#"{"channels":["x","y"]}"#);
    let gone: &[&str] = &["c deleted removed from \"x\"", "d"];
    check([gone, gone, &["d"], &["c deleted removed from \"y\"", "d"], gone]);
    // A conflict has to be looked up for each.
    for rev in ["1-a", "1-b"] {
        let branch = format!(r#"{{"new_edits":false,"docs":[{{"_id":"e","_rev":"{rev}","channels":["x"]}}]}}"#);
        assert_eq!(site.admin.post("/db/_bulk_docs", &branch).unwrap().status, 201);
        check([&["e"], &["e"], &["e"], &[], &["e"]]);
    }
    site.put("/db/f", r#"{"channels":["x","y"]}"#);
    check([&["f"]; 5]);
    // Who is granted something goes on by itself; others stay.
    site.put("/db/_user/al", r#"{"admin_channels":["x","y","z"]}"#);
    site.put("/db/g", r#"{"channels":["y"]}"#);
    site.put("/db/h", r#"{"channels":["z"]}"#);
    check([&[], &[], &[], &["g"], &[]]);
    for feed in [&mut al, &mut al_other, &mut al_live, &mut of_x] {
        while told(feed) != "h" {}
    }
}

#[test]
fn feeds_of_one_collection_hear_nothing_of_another() {
    let site = Site::start();
    site.put("/two/", r#"{"scopes":{"s":{"collections":{"c":{},"d":{}}}}}"#);
    site.put("/two/_user/al", r#"{"password":"secret","collection_access":{"s":{"c":{"admin_channels":["c","d"]},"d":{"admin_channels":["c","d"]}}}}"#);
    let follow = |collection: &str| {
        let path = format!("/two.s.{collection}/_changes?feed=continuous&since=0");
        site.public.stream("GET", &path, &[AL], b"").unwrap()
    };
    let mut feeds = [("c", follow("c")), ("d", follow("d"))];
    for round in 0..4 {
        for collection in ["c", "d"] {
            site.put(&format!("/two.s.{collection}/{collection}{round}"), r#"{"channels":["c","d"]}"#);
        }
    }
    for (collection, feed) in &mut feeds {
        let rows = std::iter::repeat_with(|| told(feed)).filter(|row| !row.starts_with('_')).take(4);
        assert_eq!(rows.collect::<Vec<_>>(), [0, 1, 2, 3].map(|round| format!("{collection}{round}")));
    }
}
