//! Changes, as administrators and as users see them.

use super::with_database;

#[test]
fn changes() {
    let mut t = with_database("4");
    t.get("/db/_changes");
    t.put("/db/a", r#"{"channels":["x"]}"#);
    t.put("/db/b", r#"{"channels":["y"]}"#);
    t.put("/db/c", "{}");
    t.get("/db/_changes");
    t.get("/db/_changes?since=1&limit=1");
    t.get("/db/_changes?since=%223::2%22");
    t.get("/db/_changes?include_docs=true&limit=1");
    t.get("/db/_changes?version_type=cv&since=2");
    t.post("/db/_changes", r#"{"since":2,"style":"all_docs"}"#);
    t.get("/db/_changes?filter=sync_gateway/bychannel&channels=y");
    t.get("/db/_changes?filter=_doc_ids&doc_ids=b,none");
    t.get("/db/_changes?feed=longpoll&since=2");
    t.get("/db/_changes?feed=longpoll&since=3&timeout=1");
    t.get("/db/_changes?feed=continuous&timeout=1");
    t.delete("/db/c?rev=1-ca9ad22802b66f662ff171f226211d5c");
    t.get("/db/_changes?since=3");
    t.get("/db/_changes?active_only=true");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn what_is_refused() {
    let mut t = with_database("4");
    t.get("/db/_changes?since=abc");
    t.get("/db/_changes?feed=x");
    t.get("/db/_changes?filter=x/y");
    t.get("/db/_changes?filter=sync_gateway/bychannel");
    t.get("/db/_changes?filter=sync_gateway/bychannel&channels=");
    t.get("/db/_changes?filter=_doc_ids&doc_ids=a&feed=longpoll");
    t.get("/db/_changes?feed=websocket");
    t.get("/db/_changes?limit=x");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn of_a_user() {
    let mut t = with_database("4");
    let al = Some("al:secret");
    t.put("/db/i1", r#"{"channels":["x"]}"#);
    t.put("/db/i2", r#"{"channels":["y"]}"#);
    t.put("/db/_user/al", r#"{"password":"secret","admin_channels":["x"]}"#);
    t.public(al, "GET", "/db/_changes", "");
    t.put("/db/i3", r#"{"channels":["x"]}"#);
    t.public(al, "GET", "/db/_changes?since=3", "");
    t.put("/db/_user/al", r#"{"admin_channels":["x","y"]}"#);
    t.public(al, "GET", "/db/_changes?since=4", "");
    t.put("/db/_user/al", r#"{"admin_channels":["y"]}"#);
    t.public(al, "GET", "/db/_changes?since=5", "");
    t.public(al, "GET", "/db/_changes?since=5&revocations=true", "");
    t.public(al, "GET", "/db/_changes?since=6:1&revocations=true", "");
    insta::assert_snapshot!(t.finish());
}
