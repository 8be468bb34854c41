//! Nobody learns of a user from `_users` what only the user may know, nor whether there is one.

use crate::site::{Site, Who};

const ADA: &str = "org.couchdb.user:ada";
/// As long as ada's, so that lengths agree.
const ZED: &str = "org.couchdb.user:zed";

#[test]
fn another_user_looks_like_none() {
    let site = Site::start("");
    let document = site.ask(Who::Ada, &format!("GET /_users/{ADA}"), "");
    let rev = document.header("etag").unwrap().trim_matches('"').to_owned();
    let secrets: Vec<String> = [r#""salt":""#, r#""derived_key":""#]
        .map(|name| document.text().split_once(name).unwrap().1.split('"').next().unwrap().to_owned())
        .into();
    let (_, digest) = rev.split_once('-').unwrap();
    for (line, body) in [
        ("GET /_users/ID", ""),
        ("HEAD /_users/ID", ""),
        ("GET /_users/ID?rev=REV", ""),
        ("GET /_users/ID?rev=REV&latest=true", ""),
        ("GET /_users/ID?revs=true&revs_info=true&conflicts=true", ""),
        ("GET /_users/ID?open_revs=all", ""),
        ("GET /_users/ID?open_revs=[%22REV%22]", ""),
        ("GET /_users/ID?open_revs=[%22REV%22]&latest=true&revs=true", ""),
        ("GET /_users/ID/photo", ""),
        ("PUT /_users/ID/photo?rev=REV", "x"),
        ("DELETE /_users/ID/photo?rev=REV", ""),
        ("DELETE /_users/ID?rev=REV", ""),
        ("COPY /_users/ID", ""),
        ("POST /_users/_bulk_get", r#"{"docs":[{"id":"ID"}]}"#),
        ("POST /_users/_bulk_get?latest=true&revs=true", r#"{"docs":[{"id":"ID","rev":"REV"}]}"#),
        ("POST /_users/_all_docs?include_docs=true", r#"{"keys":["ID"]}"#),
        ("GET /_users/_all_docs?key=%22ID%22", ""),
        ("POST /_users/_all_docs/queries", r#"{"queries":[{"keys":["ID"]}]}"#),
        ("GET /_users/_changes?include_docs=true", ""),
        ("POST /_users/_changes?filter=_doc_ids", r#"{"doc_ids":["ID"]}"#),
        ("POST /_users/_changes?filter=_selector", r#"{"selector":{}}"#),
        ("GET /_users/_changes?feed=continuous", ""),
        ("POST /_users/_revs_diff", r#"{"ID":["REV"]}"#),
        ("POST /_users/_missing_revs", r#"{"ID":["REV"]}"#),
        ("GET /_users/_local_docs?include_docs=true", ""),
        ("POST /_users/_find", r#"{"selector":{}}"#),
        ("POST /_users/_purge", r#"{"ID":["REV"]}"#),
    ] {
        for who in [Who::Nobody, Who::Eve] {
            let ask = |id: &str| {
                let fill = |text: &str| text.replace("ID", id).replace("REV", &rev);
                let json = "application/json";
                let headers = [("content-type", json), ("accept", json), ("destination", "org.couchdb.user:eve2")];
                let answer = site.ask_with(who, &fill(line), &headers, &fill(body));
                (answer.status, answer.text().replace(id, "ID"), answer.header("etag").map(str::to_owned))
            };
            let (found, missing) = (ask(ADA), ask(ZED));
            // Nobody may sign up, and hears of a user who is there: that can't be told by other means, either.
            if !(who == Who::Nobody && line.starts_with("PUT")) {
                assert_eq!(found, missing, "{who:?} {line}");
            }
            assert!(!secrets.iter().any(|secret| found.1.contains(secret)), "{who:?} {line}: {}", found.1);
            assert!(line.contains("REV") || body.contains("REV") || !found.1.contains(digest), "{who:?} {line}");
        }
    }
    assert_eq!(site.ask(Who::Ada, &format!("GET /_users/{ADA}"), "").body, document.body);
}

#[test]
fn nobody_gives_themselves_roles() {
    let site = Site::start("");
    let ask = |who, line: &str, json: &str| {
        let answer = site.ask(who, line, json);
        (answer.status, answer.text())
    };
    let sign_up = |roles: &str| {
        let user = format!(r#"{{"name":"new","type":"user","roles":{roles},"password":"x"}}"#);
        ask(Who::Nobody, "PUT /_users/org.couchdb.user:new", &user)
    };
    for roles in [r#"["boss"]"#, r#"["_admin"]"#] {
        assert_eq!(sign_up(roles).0, 403, "{roles}");
    }
    assert_eq!(sign_up("[]").0, 201);
    let (_, own) = ask(Who::Ada, &format!("GET /_users/{ADA}"), "");
    let promoted = own.trim_end().replace(r#""roles":[]"#, r#""roles":["boss"]"#);
    assert_ne!(promoted, own.trim_end());
    let refused = "Only _admin may edit roles";
    assert!(ask(Who::Ada, &format!("PUT /_users/{ADA}"), &promoted).1.contains(refused));
    assert!(ask(Who::Ada, "POST /_users/_bulk_docs", &format!(r#"{{"docs":[{promoted}]}}"#)).1.contains(refused));
    let replicated = promoted.replacen(r#""_rev":"1-"#, r#""_rev":"9-"#, 1);
    let body = format!(r#"{{"new_edits":false,"docs":[{replicated}]}}"#);
    assert!(ask(Who::Ada, "POST /_users/_bulk_docs", &body).1.contains(refused));
    assert!(ask(Who::Ada, &format!("PUT /_users/{ADA}?new_edits=false"), &replicated).1.contains(refused));
    let system = promoted.replace("boss", "_admin");
    assert_eq!(ask(Who::Root, &format!("PUT /_users/{ADA}"), &system).0, 403);
}

/// Clients look for the design document that CouchDB's users come with. Its function is the server's own to carry out.
#[test]
fn a_database_of_users_is_born_with_its_design_document() {
    let site = Site::start("");
    let design = site.ask(Who::Root, "GET /_users/_design/_auth", "");
    assert_eq!(design.status, 200);
    assert!(design.text().contains("\"validate_doc_update\":\"function"), "{}", design.text());
    assert_eq!(site.ask(Who::Ada, "GET /_users/_design/_auth", "").status, 403);
    let config = "PUT /_node/_local/_config/chttpd_auth/authentication_db";
    assert_eq!(site.ask(Who::Root, "PUT /people", "").status, 201);
    assert_eq!(site.ask(Who::Root, config, "\"people\"").status, 200);
    assert_eq!(site.ask(Who::Root, "GET /people/_design/_auth", "").status, 200);
    assert_eq!(site.ask(Who::Root, config, "\"later\"").status, 200);
    assert_eq!(site.ask(Who::Root, "PUT /later", "").status, 201);
    assert_eq!(site.ask(Who::Root, "GET /later/_design/_auth", "").status, 200);
}
