//! Documents in a channel, and people of whom some have it.

use super::table::Row;
use crate::site::{Door, Site};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{collections::BTreeSet, fmt::Write as _};
use tidegate_testkit::http::Response;

/// All that is to stay hidden has this in it, but revisions and digests.
pub(crate) const MARK: &str = "k7q2";
pub(crate) const ATTACHMENT: &str = "name-k7q2.txt";
pub(crate) const CONFLICT: &str = "2-00000000000000000000000000000c0f";
pub(crate) const DESIGN: &str = r#"{"note":"k7q2","views":{"v":{"map":"function(doc){emit(doc._id)}"}},
    "filters":{"all":"function(){return true}","throws":"function(){throw('k7q2')}"}}"#;

/// Two collections whose documents say in which channels they are.
pub(crate) const SHOP: &str = r#"{"scopes":{"s":{"collections":{"c":{"sync":"function(doc){channel(doc.channels)}"},
    "d":{"sync":"function(doc){channel(doc.channels)}"}}}}}"#;

/// A document that some may see, or one that isn't there.
pub(crate) struct Target {
    pub(crate) words: [(&'static str, String); 5],
}

impl Target {
    pub(crate) fn new(id: &str, rev: &str, old: &str, digest: &str) -> Self {
        let owned = str::to_owned;
        let words = [
            ("ID", owned(id)),
            ("REV", owned(rev)),
            ("OLD", owned(old)),
            ("ATT", owned(ATTACHMENT)),
            ("DIG", owned(digest)),
        ];
        Self { words }
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    /// The text with what speaks of this document taken out.
    pub(crate) fn blot(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(value, &format!("<{word}>")))
    }
}

pub(crate) struct Scene {
    pub(crate) site: Site,
    /// What `db` stands for in what is asked.
    pub(crate) keyspace: &'static str,
    pub(crate) document: Target,
    pub(crate) deleted: Target,
    /// Nothing of this is told to those who haven't the channel.
    pub(crate) secrets: BTreeSet<String>,
}

/// A path as it may be sent.
pub(crate) fn encoded(line: &str) -> String {
    line.replace('"', "%22").replace('[', "%5B").replace(']', "%5D")
}

pub(crate) fn digest_of(rev: &str) -> &str {
    rev.split_once('-').unwrap().1
}

impl Scene {
    pub(crate) fn new() -> Self {
        let site = Site::start();
        people(&site);
        site.put("open", r#"{"channels":["y"]}"#);
        let content = BASE64_STANDARD.encode("c0ntent-k7q2");
        let attached = format!(r#"{{"{ATTACHMENT}":{{"content_type":"text/plain","data":"{content}"}}}}"#);
        let old = site.put("doc-k7q2", &format!(r#"{{"channels":["x"],"n":"0ld-k7q2","_attachments":{attached}}}"#));
        let stub = format!(r#"{{"{ATTACHMENT}":{{"stub":true,"revpos":1}}}}"#);
        let body = format!(r#"{{"_rev":"{old}","channels":["x"],"n":"b0dy-k7q2","_attachments":{stub}}}"#);
        let rev = site.put("doc-k7q2", &body);
        let ids = [digest_of(CONFLICT), digest_of(&old)];
        let conflict = serde_json::json!({ "_id": "doc-k7q2", "_revisions": { "start": 2, "ids": ids },
            "channels": ["x"], "n": "c0nf-k7q2" });
        site.administer("POST /db/_bulk_docs", &format!(r#"{{"new_edits":false,"docs":[{conflict}]}}"#));
        let shown = site.administer_couch("GET /db/doc-k7q2", "");
        let digest = shown["_attachments"][ATTACHMENT]["digest"].as_str().unwrap().to_owned();
        let gone = site.put("del-k7q2", r#"{"channels":["x"]}"#);
        let tomb = site.administer(&format!("DELETE /db/del-k7q2?rev={gone}"), "")["rev"].as_str().unwrap().to_owned();
        site.put("pur-k7q2", r#"{"channels":["x"]}"#);
        site.administer("POST /db/_purge", r#"{"pur-k7q2":["*"]}"#);
        site.administer_couch("PUT /db/_design/des-k7q2", DESIGN);
        let checkpoint = site.ask(Door::Couch, Some("bob:bob"), "PUT /db/_local/chk-k7q2", r#"{"n":"l0cal-k7q2"}"#);
        assert_eq!(checkpoint.status, 201);
        let secrets = [MARK, digest_of(&rev), digest_of(&old), digest_of(CONFLICT), digest_of(&gone), digest_of(&tomb)];
        let mut secrets: BTreeSet<String> = secrets.into_iter().map(str::to_owned).collect();
        secrets.extend([content.trim_end_matches('=').to_owned(), digest.split_once('-').unwrap().1.to_owned()]);
        let document = Target::new("doc-k7q2", &rev, &old, &digest);
        let deleted = Target::new("del-k7q2", &tomb, &gone, &digest);
        Self { site, keyspace: "db", document, deleted, secrets }
    }

    /// Documents of channel `x` of the collection `s.c`, which bob has; ada has `x`, and everything, in `s.d`.
    pub(crate) fn in_collections() -> Self {
        let site = Site::start();
        site.administer("PUT /shop/", SHOP);
        let user = |name: &str, here: &str, there: &str| {
            let body = format!(
                r#"{{"password":"{name}","admin_channels":["x","*"],
                    "collection_access":{{"s":{{"c":{{"admin_channels":{here}}},"d":{{"admin_channels":{there}}}}}}}}}"#
            );
            site.administer(&format!("PUT /shop/_user/{name}"), &body);
        };
        user("ada", r#"["y"]"#, r#"["x","*"]"#);
        user("bob", r#"["x"]"#, "[]");
        let put = |id: &str, json: &str| {
            site.administer(&format!("PUT /shop.s.c/{id}"), json)["rev"].as_str().unwrap().to_owned()
        };
        let content = BASE64_STANDARD.encode("c0ntent-k7q2");
        let attached = format!(r#"{{"{ATTACHMENT}":{{"content_type":"text/plain","data":"{content}"}}}}"#);
        let old = put("doc-k7q2", &format!(r#"{{"channels":["x"],"n":"0ld-k7q2","_attachments":{attached}}}"#));
        let stub = format!(r#"{{"{ATTACHMENT}":{{"stub":true,"revpos":1}}}}"#);
        let body = format!(r#"{{"_rev":"{old}","channels":["x"],"n":"b0dy-k7q2","_attachments":{stub}}}"#);
        let rev = put("doc-k7q2", &body);
        let shown = site.administer("GET /shop.s.c/doc-k7q2", "");
        let digest = shown["_attachments"][ATTACHMENT]["digest"].as_str().unwrap().to_owned();
        let gone = put("del-k7q2", r#"{"channels":["x"]}"#);
        let line = format!("DELETE /shop.s.c/del-k7q2?rev={gone}");
        let tomb = site.administer(&line, "")["rev"].as_str().unwrap().to_owned();
        let secrets = [MARK, digest_of(&rev), digest_of(&old), digest_of(&gone), digest_of(&tomb)];
        let mut secrets: BTreeSet<String> = secrets.into_iter().map(str::to_owned).collect();
        secrets.extend([content.trim_end_matches('=').to_owned(), digest.split_once('-').unwrap().1.to_owned()]);
        let document = Target::new("doc-k7q2", &rev, &old, &digest);
        let deleted = Target::new("del-k7q2", &tomb, &gone, &digest);
        Self { site, keyspace: "shop.s.c", document, deleted, secrets }
    }

    pub(crate) fn ask(
        &self,
        (door, who): (Door, Option<&str>),
        row: &Row,
        (method, target): (&str, &Target),
    ) -> Response {
        let (_, path) = row.line.split_once(' ').unwrap();
        let path = path.replacen("/db/", &format!("/{}/", self.keyspace), 1);
        let line = format!("{method} {}", encoded(&target.fill(&path)));
        let value = row.header.map(|(name, value)| (name, target.fill(value)));
        let headers: Vec<(&str, &str)> = value.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.site.ask_with(door, who, &line, (&headers, &target.fill(row.body)))
    }

    /// What an answer tells that its request didn't know.
    pub(crate) fn told(&self, row: &Row, target: &Target, answer: &Response) -> Vec<String> {
        let asked = [row.line, row.body, row.header.map(|(_, value)| value).unwrap_or_default()].join(" ");
        let mut text = text_of(answer);
        for (word, value) in &target.words {
            if asked.contains(word) {
                text = text.replace(value, "");
                text = text.replace(value.split_once('-').map_or(value.as_str(), |(_, digest)| digest), "");
            }
        }
        for word in ["chk-k7q2", "des-k7q2"] {
            if asked.contains(word) {
                text = text.replace(word, "");
            }
        }
        self.secrets.iter().filter(|secret| text.contains(*secret)).cloned().collect()
    }
}

/// All of an answer but what differs from one to the next.
pub(crate) fn text_of(answer: &Response) -> String {
    let mut text = format!("{}\n", answer.status);
    for (name, value) in &answer.headers {
        if !["date", "x-couch-request-id", "x-request-id", "set-cookie"].contains(&name.as_str()) {
            writeln!(text, "{name}: {value}").unwrap();
        }
    }
    text.push_str(&answer.text());
    let boundary = answer.header("content-type").and_then(|value| value.split_once("boundary=")).map(|(_, name)| name);
    match boundary {
        Some(boundary) => text.replace(boundary.trim_matches('"'), "BOUNDARY"),
        None => text,
    }
}

/// Users of the database whose password is the name, and of the server.
pub(crate) fn people(site: &Site) {
    site.administer("PUT /other/", "{}");
    site.administer("PUT /db/_role/nurse", r#"{"admin_channels":["x"]}"#);
    let user = |name: &str, more: &str| {
        site.administer(&format!("PUT /db/_user/{name}"), &format!(r#"{{"password":"{name}"{more}}}"#));
    };
    user("ada", r#","admin_channels":["y"]"#);
    user("bob", r#","admin_channels":["x"]"#);
    user("rolf", r#","admin_roles":["nurse"]"#);
    user("dan", r#","admin_channels":["x"],"disabled":true"#);
    user("gus", r#","admin_channels":["x"]"#);
    site.administer("DELETE /db/_user/gus", "");
    site.administer("PUT /other/_user/oz", r#"{"password":"ozz","admin_channels":["x","*"]}"#);
    // Of the server: of the same name as users of the database, as nobody there, and as the guest.
    for name in ["ada", "bob", "sue", "nurse", "GUEST", "keeper"] {
        let user = format!(r#"{{"name":"{name}","type":"user","roles":["nurse"],"password":"server"}}"#);
        site.administer_couch(&format!("PUT /_users/org.couchdb.user:{name}"), &user);
    }
    site.administer_couch("PUT /db/_security", r#"{"admins":{"names":["keeper"]},"members":{"names":["sue"]}}"#);
}
