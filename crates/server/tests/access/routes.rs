//! Every route and method of the listener, and what everybody gets there.
//!
//! Statuses are CouchDB 3.5's (`chttpd_auth_request`, `couch_db`, `couch_users_db`) but where a line says otherwise.

use crate::site::{Site, Who};
use std::collections::BTreeSet;
use tidegate_testkit::http::Response;

/// One line a method and path. `WHO` stands for the name of whoever asks, `REV` for the revision of every document that
/// was there before. Behind the bar: what is sent. HEAD gets what GET gets.
///
/// `db` has a member (ada) and an administrator (keeper); `_users` is open to everybody, with keeper as administrator;
/// `_replicator` is as it is made: for the server's administrators alone.
const TABLE: &str = r#"
                                                nobody  eve  ada keeper root
GET    /                                           200  200  200  200  200
GET    /_up                                        200  200  200  200  200
GET    /_uuids                                     200  200  200  200  200
GET    /_session                                   200  200  200  200  200
POST   /_session                                   200  200  200  200  200 | {"name":"ada","password":"ada"}
DELETE /_session                                   200  200  200  200  200
GET    /_all_dbs                                   401  401  401  401  200
GET    /_dbs_info                                  401  401  401  401  200
POST   /_dbs_info                                  401  401  401  401  200 | {"keys":["db"]}
GET    /_active_tasks                              401  401  401  401  200
GET    /_membership                                401  401  401  401  200
GET    /_cluster_setup                             401  401  401  401  200
POST   /_cluster_setup                             401  401  401  401  201 | {"action":"enable_single_node"}
GET    /_all_dbs/more                              401  401  401  401  404
GET    /_nothing                                   404  404  404  404  404
PUT    /_nothing                                   401  401  401  401  400
GET    /_db_updates                                401  401  401  401  404
POST   /_replicate                                 401  500  500  500  500 | {"source":"none","target":"none2"}
GET    /_scheduler/jobs                            401  401  401  401  200
GET    /_scheduler/docs                            401  401  401  401  200
GET    /_reshard                                   501  501  501  501  501
GET    /_utils/                                    501  501  501  501  501
POST   /_search_analyze                            501  501  501  501  501
POST   /_nouveau_analyze                           501  501  501  501  501

GET    /_node/_local                               401  401  401  401  200
GET    /_node/elsewhere                            401  401  401  401  404
GET    /_node/_local/_nothing                      401  401  401  401  404
GET    /_node/_local/_config                       401  401  401  401  200
GET    /_node/_local/_config/couchdb               401  401  401  401  200
PUT    /_node/_local/_config/vendor/WHO            401  401  401  401  200 | "x"
GET    /_node/_local/_config/vendor/root           401  401  401  401  200
DELETE /_node/_local/_config/vendor/WHO            401  401  401  401  200
POST   /_node/_local/_config/_reload               401  401  401  401  200
GET    /_node/_local/_stats                        401  401  401  401  200
GET    /_node/_local/_stats/couchdb                401  401  401  401  200
GET    /_node/_local/_system                       401  401  401  401  200
GET    /_node/_local/_prometheus                   401  401  401  401  200
GET    /_node/_local/_backup                       401  401  401  401  200
GET    /_node/_local/_versions                     401  401  401  401  200
GET    /_node/_local/_smoosh/status                401  401  401  401  200
POST   /_node/_local/_restart                      401  401  401  401  501

GET    /db                                         401  403  200  200  200
GET    /none                                       404  404  404  404  404
PUT    /new-WHO                                    401  401  401  401  201
DELETE /gone-WHO                                   401  401  401  401  200
POST   /db                                         401  403  201  201  201 | {"_id":"posted-WHO"}
GET    /db/_all_docs                               401  403  200  200  200
POST   /db/_all_docs                               401  403  200  200  200 | {"keys":["doc"]}
POST   /db/_all_docs/queries                       401  403  200  200  200 | {"queries":[{}]}
GET    /db/_design_docs                            401  403  200  200  200
POST   /db/_design_docs                            401  403  200  200  200 | {}
POST   /db/_design_docs/queries                    401  403  200  200  200 | {"queries":[{}]}
GET    /db/_local_docs                             401  403  200  200  200
POST   /db/_local_docs                             401  403  200  200  200 | {}
POST   /db/_local_docs/queries                     401  403  200  200  200 | {"queries":[{}]}
GET    /db/_changes                                401  403  200  200  200
POST   /db/_changes                                401  403  200  200  200 | {}
POST   /db/_bulk_docs                              401  403  201  201  201 | {"docs":[{"_id":"bulk-WHO"}]}
POST   /db/_bulk_get                               401  403  200  200  200 | {"docs":[{"id":"doc"}]}
POST   /db/_revs_diff                              401  403  200  200  200 | {"doc":["9-a"]}
POST   /db/_missing_revs                           401  403  200  200  200 | {"doc":["9-a"]}
POST   /db/_ensure_full_commit                     401  403  201  201  201
GET    /db/_security                               401  403  200  200  200
GET    /db/_revs_limit                             401  403  200  200  200
PUT    /db/_revs_limit                             401  403  403  200  200 | 900
PUT    /db/_security                               401  403  403  200  200 | {"admins":{"names":["keeper"]},"members":{"names":["ada"]}}
GET    /db/_shards                                 401  403  200  200  200

  Here, CouchDB tells a stranger 401, too; Tidegate tells strangers that they are strangers.
POST   /db/_compact                                401  403  401  202  202
POST   /db/_view_cleanup                           401  403  401  202  202
POST   /db/_purge                                  401  403  401  401  201 | {"purged-WHO":["REV"]}
GET    /db/_purged_infos_limit                     401  403  401  401  200
PUT    /db/_purged_infos_limit                     401  403  401  401  200 | 900
GET    /db/_purged_infos                           401  403  200  200  200
POST   /db/_sync_shards                            401  403  401  401  202

POST   /db/_temp_view                              401  403  410  410  410
GET    /db/_auto_purge                             401  403  501  501  501
POST   /db/_explain                                401  403  501  501  501 | {}
POST   /db/_find                                   401  403  501  501  501 | {}
GET    /db/_index                                  401  403  501  501  501
GET    /db/_partition/a                            401  403  400  400  400
GET    /db/_time_seq                               401  403  501  501  501
GET    /db/_design/d/_view/v                       401  403  501  501  501

GET    /parts/_partition/a                         401  403  200  200  200
GET    /parts/_partition/a/_all_docs               401  403  200  200  200
POST   /parts/_partition/a/_all_docs               401  403  200  200  200 | {}
POST   /parts/_partition/a/_all_docs/queries       401  403  200  200  200 | {"queries":[{}]}
GET    /parts/_partition/a/_design/d/_view/v       401  403  501  501  501
POST   /parts/_partition/a/_find                   401  403  501  501  501 | {}

GET    /db/doc                                     401  403  200  200  200
PUT    /db/put-WHO                                 401  403  201  201  201 | {}
DELETE /db/deleted-WHO?rev=REV                     401  403  200  200  200
COPY   /db/doc                                     401  403  201  201  201 | to copied-WHO
POST   /db/form-WHO                                401  403  201  201  201 | form
GET    /db/doc/att                                 401  403  200  200  200
PUT    /db/att-WHO/att                             401  403  201  201  201 | text
DELETE /db/atts-WHO/att?rev=ATT                    401  403  200  200  200
GET    /db/_local/doc                              401  403  200  200  200
PUT    /db/_local/WHO                              401  403  201  201  201 | {}
COPY   /db/_local/doc                              401  403  201  201  201 | to _local/copied-WHO
DELETE /db/_local/gone-WHO                         401  403  200  200  200

GET    /db/_design/d                               401  403  200  200  200
PUT    /db/_design/put-WHO                         401  403  403  201  201 | {}
DELETE /db/_design/deleted-WHO?rev=REV             401  403  403  200  200
COPY   /db/doc                                     401  403  403  201  201 | to _design/copied-WHO
COPY   /db/_design/d                               401  403  403  201  201 | to _design/copied2-WHO
COPY   /db/_design/d                               401  403  201  201  201 | to copied2-WHO
POST   /db                                         401  403  403  201  201 | {"_id":"_design/posted-WHO"}
PUT    /db/_design/rep-WHO?new_edits=false         401  403  403  201  201 | {"_rev":"1-a"}
POST   /db/_design/form-WHO                        401  403  403  201  201 | form
PUT    /db/_design/related-WHO                     401  403  403  201  201 | related
PUT    /db/_design/att-WHO/att                     401  403  403  201  201 | text
DELETE /db/_design/atts-WHO/att?rev=ATT            401  403  403  200  200
GET    /db/_design/d/att                           401  403  200  200  200

PUT    /_users                                     401  401  401  401  412
GET    /_users                                     200  200  200  200  200
GET    /_users/_all_docs                           401  401  401  401  200
POST   /_users/_all_docs                           401  401  401  401  200 | {"keys":["org.couchdb.user:ada"]}
POST   /_users/_all_docs/queries                   401  401  401  401  200 | {"queries":[{}]}
GET    /_users/_changes                            401  401  401  401  200
POST   /_users/_changes                            401  401  401  401  200 | {}

  CouchDB lets these four tell which users there are.
GET    /_users/_design_docs                        401  401  401  401  200
GET    /_users/_local_docs                         401  401  401  401  200
POST   /_users/_revs_diff                          401  401  401  401  200 | {"org.couchdb.user:ada":["1-a"]}
POST   /_users/_missing_revs                       401  401  401  401  200 | {"org.couchdb.user:ada":["1-a"]}

GET    /_users/org.couchdb.user:ada                404  404  200  200  200
GET    /_users/org.couchdb.user:ada?open_revs=all  404  404  200  200  200
POST   /_users/_bulk_get                           200  200  200  200  200 | {"docs":[{"id":"org.couchdb.user:ada"}]}
PUT    /_users/org.couchdb.user:new-WHO            201  404  404  201  201 | {"name":"new-WHO","type":"user","roles":[],"password":"x"}
DELETE /_users/org.couchdb.user:gone-WHO?rev=GONE  404  404  404  403  200
POST   /_users/_bulk_docs                          201  201  201  201  201 | {"docs":[]}
GET    /_users/_design/d                           403  403  403  200  200
PUT    /_users/_design/put-WHO                     401  403  403  201  201 | {}
GET    /_users/_security                           200  200  200  200  200
PUT    /_users/_security                           401  403  403  200  200 | {"admins":{"names":["keeper"]},"members":{}}
POST   /_users/_purge                              401  401  401  401  201 | {}

GET    /_replicator                                401  403  403  403  200
GET    /_replicator/_all_docs                      401  403  403  403  200
GET    /_replicator/_changes                       401  403  403  403  200
PUT    /_replicator                                401  401  401  401  412
DELETE /_replicator                                401  401  401  401  200
DELETE /_users                                     401  401  401  401  200
"#;

/// A form that holds a document, and a document with its attachment behind it.
const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"_doc\"\r\n\r\n{}\r\n--b--\r\n";
const RELATED: &str = concat!(
    "--b\r\nContent-Type: application/json\r\n\r\n",
    r#"{"_attachments":{"a":{"follows":true,"length":1,"content_type":"text/plain"}}}"#,
    "\r\n--b\r\n\r\nx\r\n--b--\r\n"
);

struct Row {
    method: &'static str,
    path: &'static str,
    expected: Vec<u16>,
    sent: &'static str,
}

fn rows() -> Vec<Row> {
    let methods = ["GET ", "PUT ", "POST ", "DELETE ", "COPY "];
    let lines = TABLE.lines().filter(|line| methods.iter().any(|method| line.starts_with(method)));
    lines.map(Row::parse).collect()
}

impl Row {
    fn parse(line: &'static str) -> Self {
        let (head, sent) = line.split_once('|').unwrap_or((line, ""));
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let expected: Vec<u16> = words.map(|word| word.parse().unwrap()).collect();
        assert_eq!(expected.len(), Who::ALL.len(), "{line}");
        Self { method, path, expected, sent: sent.trim() }
    }

    fn ask(&self, site: &Site, who: Who, method: &str, revs: &[(&str, String)]) -> Response {
        let fill = |text: &str| {
            let text = text.replace("WHO", who.name());
            revs.iter().fold(text, |text, (name, rev)| text.replace(name, rev))
        };
        let (line, sent) = (fill(&format!("{method} {}", self.path)), fill(self.sent));
        let referer = format!("http://{}/", site.client.address());
        match sent.as_str() {
            "form" => {
                let headers = [("content-type", "multipart/form-data; boundary=b"), ("referer", &*referer)];
                site.ask_with(who, &line, &headers, FORM)
            }
            "related" => site.ask_with(who, &line, &[("content-type", "multipart/related; boundary=b")], RELATED),
            "text" => site.ask_with(who, &line, &[("content-type", "text/plain")], "hello"),
            json => match json.strip_prefix("to ") {
                Some(destination) => site.ask_with(who, &line, &[("destination", destination)], ""),
                None => site.ask(who, &line, json),
            },
        }
    }
}

/// What is there before; the revisions by which rows name it.
fn fill(site: &Site) -> Vec<(&'static str, String)> {
    let put = |path: &str, json: &str| {
        let answer = site.ask(Who::Root, &format!("PUT {path}"), json);
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.header("etag").map(|etag| etag.trim_matches('"').to_owned()).unwrap_or_default()
    };
    let with_attachment = r#"{"_attachments":{"att":{"data":"aGVsbG8=","content_type":"text/plain"}}}"#;
    for path in ["/db/doc", "/db/_design/d"] {
        put(path, with_attachment);
    }
    put("/db/_local/doc", "{}");
    site.make("parts?partitioned=true");
    put("/_users/_design/d", "{}");
    let (mut rev, mut att) = (String::new(), String::new());
    for who in Who::ALL.map(Who::name) {
        put(&format!("/gone-{who}"), "");
        put(&format!("/db/_local/gone-{who}"), "{}");
        for name in ["deleted", "purged", "_design/deleted"] {
            rev = put(&format!("/db/{name}-{who}"), "{}");
        }
        for name in ["atts", "_design/atts"] {
            att = put(&format!("/db/{name}-{who}"), with_attachment);
        }
    }
    let gone = Who::ALL.map(Who::name).map(|who| {
        let user = format!(r#"{{"name":"gone-{who}","type":"user","roles":[]}}"#);
        put(&format!("/_users/org.couchdb.user:gone-{who}"), &user)
    });
    let gone = Who::ALL.into_iter().zip(gone).map(|(who, rev)| {
        (leak(format!("gone-{}?rev=GONE", who.name())), { format!("gone-{}?rev={rev}", who.name()) })
    });
    gone.chain([("REV", rev), ("ATT", att)]).collect()
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[test]
fn everybody_gets_what_they_may() {
    let site = Site::start("");
    let revs = fill(&site);
    let mut wrong = Vec::new();
    for row in rows() {
        for (who, expected) in Who::ALL.into_iter().zip(&row.expected) {
            // Nobody asks how long a backup will be.
            let has_head = row.method == "GET" && !row.path.ends_with("/_backup");
            for method in [row.method, "HEAD"].iter().take(if has_head { 2 } else { 1 }) {
                let answer = row.ask(&site, who, method, &revs);
                if answer.status != *expected {
                    let (path, status, text) = (row.path, answer.status, answer.text());
                    wrong.push(format!("{method} {path} {who:?}: {status}, not {expected}: {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names that the router knows: all it looks for in a path begins with an underscore, or is `queries` or `status`.
#[test]
fn no_route_is_without_a_row() {
    let source = include_str!("../../../couch/src/route.rs");
    let (router, _tests) = source.split_once("#[cfg(test)]").unwrap();
    let code = router.lines().map(|line| line.split("//").next().unwrap());
    let literals: BTreeSet<&str> = code
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|text| text.starts_with('_') && !text.contains(' '))
        .collect();
    assert!(literals.len() > 40, "the router isn't what it was: {literals:?}");
    let rows = rows();
    let named: BTreeSet<&str> = rows.iter().flat_map(|row| row.path.split(['/', '?'])).collect();
    let missing: Vec<_> = literals.difference(&named).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

/// The methods that a path knows are those it allows when it is asked for one that nobody knows.
#[test]
fn no_method_is_without_a_row() {
    let site = Site::start("");
    let revs = fill(&site);
    let rows = rows();
    for row in &rows {
        let answer = row.ask(&site, Who::Root, "PATCH", &revs);
        let Some(allowed) = answer.header("allow") else {
            assert!([400, 404, 410, 501].contains(&answer.status), "{}: {answer:?}", row.path);
            continue;
        };
        for method in allowed.split(',').map(str::trim).filter(|method| *method != "HEAD") {
            let found = rows.iter().any(|other| other.method == method && shape(other.path) == shape(row.path));
            assert!(found, "no row for {method} {}", row.path);
        }
    }
}

/// A path without what names one of many.
fn shape(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let segments = path.split('/').skip(1).enumerate().map(|(place, segment)| match place {
        0 if !segment.starts_with('_') && !segment.is_empty() => "DB",
        0 => {
            if segment == "_users" || segment == "_replicator" {
                "DB"
            } else {
                segment
            }
        }
        _ if segment.starts_with('_') || segment == "queries" || segment == "status" => segment,
        _ => "X",
    });
    segments.collect::<Vec<_>>().join("/")
}
