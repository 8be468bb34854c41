//! Every route that reads, asked by everybody for documents of a channel that some have and others haven't.

use crate::site::{Door, Site};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{collections::BTreeSet, fmt::Write as _};
use tidegate_testkit::http::Response;

/// One line a request. First who has the route: CouchDB's dialect (`C`), Sync Gateway's (`G`) or both (`B`). Then
/// what is expected: `+` those who have the channel are told something, `F` others are forbidden, `!` those who have it
/// don't ask, as it would change things; `~` as the request speaks of what only those can know who had it, nobody is
/// surprised that it tells existence. `ID`, `REV`, `OLD` are the document's, `ATT` its attachment's name, `DIG` its
/// digest. Behind the bars: the body, and a header.
const TABLE: &str = r#"
B F+ GET /db/ID
B F+ GET /db/ID?rev=REV
B F+ GET /db/ID?rev=OLD
B F+ GET /db/ID?revs=true
B F+ GET /db/ID?rev=REV&revs=true
B F+ GET /db/ID?attachments=true
C F+ GET /db/ID?attachments=true || accept: multipart/related
G +  GET /db/ID?attachments=true || accept: multipart/related
B F+ GET /db/ID?attachments=true&atts_since=["OLD"]
B F+ GET /db/ID || if-none-match: "REV"
B F+ GET /db/ID || if-none-match: "1-none"
B +  GET /db/ID?open_revs=all
B +  GET /db/ID?open_revs=all || accept: application/json
B +  GET /db/ID?open_revs=all&revs=true || accept: application/json
B +  GET /db/ID?open_revs=["REV","OLD"] || accept: application/json
B +  GET /db/ID?open_revs=["REV","OLD"]&attachments=true
B F+ GET /db/ID/ATT
B F+ GET /db/ID/ATT?rev=REV
B F+ GET /db/ID/ATT?rev=OLD
B F+ GET /db/ID/ATT || range: bytes=0-3
B F+ GET /db/ID/ATT || if-none-match: "DIG"
B F  GET /db/ID/none
B F  GET /db/ID?rev=9-a
G F+ GET /db/ID/ATT?meta=true
G F+ GET /db/ID?show_cv=true
C F+ GET /db/ID?revs_info=true
C F+ GET /db/ID?conflicts=true
C F+ GET /db/ID?deleted_conflicts=true&local_seq=true
C F+ GET /db/ID?meta=true
C F+ GET /db/ID?att_encoding_info=true
C F+ GET /db/ID?rev=OLD&latest=true
C +  GET /db/ID?open_revs=["OLD"]&latest=true || accept: application/json
C F! COPY /db/ID || destination: copied
C F! COPY /db/ID?rev=OLD || destination: copied

B +  GET /db/_all_docs
B +  GET /db/_all_docs?include_docs=true
B +  GET /db/_all_docs?include_docs=true&revs=true&update_seq=true
B +  GET /db/_all_docs?startkey="ID"&endkey="ID"
B +  GET /db/_all_docs?key="ID"
B +  GET /db/_all_docs?keys=["ID"]&include_docs=true
B +  POST /db/_all_docs | {"keys":["ID"]}
B +  POST /db/_all_docs?include_docs=true | {"keys":["ID","none"]}
B    GET /db/_all_docs?limit=1
G    GET /db/_all_docs?access=true&channels=true
C    GET /db/_all_docs?skip=1&limit=1
C +  GET /db/_all_docs?descending=true&include_docs=true&attachments=true&conflicts=true&att_encoding_info=true
C +  POST /db/_all_docs/queries | {"queries":[{},{"keys":["ID"],"include_docs":true},{"key":"ID"}]}
C    GET /db/_design_docs
C    GET /db/_design_docs?include_docs=true
C    POST /db/_design_docs | {"keys":["_design/des-k7q2","ID"]}
C    POST /db/_design_docs/queries | {"queries":[{"include_docs":true}]}
C    GET /db/_local_docs?include_docs=true
C    POST /db/_local_docs?include_docs=true | {"keys":["_local/none"]}
C    POST /db/_local_docs/queries | {"queries":[{"include_docs":true}]}
B    GET /db/_local/chk-k7q2
B    GET /db/_design/des-k7q2
C    GET /db/_design/des-k7q2/att
C    GET /db/_design/des-k7q2/_view/v
C    GET /db/_design/des-k7q2/_info
G    GET /db/_design/des-k7q2/_view/v
C    POST /db/_find | {"selector":{"_id":"ID"}}
C    POST /db/_explain | {"selector":{"_id":"ID"}}
C    GET /db/_index
C    GET /db/_purged_infos
C    GET /db/_purged_infos_limit
C !  POST /db/_purge | {"ID":["REV"]}
G !  POST /db/_purge | {"ID":["*"]}
G    GET /db/_raw/ID
G    GET /db/_revtree/ID
G    GET /db/_dumpchannel/x
G    GET /db/_config
G    GET /db/_config/sync
G    GET /db/_user/
G    GET /db/_user/bob
G    GET /db/_session
C    GET /_session
B    GET /db/
C    GET /_all_dbs
C    POST /_dbs_info | {"keys":["db"]}
C    GET /_db_updates
C    GET /_active_tasks
C    GET /db/_revs_limit
C    GET /db/_security
C    GET /db/_shards

B +  GET /db/_changes
B +  GET /db/_changes?include_docs=true
B +  GET /db/_changes?style=all_docs
B +  GET /db/_changes?style=all_docs&include_docs=true&conflicts=true&attachments=true&att_encoding_info=true
B +  GET /db/_changes?limit=50&since=1
B    GET /db/_changes?limit=1
B    GET /db/_changes?since=now&feed=longpoll&timeout=1
B +  GET /db/_changes?feed=longpoll&timeout=1
B +  GET /db/_changes?feed=continuous&timeout=1&include_docs=true
C +  GET /db/_changes?feed=eventsource&timeout=1&include_docs=true
B +  GET /db/_changes?filter=_doc_ids&doc_ids=["ID"]
B +  GET /db/_changes?filter=_doc_ids&doc_ids=["ID"]&include_docs=true&style=all_docs
B +  POST /db/_changes?filter=_doc_ids | {"doc_ids":["ID"]}
B +  POST /db/_changes | {"include_docs":true}
G +  POST /db/_changes | {"filter":"_doc_ids","doc_ids":["ID"],"include_docs":true}
G +  GET /db/_changes?active_only=true&include_docs=true
G +  GET /db/_changes?revocations=true&include_docs=true
G +  GET /db/_changes?version_type=cv&style=all_docs
G +  GET /db/_changes?filter=sync_gateway/bychannel&channels=x&include_docs=true
G +  GET /db/_changes?filter=sync_gateway/bychannel&channels=x,y,*,!
C    GET /db/_changes?descending=true&include_docs=true
C +  POST /db/_changes?filter=_selector&include_docs=true | {"selector":{"_id":{"$gt":null}}}
C +  POST /db/_changes?filter=_selector&style=all_docs | {"selector":{"_id":"ID"}}
C    GET /db/_changes?filter=_design
C    GET /db/_changes?filter=des-k7q2/all&include_docs=true
C    GET /db/_changes?filter=_view&view=des-k7q2/v&style=all_docs
C    GET /db/_changes?filter=des-k7q2/throws

B +  POST /db/_bulk_get | {"docs":[{"id":"ID"}]}
B +  POST /db/_bulk_get?revs=true&attachments=true | {"docs":[{"id":"ID"},{"id":"ID","rev":"REV"},{"id":"ID","rev":"OLD"},{"id":"ID","rev":"9-a"}]}
B +  POST /db/_bulk_get?revs=true&attachments=true | {"docs":[{"id":"ID","rev":"REV"},{"id":"ID","rev":"OLD"}]} | accept: application/json
B +  POST /db/_bulk_get?revs=true | {"docs":[{"id":"ID","rev":"REV","atts_since":["OLD"]}]} | accept: multipart/mixed
C +  POST /db/_bulk_get?latest=true | {"docs":[{"id":"ID","rev":"OLD"}]}
B    POST /db/_revs_diff | {"ID":["REV","OLD","9-a"]}
C    POST /db/_missing_revs | {"ID":["REV","OLD","9-a"]}

B ~! PUT /db/ID | {}
B ~! PUT /db/ID?rev=OLD | {}
B ~! DELETE /db/ID
B ~! DELETE /db/ID?rev=OLD
B ~! PUT /db/ID/ATT?rev=OLD | {}
B ~! PUT /db/ID/ATT | {}
B ~! DELETE /db/ID/ATT?rev=OLD
B ~! DELETE /db/ID/none?rev=REV
B ~! POST /db/_bulk_docs | {"docs":[{"_id":"ID"},{"_id":"ID","_rev":"OLD"}]}
B ~! PUT /db/ID | {"_rev":"REV","channels":["y"],"_attachments":{"ATT":{"stub":true,"digest":"DIG"}}}
B ~! PUT /db/stolen | {"channels":["y"],"_attachments":{"ATT":{"stub":true,"digest":"DIG","length":7}}}
B ~! PUT /db/stolen?new_edits=false | {"_rev":"1-a","channels":["y"],"_attachments":{"ATT":{"stub":true,"revpos":1,"digest":"DIG"}}}
B ~! POST /db/_bulk_docs | {"docs":[{"_id":"ID","_rev":"REV","channels":["y"],"_attachments":{"ATT":{"stub":true,"digest":"DIG"}}}]}
"#;

/// All that is to stay hidden has this in it, but revisions and digests.
const MARK: &str = "k7q2";
const ATTACHMENT: &str = "name-k7q2.txt";
const CONFLICT: &str = "2-00000000000000000000000000000c0f";
const DESIGN: &str = r#"{"note":"k7q2","views":{"v":{"map":"function(doc){emit(doc._id)}"}},
    "filters":{"all":"function(){return true}","throws":"function(){throw('k7q2')}"}}"#;

struct Row {
    dialects: &'static str,
    flags: &'static str,
    line: &'static str,
    body: &'static str,
    header: Option<(&'static str, &'static str)>,
}

impl Row {
    fn parse(text: &'static str) -> Self {
        let mut parts = text.splitn(3, '|');
        let head = parts.next().unwrap();
        let (dialects, rest) = head.split_at(1);
        let (flags, line) =
            rest.trim().split_at(rest.trim().find(|c: char| c.is_ascii_uppercase() && c != 'F').unwrap());
        let body = parts.next().unwrap_or_default().trim();
        let header = parts.next().and_then(|header| header.trim().split_once(": "));
        Self { dialects, flags: flags.trim(), line: line.trim(), body, header }
    }

    fn is_of(&self, door: Door) -> bool {
        match self.dialects {
            "C" => door == Door::Couch,
            "G" => door == Door::Gateway,
            _ => true,
        }
    }

    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

/// A document that some may see, or one that isn't there.
struct Target {
    words: [(&'static str, String); 5],
}

impl Target {
    fn new(id: &str, rev: &str, old: &str, digest: &str) -> Self {
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

    fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    /// The text with what speaks of this document taken out.
    fn blot(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(value, &format!("<{word}>")))
    }
}

struct Scene {
    site: Site,
    document: Target,
    deleted: Target,
    /// Nothing of this is told to those who haven't the channel.
    secrets: BTreeSet<String>,
}

/// A path as it may be sent.
fn encoded(line: &str) -> String {
    line.replace('"', "%22").replace('[', "%5B").replace(']', "%5D")
}

fn digest_of(rev: &str) -> &str {
    rev.split_once('-').unwrap().1
}

impl Scene {
    fn new() -> Self {
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
        Self { site, document, deleted, secrets }
    }

    fn ask(&self, (door, who): (Door, Option<&str>), row: &Row, (method, target): (&str, &Target)) -> Response {
        let (_, path) = row.line.split_once(' ').unwrap();
        let line = format!("{method} {}", encoded(&target.fill(path)));
        let value = row.header.map(|(name, value)| (name, target.fill(value)));
        let headers: Vec<(&str, &str)> = value.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.site.ask_with(door, who, &line, (&headers, &target.fill(row.body)))
    }

    /// What an answer tells that its request didn't know.
    fn told(&self, row: &Row, target: &Target, answer: &Response) -> Vec<String> {
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
fn text_of(answer: &Response) -> String {
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
fn people(site: &Site) {
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

/// Those who haven't the channel, but may use the database.
const OTHERS: [(Door, Option<&str>); 4] = [
    (Door::Couch, Some("ada:ada")),
    (Door::Couch, Some("ada:server")),
    (Door::Gateway, Some("ada:ada")),
    (Door::Gateway, None),
];
/// Those who have it, or may do everything.
const SEERS: [(Door, Option<&str>); 7] = [
    (Door::Couch, Some("bob:bob")),
    (Door::Couch, Some("rolf:rolf")),
    (Door::Couch, Some("bob:server")),
    (Door::Couch, Some("keeper:server")),
    (Door::Couch, Some("root:root")),
    (Door::Gateway, Some("bob:bob")),
    (Door::Gateway, Some("rolf:rolf")),
];
/// Those who aren't let in.
const STRANGERS: [(Door, Option<&str>); 12] = [
    (Door::Couch, Some("sue:server")),
    (Door::Couch, Some("nurse:server")),
    (Door::Couch, Some("GUEST:server")),
    (Door::Couch, Some("dan:dan")),
    (Door::Couch, Some("gus:gus")),
    (Door::Couch, Some("oz:ozz")),
    (Door::Gateway, Some("sue:server")),
    (Door::Gateway, Some("root:root")),
    (Door::Gateway, Some("keeper:server")),
    (Door::Gateway, Some("dan:dan")),
    (Door::Gateway, Some("gus:gus")),
    (Door::Gateway, Some("oz:ozz")),
];

fn rows() -> Vec<Row> {
    TABLE.lines().filter(|line| !line.is_empty()).map(Row::parse).collect()
}

fn methods(row: &Row) -> Vec<&'static str> {
    let method = row.line.split_once(' ').unwrap().0;
    if method == "GET" && !row.line.contains("_changes") { vec![method, "HEAD"] } else { vec![method] }
}

#[test]
fn who_has_the_channel_is_told() {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| !row.has('!')) {
        for asker in SEERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            let answer = scene.ask(asker, row, (methods(row)[0], &scene.document));
            let text = text_of(&answer);
            let has_news = text.contains(MARK) || scene.secrets.iter().any(|secret| text.contains(secret));
            // What is not modified isn't told again.
            if row.has('+') && !has_news && answer.status != 304 {
                wrong.push(format!("{} {asker:?} is told nothing: {text}", row.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_has_not_the_channel_is_told_nothing() {
    let scene = Scene::new();
    scene.site.administer("PUT /db/_user/GUEST", r#"{"disabled":false,"admin_channels":["y"]}"#);
    let mut wrong = Vec::new();
    for row in &rows() {
        for asker in OTHERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            for (method, target) in methods(row).into_iter().flat_map(|m| [(m, &scene.document), (m, &scene.deleted)]) {
                let answer = scene.ask(asker, row, (method, target));
                let told = scene.told(row, target, &answer);
                if !told.is_empty() || answer.status >= 500 && answer.status != 501 {
                    wrong.push(format!("{method} {} {asker:?} tells {told:?}: {}", row.line, text_of(&answer)));
                }
                if row.has('F') && answer.status != 403 {
                    wrong.push(format!("{method} {} {asker:?} isn't forbidden: {}", row.line, text_of(&answer)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_has_not_the_channel_learns_of_no_existence_where_it_is_hidden() {
    let scene = Scene::new();
    scene.site.administer("PUT /db/_user/GUEST", r#"{"disabled":false,"admin_channels":["y"]}"#);
    scene.site.administer("POST /db/_config", r#"{"hide_existence":true}"#);
    let nothing = |like: &Target| {
        let length = |place: usize| like.words[place].1.len();
        let rev = |length: usize, first: &str| format!("{first}{}", "9".repeat(length - first.len()));
        let prefix = if like.words[4].1.starts_with("sha1") { "sha1-" } else { "md5-" };
        let digest = format!("{prefix}{}", "A".repeat(like.words[4].1.len() - prefix.len()));
        Target::new("nil-k7q2", &rev(length(1), "2-a"), &rev(length(2), "1-b"), &digest)
    };
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| !row.has('~')) {
        for asker in OTHERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            for (method, target) in methods(row).into_iter().flat_map(|m| [(m, &scene.document), (m, &scene.deleted)]) {
                let nothing = nothing(target);
                let there = target.blot(&text_of(&scene.ask(asker, row, (method, target))));
                let absent = nothing.blot(&text_of(&scene.ask(asker, row, (method, &nothing))));
                if there != absent {
                    wrong.push(format!("{method} {} {asker:?}: {there}\n--- and of nothing: {absent}", row.line));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Documents of which some revisions are in the channel, and others in one that everybody here has.
fn in_parts(scene: &mut Scene) -> Vec<Target> {
    let site = &scene.site;
    // Leaves of three kinds beside the one that is seen.
    let first = site.put("par", r#"{"channels":["y"]}"#);
    let winner = site.put("par", &format!(r#"{{"_rev":"{first}","channels":["y"],"n":1}}"#));
    let leaf = |start: u64, digest: &str, deleted: bool| {
        let attachments = serde_json::json!({ ATTACHMENT: { "data": "azdxMg==", "content_type": "text/plain" } });
        serde_json::json!({ "_id": "par", "_revisions": { "start": start, "ids": [digest, digest_of(&first)] },
            "channels": ["x"], "n": "c0nf-k7q2", "_deleted": deleted, "_attachments": attachments })
    };
    let (live, dead) = (digest_of(CONFLICT), "000000000000000000000000000dead1");
    let docs = serde_json::json!({ "new_edits": false, "docs": [leaf(2, live, false), leaf(2, dead, true)] });
    site.administer("POST /db/_bulk_docs", &docs.to_string());
    // One that was seen, left, and went on where it isn't seen.
    let seen = site.put("mov", r#"{"channels":["y"]}"#);
    let left = site.put("mov", &format!(r#"{{"_rev":"{seen}","channels":["x"],"n":"l3ft-k7q2"}}"#));
    let last = site.put("mov", &format!(r#"{{"_rev":"{left}","channels":["x"],"n":"l4st-k7q2"}}"#));
    scene.secrets = [MARK, live, digest_of(&last), "azdxMg"].into_iter().map(str::to_owned).collect();
    let digest = scene.document.words[4].1.clone();
    vec![
        Target::new("par", &winner, &first, &digest),
        Target::new("par", CONFLICT, &first, &digest),
        Target::new("mov", &last, &seen, &digest),
        Target::new("mov", &left, &seen, &digest),
    ]
}

#[test]
fn who_sees_a_part_of_a_document_is_told_nothing_of_the_rest() {
    let mut scene = Scene::new();
    scene.site.administer("PUT /db/_user/GUEST", r#"{"disabled":false,"admin_channels":["y"]}"#);
    let targets = in_parts(&mut scene);
    let mut wrong = Vec::new();
    // Their writes are allowed, as far as they see what they write over.
    for row in rows().iter().filter(|row| !row.has('~') && !row.has('!')) {
        for asker in OTHERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            for (method, target) in methods(row).into_iter().flat_map(|m| targets.iter().map(move |target| (m, target)))
            {
                let answer = scene.ask(asker, row, (method, target));
                let told = scene.told(row, target, &answer);
                if !told.is_empty() || answer.status >= 500 && answer.status != 501 {
                    let of = &target.words[..2];
                    wrong.push(format!(
                        "{method} {} {asker:?} of {of:?} tells {told:?}: {}",
                        row.line,
                        text_of(&answer)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_is_no_user_of_the_database_is_not_let_in() {
    let scene = Scene::new();
    let anonymous = [(Door::Couch, None), (Door::Gateway, None)];
    let mut wrong = Vec::new();
    for (number, row) in rows().iter().enumerate().filter(|(_, row)| row.line.contains(" /db")) {
        for (place, asker) in
            STRANGERS.into_iter().chain(anonymous).enumerate().filter(|(_, (door, _))| row.is_of(*door))
        {
            // Wrong passwords take long to check.
            if asker.1.is_some() && (number + place) % 12 != 0 || row.line.contains("_session") {
                continue;
            }
            let answer = scene.ask(asker, row, (methods(row)[0], &scene.document));
            let told = scene.told(row, &scene.document, &answer);
            if !told.is_empty() || !matches!(answer.status, 401 | 403 | 404) {
                wrong.push(format!("{} {asker:?} is let in: {}", row.line, text_of(&answer)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
