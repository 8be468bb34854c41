//! Users, roles, sessions, and what each may see.

use super::with_database;

#[test]
fn as_version_2_tells_of_them() {
    let mut t = with_database("2");
    t.get("/db/_user/");
    t.put("/db/_user/al", r#"{"name":"al"}"#);
    t.put("/db/_user/al", r#"{"name":"al","password":"secret","admin_channels":["x","a"]}"#);
    t.put("/db/_user/al", r#"{"name":"al","admin_channels":["x","a"]}"#);
    t.get("/db/_user/al");
    t.get("/db/_user/");
    t.get("/db/_user/none");
    t.get("/db/_session");
    t.public(None, "GET", "/db/_session", "");
    t.public(Some("al:secret"), "GET", "/db/_session", "");
    t.public(Some("al:wrong"), "GET", "/db/_session", "");
    t.public(None, "GET", "/db/", "");
    t.public(Some("al:secret"), "GET", "/db/", "");
    t.delete("/db/_user/al");
    t.delete("/db/_user/al");
    t.public(Some("al:secret"), "GET", "/db/", "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn as_version_4_tells_of_them() {
    let mut t = with_database("4");
    t.put("/db/_user/al", r#"{"name":"al"}"#);
    t.put("/db/_user/al", r#"{"password":"x"}"#);
    t.put("/db/_user/al", r#"{"name":"bo","password":"secret"}"#);
    t.put("/db/_user/a:l", r#"{"password":"secret"}"#);
    t.post("/db/_user/", r#"{"name":"al","password":"secret","admin_roles":["r"],"email":"al@example.com"}"#);
    t.post("/db/_user/", r#"{"name":"al","password":"secret"}"#);
    t.put("/db/_role/r", r#"{"admin_channels":["x"]}"#);
    t.get("/db/_user/al");
    t.get("/db/_user/?name_only=false");
    t.get("/db/_user/GUEST");
    t.get("/db/_role/");
    t.get("/db/_role/r");
    t.get("/db/_role/none");
    t.public(None, "GET", "/db/_session", "");
    t.put("/db/_user/GUEST", r#"{"disabled":false,"admin_channels":["*"]}"#);
    t.public(None, "GET", "/db/_session", "");
    t.put("/db/_user/al", r#"{"disabled":true}"#);
    t.public(Some("al:secret"), "GET", "/db/", "");
    t.delete("/db/_role/r");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn sessions() {
    let mut t = with_database("4");
    t.put("/db/_user/al", r#"{"password":"secret"}"#);
    t.post("/db/_session", r#"{"name":"none"}"#);
    t.post("/db/_session", r#"{"name":"al","ttl":-1}"#);
    t.post("/db/_session", r#"{"name":"al"}"#);
    let id = t.last_value("session_id");
    t.get(&format!("/db/_session/{id}"));
    t.delete(&format!("/db/_user/al/_session/{id}"));
    t.get(&format!("/db/_session/{id}"));
    t.public(None, "POST", "/db/_session", r#"{"name":"al","password":"wrong"}"#);
    t.public(None, "POST", "/db/_session", r#"{"name":"al","password":"secret"}"#);
    t.public(None, "DELETE", "/db/_session", "");
    t.delete("/db/_user/al/_session");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn documents_of_other_channels_are_closed() {
    let mut t = with_database("4");
    let al = Some("al:secret");
    t.put("/db/_user/al", r#"{"password":"secret","admin_channels":["x"]}"#);
    t.put("/db/open", r#"{"channels":["x"],"n":1}"#);
    t.put("/db/closed", r#"{"channels":["y"],"n":2}"#);
    t.public(al, "GET", "/db/open", "");
    t.public(al, "GET", "/db/closed", "");
    t.public(al, "GET", "/db/none", "");
    t.public(al, "GET", "/db/_all_docs?include_docs=true", "");
    t.public(al, "POST", "/db/_bulk_get", r#"{"docs":[{"id":"closed"}]}"#);
    t.public(al, "GET", "/db/_design/d", "");
    t.public(al, "GET", "/db/_raw/open", "");
    t.post("/db/_config", r#"{"hide_existence":true}"#);
    t.public(al, "GET", "/db/closed", "");
    t.post("/db/_config", r#"{"disable_public_all_docs":true}"#);
    t.public(al, "GET", "/db/_all_docs", "");
    t.post("/db/_config", r#"{"sync":"function(doc){requireAccess(doc.channels); channel(doc.channels);}"}"#);
    t.public(al, "PUT", "/db/mine", r#"{"channels":["x"]}"#);
    t.public(al, "PUT", "/db/theirs", r#"{"channels":["y"]}"#);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn rows_of_documents_that_may_not_be_seen() {
    let mut t = with_database("4");
    t.put("/db/_user/al", r#"{"password":"secret","admin_channels":["x"]}"#);
    t.put("/db/mine", r#"{"channels":["x"]}"#);
    t.put("/db/theirs", r#"{"channels":["y"]}"#);
    let keys = r#"{"keys":["mine","theirs","none","_bad"]}"#;
    t.public(Some("al:secret"), "POST", "/db/_all_docs", keys);
    t.post("/db/_all_docs", keys);
    t.post("/db/_config", r#"{"hide_existence":true}"#);
    t.public(Some("al:secret"), "POST", "/db/_all_docs", keys);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn channels_that_were() {
    let mut t = with_database("4");
    t.put("/db/_user/al", r#"{"password":"secret","admin_channels":["x","z"]}"#);
    t.put("/db/a", r#"{"channels":["x","y"]}"#);
    let rev = t.last_rev();
    t.put(&format!("/db/a?rev={rev}"), r#"{"channels":["x"]}"#);
    t.put("/db/_user/al", r#"{"admin_channels":["x"]}"#);
    t.get("/db/a/_all_channels");
    t.get("/db/_channel_history/a");
    t.get("/db/none/_all_channels");
    t.get("/db/_user/al/_all_channels");
    t.get("/db/_user/al/_access_history");
    t.get("/db/_user/none/_all_channels");
    t.get("/db/_user/al?doc_id=a,none");
    insta::assert_snapshot!(t.finish());
}
