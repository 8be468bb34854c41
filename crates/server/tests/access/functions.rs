//! `validate_doc_update`: which writes it judges, what it is told, and what its failures cost.

use crate::site::{Site, Who};
use tidegate_testkit::http::Response;

/// A server whose `db` has these design documents, and `old`, which was there before them.
fn site(designs: &[(&str, &str)]) -> (Site, String) {
    let site = Site::start("[config.couchdb]\nusers_db_security_editable = \"true\"\nos_process_timeout = \"400\"\n");
    let old = r#"{"bad":true,"_attachments":{"a":{"data":"eA==","content_type":"text/plain"}}}"#;
    let rev = rev(&site.ask(Who::Ada, "PUT /db/old", old));
    for (name, function) in designs {
        let design = format!(r#"{{"validate_doc_update":{function:?}}}"#);
        assert_eq!(site.ask(Who::Keeper, &format!("PUT /db/_design/{name}"), &design).status, 201);
    }
    (site, rev)
}

fn rev(answer: &Response) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("{answer:?}")).trim_matches('"').to_owned()
}

/// Method and path, headers, body.
type Request<'a> = (String, &'a [(&'a str, &'a str)], &'a str);

const GUARD: &str = "function (doc, old, user, security) {
    if (doc.bad || (doc._deleted && old && old.bad)) throw({forbidden: 'bad'});
    if (doc.stranger) throw({unauthorized: 'who?'});
    if (doc.told) throw({forbidden: JSON.stringify([doc, old, user, security])});
}";

#[test]
fn every_way_to_write_is_judged() {
    let (site, rev) = site(&[("guard", GUARD)]);
    let json = ("content-type", "application/json");
    let referer = format!("http://{}/", site.client.address());
    let form = "--b\r\nContent-Disposition: form-data; name=\"_doc\"\r\n\r\n{\"bad\":true}\r\n--b--\r\n";
    let form_headers = [("content-type", "multipart/form-data; boundary=b"), ("referer", &*referer)];
    let related = concat!(
        "--b\r\nContent-Type: application/json\r\n\r\n",
        r#"{"bad":true,"_attachments":{"a":{"follows":true,"length":1,"content_type":"text/plain"}}}"#,
        "\r\n--b\r\n\r\nx\r\n--b--\r\n"
    );
    let related_headers = [("content-type", "multipart/related; boundary=b")];
    let writes: [Request<'_>; 11] = [
        ("PUT /db/new".into(), &[json], r#"{"bad":true}"#),
        ("POST /db".into(), &[json], r#"{"_id":"new","bad":true}"#),
        ("PUT /db/new?new_edits=false".into(), &[json], r#"{"_rev":"1-a","bad":true}"#),
        (format!("PUT /db/old?rev={rev}"), &[json], r#"{"bad":true}"#),
        (format!("DELETE /db/old?rev={rev}"), &[], ""),
        ("COPY /db/old".into(), &[("destination", "new")], ""),
        (format!("PUT /db/old/b?rev={rev}"), &[("content-type", "text/plain")], "x"),
        (format!("DELETE /db/old/a?rev={rev}"), &[], ""),
        ("POST /db/new".into(), &form_headers, form),
        ("PUT /db/new".into(), &related_headers, related),
        ("PUT /db/new?batch=ok".into(), &[json], r#"{"bad":true}"#),
    ];
    for (line, headers, body) in writes {
        for who in [Who::Ada, Who::Root] {
            let answer = site.ask_with(who, &line, headers, body);
            let expected = "{\"error\":\"forbidden\",\"reason\":\"bad\"}\n";
            assert_eq!((answer.status, &*answer.text()), (403, expected), "{line}");
        }
    }
    let answer = site.ask(Who::Ada, "PUT /db/new", r#"{"stranger":1}"#);
    assert_eq!((answer.status, &*answer.text()), (401, "{\"error\":\"unauthorized\",\"reason\":\"who?\"}\n"));
    for (body, expected) in [
        (
            r#"{"docs":[{"_id":"a"},{"_id":"b","bad":1},{"_id":"c","stranger":1}]}"#,
            [r#"{"ok":true,"id":"a""#, "forbidden", "unauthorized"],
        ),
        (
            r#"{"new_edits":false,"docs":[{"_id":"d","_rev":"1-a"},{"_id":"e","_rev":"1-a","bad":1}]}"#,
            [r#""id":"e""#, "forbidden", "bad"],
        ),
    ] {
        let text = site.ask(Who::Ada, "POST /db/_bulk_docs", body).text();
        assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    }
    let listed = site.ask(Who::Ada, "GET /db/_all_docs", "").text();
    let ids: Vec<&str> = listed.split("\"id\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids, ["_design/guard", "a", "d", "old"]);
    assert_eq!(self::rev(&site.ask(Who::Ada, "GET /db/old", "")), rev);
}

#[test]
fn it_is_told_everything() {
    let (site, _) = site(&[("guard", GUARD)]);
    let first = rev(&site.ask(Who::Ada, "PUT /db/doc", r#"{"n":1}"#));
    let edit = format!(
        r#"{{"_rev":"{first}","told":1,"_attachments":{{"a":{{"data":"eA==","content_type":"text/plain"}}}}}}"#
    );
    let digest = first.strip_prefix("1-").unwrap();
    let text = site.ask(Who::Ada, "PUT /db/doc", &edit).text().replace("\\\"", "\"");
    for part in [
        format!(r#""_id":"doc","_rev":"{first}","_revisions":{{"start":1,"ids":["{digest}"]}}"#),
        r#""_attachments":{"a":{"content_type":"text/plain","revpos":2,"digest":"md5-"#.to_owned(),
        r#""stub":true"#.to_owned(),
        r#","n":1},{"db":"db","name":"ada","roles":[]}"#.to_owned(),
        r#"{"admins":{"names":["keeper"]},"members":{"names":["ada"]}}]"#.to_owned(),
    ] {
        assert!(text.contains(&part), "{part}\nin {text}");
    }
    let replicated = r#"{"told":1,"_revisions":{"start":3,"ids":["c","b","PARENT"]}}"#.replace("PARENT", digest);
    let text = site.ask(Who::Root, "PUT /db/doc?new_edits=false", &replicated).text().replace("\\\"", "\"");
    let told = format!(r#""_rev":"3-c","_revisions":{{"start":3,"ids":["c","b","{digest}"]}},"told":1}}"#);
    assert!(text.contains(&told) && text.contains(r#""n":1}"#), "{text}");
    assert!(text.contains(r#""name":"root","roles":["_admin"]"#), "{text}");
    let text = site.ask(Who::Ada, "PUT /db/none", r#"{"told":1}"#).text();
    assert!(text.contains(r#"{\"_id\":\"none\",\"told\":1},null,"#), "{text}");
}

#[test]
fn all_design_documents_judge_and_each_as_it_is_now() {
    let refuses = |what: &str| format!("function (doc) {{ if (doc.{what}) throw({{forbidden: '{what}'}}); }}");
    let (site, _) = site(&[("a", &refuses("x")), ("b", &refuses("y"))]);
    let put = |json: &str| site.ask(Who::Ada, "POST /db", json).status;
    assert_eq!([put(r#"{"x":1}"#), put(r#"{"y":1}"#), put(r#"{"z":1}"#)], [403, 403, 201]);
    let design = rev(&site.ask(Who::Keeper, "GET /db/_design/b", ""));
    let changed = format!(r#"{{"_rev":"{design}","validate_doc_update":{:?}}}"#, refuses("z"));
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/b", &changed).status, 201);
    assert_eq!([put(r#"{"x":1}"#), put(r#"{"y":1}"#), put(r#"{"z":1}"#)], [403, 201, 403]);
    let design = rev(&site.ask(Who::Keeper, "GET /db/_design/a", ""));
    assert_eq!(site.ask(Who::Keeper, &format!("DELETE /db/_design/a?rev={design}"), "").status, 200);
    assert_eq!([put(r#"{"x":1}"#), put(r#"{"y":1}"#), put(r#"{"z":1}"#)], [201, 201, 403]);
}

#[test]
fn a_conflict_comes_before_the_verdict() {
    let (site, _) = site(&[("guard", GUARD)]);
    assert_eq!(site.ask(Who::Ada, "PUT /db/old", r#"{"bad":true}"#).status, 409);
    assert_eq!(site.ask(Who::Ada, "PUT /db/old", r#"{"_rev":"1-a","bad":true}"#).status, 409);
    assert_eq!(site.ask(Who::Ada, "PUT /db/none", r#"{"_rev":"1-a","bad":true}"#).status, 409);
}

/// Revision ids are hashes of what is written: whoever knows one can name it before it is there.
#[test]
fn nothing_is_written_unjudged_on_top_of_what_is_written_with_it() {
    let (site, _) = site(&[("guard", GUARD)]);
    site.make("elsewhere");
    let first = rev(&site.ask(Who::Ada, "PUT /elsewhere/doc", r#"{"n":1}"#));
    let body = format!(r#"{{"docs":[{{"_id":"doc","n":1}},{{"_id":"doc","_rev":"{first}","bad":true}}]}}"#);
    let text = site.ask(Who::Ada, "POST /db/_bulk_docs", &body).text();
    assert!(text.contains(&first) && text.contains("\"error\":\"conflict\""), "{text}");
    assert_eq!(rev(&site.ask(Who::Ada, "GET /db/doc", "")), first);
}

#[test]
fn a_function_that_fails_fails_its_own_request_alone() {
    let function = "function (doc) {
        switch (doc.how) {
            case 'other': throw({teapot: 'short and stout'});
            case 'text': throw('no');
            case 'error': return doc.none.of.it;
            case 'loop': for (;;) {}
            case 'memory': var all = []; for (;;) all.push(new Array(100000).join('x') + all.length);
            case 'regex': return /^(a+)+$/.test(new Array(60).join('a') + 'b');
            case 'stack': return (function f(n) { return f(n + 1) + 1; })(0);
            case 'global': this.x = 1; Object.prototype.bad = true; Array.prototype.join = null; return;
        }
    }";
    let (site, _) = site(&[("guard", function), ("other", GUARD)]);
    for (how, status) in [
        ("other", 500),
        ("text", 500),
        ("error", 500),
        ("loop", 500),
        ("memory", 500),
        ("regex", 500),
        ("stack", 500),
        ("global", 201),
    ] {
        let answer = site.ask(Who::Ada, "POST /db", &format!(r#"{{"how":"{how}"}}"#));
        assert_eq!(answer.status, status, "{how}: {}", answer.text());
        for _ in 0..3 {
            let answer = site.ask(Who::Ada, "POST /db", "{}");
            assert_eq!(answer.status, 201, "after {how}: {}", answer.text());
        }
        let batch =
            format!(r#"{{"docs":[{{"_id":"{how}-1"}},{{"_id":"{how}-2","how":"{how}"}},{{"_id":"{how}-3"}}]}}"#);
        let text = site.ask(Who::Ada, "POST /db/_bulk_docs", &batch).text();
        let ok = text.matches("\"ok\":true").count();
        assert_eq!(ok, if status == 201 { 3 } else { 2 }, "{how}: {text}");
    }
}

#[test]
fn design_documents_are_not_judged_and_what_is_no_function_is_refused() {
    let (site, _) = site(&[("guard", "function () { throw({forbidden: 'all'}); }")]);
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/more", "{}").status, 201);
    assert_eq!(site.ask(Who::Ada, "PUT /db/_local/x", "{}").status, 201);
    assert_eq!(site.ask(Who::Ada, "PUT /db/x", "{}").status, 403);
}

#[test]
fn selectors_judge_as_functions_do() {
    let (site, old) = site(&[]);
    let design = r#"{"language":"query","validate_doc_update":{"newDoc":{"type":{"$type":"string"}},"$or":[{"oldDoc":null},{"oldDoc.fixed":{"$ne":true}},{"oldDoc.fixed":{"$exists":false}}]}}"#;
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/form", design).status, 201);
    let broken =
        site.ask(Who::Keeper, "PUT /db/_design/broken", r#"{"language":"query","validate_doc_update":{"$no":1}}"#);
    assert_eq!(broken.status, 400, "{}", broken.text());
    let (untyped, fixed) = (r#"{"type":1}"#, r#"{"_id":"f","type":"a","fixed":true}"#);
    let refused = site.ask(Who::Ada, "PUT /db/x", untyped);
    let expected = "{\"error\":\"forbidden\",\"reason\":\"document is not valid\"}\n";
    assert_eq!((refused.status, &*refused.text()), (403, expected));
    assert_eq!(site.ask(Who::Ada, &format!("PUT /db/old?rev={old}"), r#"{"type":"a"}"#).status, 201);
    assert_eq!(site.ask(Who::Ada, "POST /db", fixed).status, 201);
    let batch = site.ask(Who::Ada, "POST /db/_bulk_docs", r#"{"new_edits":false,"docs":[{"_id":"f","_rev":"2-b"}]}"#);
    assert!(batch.text().contains("forbidden"), "{}", batch.text());
    let fixed = rev(&site.ask(Who::Ada, "GET /db/f", ""));
    let refused = site.ask(Who::Ada, &format!("PUT /db/f?rev={fixed}"), r#"{"type":"a"}"#);
    assert_eq!(refused.status, 403, "{}", refused.text());
}

/// Nothing here runs it, so that no write could be judged.
#[test]
fn a_function_in_another_language_is_refused_and_a_replicated_one_lets_nothing_in() {
    let (site, _) = site(&[]);
    let erlang = r#""language":"erlang","validate_doc_update":"fun({Doc}, _, _, _) -> 1 end.""#;
    let unknown = "{\"error\":\"unknown_query_language\",\"reason\":\"erlang\"}\n";
    let refused = site.ask(Who::Keeper, "PUT /db/_design/e", &format!("{{{erlang}}}"));
    assert_eq!((refused.status, &*refused.text()), (400, unknown));
    assert_eq!(site.ask(Who::Ada, "PUT /db/x", "{}").status, 201);
    // Views in any language may be stored, as in CouchDB.
    let views = r#"{"language":"erlang","views":{"v":{"map":"fun({Doc}) -> 1 end."}}}"#;
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/views", views).status, 201);
    let replicated = format!(r#"{{"_rev":"1-a",{erlang}}}"#);
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/e?new_edits=false", &replicated).status, 201);
    let refused = site.ask(Who::Ada, "PUT /db/y", "{}");
    assert_eq!((refused.status, &*refused.text()), (400, unknown));
    assert_eq!(site.ask(Who::Keeper, "DELETE /db/_design/e?rev=1-a", "").status, 200);
    assert_eq!(site.ask(Who::Ada, "PUT /db/y", "{}").status, 201);
}
