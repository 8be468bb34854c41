//! Collections: keyspaces, their functions, and who has what in which.

use crate::site::{Door, Site};
use serde_json::{Value, json};

/// A collection whose documents say where they are and what they grant, and one with the default function.
fn shop() -> Site {
    let site = Site::start();
    let sync = "function(doc){channel(doc.channels);access(doc.to,doc.grants);role(doc.to,doc.role)}";
    let scopes = json!({ "scopes": { "s": { "collections": { "c": { "sync": sync }, "d": {} } } } });
    site.administer("PUT /shop/", &scopes.to_string());
    site
}

fn admin(site: &Site, line: &str, json: &str) -> (u16, Value) {
    let answer = site.ask(Door::Admin, Some("root:root"), line, json);
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

#[track_caller]
fn check_refused(site: &Site, line: &str, json: &str, (status, reason): (u16, &str)) {
    let (found, body) = admin(site, line, json);
    assert_eq!((found, body["reason"].as_str().unwrap_or_default()), (status, reason), "{line}");
}

#[test]
fn a_keyspace_is_a_database_or_a_collection_of_it() {
    let site = shop();
    for keyspace in ["db", "db._default", "db._default._default", "shop.c", "shop.s.c", "shop.d", "shop.s.d"] {
        for line in ["GET KS/_all_docs", "GET KS/_changes", "GET KS/_config/sync", "GET KS/_config/import_filter"] {
            assert_eq!(admin(&site, &line.replace("KS", &format!("/{keyspace}")), "").0, 200, "{keyspace} {line}");
        }
    }
    let lines = [
        ("GET /KS/d", ""),
        ("PUT /KS/d", "{}"),
        ("POST /KS/", "{}"),
        ("GET /KS/d/a", ""),
        ("GET /KS/_local/l", ""),
        ("GET /KS/_all_docs", ""),
        ("GET /KS/_changes", ""),
        ("POST /KS/_bulk_docs", r#"{"docs":[{}]}"#),
        ("POST /KS/_bulk_get", r#"{"docs":[]}"#),
        ("POST /KS/_revs_diff", "{}"),
        ("POST /KS/_purge", "{}"),
        ("GET /KS/_raw/d", ""),
        ("GET /KS/_revtree/d", ""),
        ("GET /KS/_dumpchannel/x", ""),
        ("GET /KS/_config/sync", ""),
        ("DELETE /KS/_config/import_filter", ""),
        ("POST /KS/_sync", r#"{"doc":{}}"#),
        ("POST /KS/_dry_run", "{}"),
        ("GET /KS/_explain?user=ada&doc=d", ""),
    ];
    let unknown =
        ["db.c", "db.s.c", "shop", "shop._default", "shop._default._default", "shop.s.e", "shop.t.c", "shop.s.c.x"];
    for keyspace in unknown {
        for (line, body) in lines {
            let reason = format!("keyspace {keyspace} not found");
            check_refused(&site, &line.replace("KS", keyspace), body, (404, &reason));
        }
    }
    // What is about a database takes none.
    for line in ["GET /KS/", "DELETE /KS/", "GET /KS/_config", "GET /KS/_user/", "GET /KS/_session", "POST /KS/_resync"]
    {
        let reason = r#"no such database "shop.s.c""#;
        check_refused(&site, &line.replace("KS", "shop.s.c"), "", (404, reason));
    }
    let public = site.ask(Door::Gateway, None, "GET /shop.s.c/d", "");
    assert_eq!((public.status, public.text().contains("Login required")), (401, true));
}

#[test]
fn each_collection_has_documents_of_its_own() {
    let site = shop();
    let put = |keyspace: &str, body: &str| admin(&site, &format!("PUT /{keyspace}/d"), body);
    let (status, here) = put("shop.s.c", r#"{"in":"c","_attachments":{"a":{"data":"Yw=="}}}"#);
    assert_eq!(status, 201);
    assert_eq!(put("shop.s.d", r#"{"in":"d"}"#).0, 201);
    assert_eq!(admin(&site, "GET /shop.c/d", "").1["in"], "c");
    assert_eq!(admin(&site, "GET /shop.d/d", "").1["in"], "d");
    assert_eq!(site.ask(Door::Admin, Some("root:root"), "GET /shop.c/d/a", "").text(), "c");
    assert_eq!(admin(&site, "GET /shop.d/d/a", "").0, 404);
    assert_eq!(admin(&site, "PUT /shop.c/_local/l", "{}").0, 201);
    assert_eq!(admin(&site, "GET /shop.d/_local/l", "").0, 404);
    let rows = |keyspace: &str| {
        let rows = admin(&site, &format!("GET /{keyspace}/_changes"), "").1;
        (rows["results"].as_array().unwrap().len(), rows["results"][0]["seq"].clone(), rows["last_seq"].clone())
    };
    assert_eq!(rows("shop.c"), (1, json!(1), json!("2")));
    assert_eq!(rows("shop.d"), (1, json!(2), json!("2")));
    let rev = here["rev"].as_str().unwrap();
    let diff =
        |keyspace: &str| admin(&site, &format!("POST /{keyspace}/_revs_diff"), &format!(r#"{{"d":["{rev}"]}}"#)).1;
    assert_eq!(diff("shop.c"), json!({}));
    assert_eq!(diff("shop.d")["d"]["missing"], json!([rev]));
    admin(&site, "POST /shop.c/_purge", r#"{"d":["*"]}"#);
    assert_eq!((admin(&site, "GET /shop.c/d", "").0, admin(&site, "GET /shop.d/d", "").0), (404, 200));
    // CouchDB's dialect shows the default collection, which is empty.
    assert_eq!(site.administer_couch("GET /shop", "")["doc_count"], 0);
}

#[test]
fn grants_are_of_their_collection() {
    let site = shop();
    let body = r#"{"password":"ada","collection_access":{"s":{"c":{"admin_channels":["a"]}}}}"#;
    assert_eq!(admin(&site, "PUT /shop/_user/ada", body).0, 201);
    assert_eq!(
        admin(&site, "PUT /shop/_role/r", r#"{"collection_access":{"s":{"d":{"admin_channels":["d"]}}}}"#).0,
        201
    );
    admin(&site, "PUT /shop.c/a", r#"{"channels":["a"]}"#);
    admin(&site, "PUT /shop.c/b", r#"{"channels":["b"]}"#);
    admin(&site, "PUT /shop.d/x", "{}");
    let sees = |keyspace: &str| {
        let answer = site.ask(Door::Gateway, Some("ada:ada"), &format!("GET /{keyspace}/_all_docs"), "");
        let rows: Value = serde_json::from_slice(&answer.body).unwrap();
        rows["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((sees("shop.c"), sees("shop.d")), (vec!["a".to_owned()], vec![]));
    // A document grants channels of its collection, and roles that are everywhere.
    admin(&site, "PUT /shop.c/g", r#"{"to":"ada","grants":["b","d"],"role":"role:r"}"#);
    assert_eq!((sees("shop.c"), sees("shop.d")), (vec!["a".to_owned(), "b".to_owned()], vec!["x".to_owned()]));
    let user = admin(&site, "GET /shop/_user/ada", "").1;
    let expected = json!({ "s": {
        "c": { "admin_channels": ["a"], "all_channels": ["!", "a", "b", "d"] },
        "d": { "all_channels": ["!", "d"] },
    } });
    assert_eq!(
        (&user["collection_access"], &user["all_channels"], &user["roles"]),
        (&expected, &json!(["!"]), &json!(["r"]))
    );
    let role = admin(&site, "GET /shop/_role/r", "").1;
    let expected =
        json!({ "c": { "all_channels": ["!"] }, "d": { "admin_channels": ["d"], "all_channels": ["!", "d"] } });
    assert_eq!(role["collection_access"]["s"], expected);
    let why = admin(&site, "GET /shop.s.d/_explain?user=ada&doc=x", "").1;
    assert_eq!((&why["verdict"], &why["ways"][0]["from"][0]["role"]), (&json!("sees"), &json!("r")));
    let why = admin(&site, "GET /shop.s.c/_explain?user=ada&doc=a", "").1;
    assert_eq!(why["ways"][0]["from"][0]["kind"], "administrator");
    assert_eq!(admin(&site, "GET /shop.s.c/_explain?user=ada&doc=x", "").1["verdict"], "no_document");
    // Taken away: in one collection, and with the document.
    admin(&site, "PUT /shop/_user/ada", r#"{"collection_access":{"s":{"c":null}}}"#);
    admin(&site, "POST /shop.c/_purge", r#"{"g":["*"]}"#);
    assert_eq!((sees("shop.c"), sees("shop.d")), (vec![], vec![]));
    let refused = (404, "keyspace specified in collection_access (shop.s.e) not found");
    check_refused(&site, "PUT /shop/_user/ada", r#"{"collection_access":{"s":{"e":{}}}}"#, refused);
    check_refused(&site, "PUT /shop/_role/r", r#"{"collection_access":{"s":{"e":{}}}}"#, refused);
}

#[test]
fn the_configuration_names_collections() {
    let site = shop();
    let of = |line: &str| admin(&site, line, "").1;
    let config = of("GET /shop/_config");
    let collections = &config["scopes"]["s"]["collections"];
    assert!(collections["c"]["sync"].as_str().unwrap().contains("doc.grants") && collections["d"] == json!({}));
    assert!(config.get("sync").is_none());
    let text = |line: &str| site.ask(Door::Admin, Some("root:root"), line, "").text();
    assert_eq!(text("GET /shop.d/_config/sync"), r#"function(doc){channel("d");}"#);
    // A function of one collection by itself.
    let javascript = "application/javascript";
    site.administer_text("PUT /shop.d/_config/sync", javascript, "function(doc){throw({forbidden:'no'})}");
    site.administer_text("PUT /shop.d/_config/import_filter", javascript, "function(doc){return true}");
    check_refused(&site, "PUT /shop.d/x", "{}", (403, "no"));
    assert_eq!(admin(&site, "PUT /shop.c/x", "{}").0, 201);
    assert_eq!(
        of("GET /shop/_config")["scopes"]["s"]["collections"]["d"]["import_filter"],
        "function(doc){return true}"
    );
    // What is said of another collection changes nothing of these.
    assert_eq!(admin(&site, "POST /shop/_config", r#"{"scopes":{"s":{"collections":{"e":{}}}}}"#).0, 201);
    check_refused(&site, "PUT /shop.d/x", "{}", (403, "no"));
    assert_eq!(admin(&site, "PUT /shop.e/x", "{}").0, 201);
    // One that isn't named any more is gone, and as it was when it is named again; but for its function.
    let (without, with) = (
        r#"{"scopes":{"s":{"collections":{"c":{},"e":{}}}}}"#,
        r#"{"scopes":{"s":{"collections":{"c":{},"d":{},"e":{}}}}}"#,
    );
    assert_eq!(admin(&site, "PUT /shop/_config", with).0, 201);
    assert_eq!(admin(&site, "PUT /shop.d/x", r#"{"n":1}"#).0, 201);
    assert_eq!(admin(&site, "PUT /shop/_config", without).0, 201);
    check_refused(&site, "GET /shop.d/x", "", (404, "keyspace shop.d not found"));
    assert_eq!(admin(&site, "PUT /shop/_config", with).0, 201);
    assert_eq!(of("GET /shop.d/x")["n"], 1);
    let fixed = (400, "1 errors:\ncannot change scopes after database creation");
    for config in ["{}", r#"{"scopes":{"t":{"collections":{"c":{}}}}}"#] {
        check_refused(&site, "PUT /shop/_config", config, fixed);
    }
    check_refused(&site, "POST /db/_config", r#"{"scopes":{"t":{"collections":{"c":{}}}}}"#, fixed);
    let two = r#"{"scopes":{"a":{"collections":{"c":{}}},"b":{"collections":{"c":{}}}}}"#;
    check_refused(&site, "PUT /two/", two, (400, "1 errors:\nonly one named scope is supported, but had 2 (a b)"));
    assert_eq!(admin(&site, "GET /two/", "").0, 404);
    // The default collection may be one among others.
    let explicit = r#"{"scopes":{"_default":{"collections":{"_default":{},"c":{}}}}}"#;
    admin(&site, "PUT /db/before", r#"{"n":1}"#);
    assert_eq!(admin(&site, "PUT /db/_config", explicit).0, 201);
    assert_eq!((of("GET /db/before")["n"].clone(), admin(&site, "PUT /db.c/x", "{}").0), (json!(1), 201));
}

#[test]
fn a_resync_is_of_all_collections_or_of_some() {
    let site = shop();
    admin(&site, "PUT /shop.c/x", r#"{"channels":["a"]}"#);
    admin(&site, "PUT /shop.d/x", r#"{"channels":["a"]}"#);
    let javascript = "application/javascript";
    for keyspace in ["shop.c", "shop.d"] {
        site.administer_text(&format!("PUT /{keyspace}/_config/sync"), javascript, "function(doc){channel('n')}");
    }
    let channels = |keyspace: &str| {
        admin(&site, &format!("GET /{keyspace}/_all_docs?channels=true"), "").1["rows"][0]["value"]["channels"].clone()
    };
    let resynced = |body: &str| {
        assert_eq!(admin(&site, "POST /shop/_resync?reset=true", body).0, 200);
        let status = || admin(&site, "GET /shop/_resync", "").1;
        tidegate_testkit::until("the resync ends", || status()["status"] == "completed");
        status()
    };
    resynced(r#"{"scopes":{"s":["c"]}}"#);
    assert_eq!((channels("shop.c"), channels("shop.d")), (json!(["n"]), json!(["d"])));
    let status = resynced("");
    assert_eq!((channels("shop.d"), &status["docs_processed"]), (json!(["n"]), &json!(2)));
    check_refused(&site, "POST /shop/_resync", r#"{"scopes":{"s":["e"]}}"#, (404, "keyspace s.e not found"));
}
