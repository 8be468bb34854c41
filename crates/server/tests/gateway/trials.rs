//! Expiry, resyncs, functions that are tried out, and explanations.

use super::with_database;

const GRANTING: &str = "function (doc) {
  if (doc.bad) throw({forbidden: 'bad one'});
  channel(doc.channels); access(doc.to, doc.gives); console.log('saw', doc._id);
}";

#[test]
fn documents_say_when_they_expire() {
    let mut t = with_database("4");
    t.put("/db/a", "{\"_exp\":\"2099-01-02T03:04:05Z\",\"n\":1}");
    t.get("/db/a?show_exp=true");
    t.get("/db/a");
    t.put("/db/b", "{\"_exp\":4070908800}");
    t.get("/db/b?show_exp=true");
    t.put("/db/c", "{\"_exp\":\"soon\"}");
    t.put("/db/c", "{\"_exp\":null}");
    t.get("/db/c?show_exp=true");
    t.post("/db/_bulk_docs", "{\"docs\":[{\"_id\":\"d\",\"_exp\":4070908800},{\"_id\":\"e\",\"_exp\":\"x\"}]}");
    t.get("/db/d?show_exp=true");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn a_function_is_tried_out() {
    let mut t = with_database("4");
    let body = |members: &str| format!("{{\"sync_function\":{},{members}}}", serde_json::Value::from(GRANTING));
    t.put("/db/_user/al", "{\"password\":\"secret\",\"admin_channels\":[\"x\"]}");
    t.put("/db/a", "{\"channels\":[\"x\"]}");
    t.put("/db/b", "{\"to\":\"al\",\"gives\":\"y\"}");
    t.put("/db/c", "{\"channels\":\"x\",\"bad\":true}");
    t.post("/db/_sync", &body("\"doc\":{\"_id\":\"d\",\"channels\":\"q\",\"to\":\"role:r\",\"gives\":[\"s\"]}"));
    t.post("/db/_sync", &body("\"doc_id\":\"a\""));
    t.post("/db/_sync", &body("\"doc_id\":\"c\""));
    t.post("/db/_sync", "{\"doc\":{},\"sync_function\":\"function (doc) {\\n  nothing();\\n}\"}");
    let user = "\"userCtx\":{\"name\":\"al\",\"channels\":[\"x\"],\"roles\":{\"r\":1}}";
    let asks = "function () { requireAccess('x'); requireRole('r'); requireUser('bo'); }";
    t.post("/db/_sync", &format!("{{\"doc\":{{}},{user},\"sync_function\":\"{asks}\"}}"));
    t.post("/db/_sync", "{\"doc_id\":\"nothing\"}");
    t.post("/db/_sync", "{}");
    t.post("/db/_dry_run", &body("\"examples\":2"));
    t.post("/db/_dry_run", "{\"sync_function\":\"function (doc) {\\n  channel('a'\\n}\"}");
    // Nothing of it happened.
    t.get("/db/");
    t.public(Some("al:secret"), "POST", "/db/_sync", "{\"doc\":{}}");
    t.public(Some("al:secret"), "POST", "/db/_dry_run", "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn why_a_user_sees_a_document_is_explained() {
    let mut t = with_database("4");
    t.request("PUT", "/db/_config/sync", &[("content-type", "application/javascript")], GRANTING);
    t.put("/db/_role/r", "{\"admin_channels\":[\"y\"]}");
    t.put("/db/_user/al", "{\"password\":\"secret\",\"admin_channels\":[\"x\"],\"admin_roles\":[\"r\"]}");
    t.put("/db/g", "{\"to\":\"al\",\"gives\":\"x\"}");
    t.put("/db/a", "{\"channels\":[\"x\",\"y\"]}");
    t.get("/db/_explain?user=al&doc=a");
    t.get("/db/_explain?user=al&doc=g");
    t.get("/db/_explain?user=bo&doc=a");
    t.get("/db/_explain?user=al");
    t.public(Some("al:secret"), "GET", "/db/_explain?user=al&doc=a", "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn a_resync_that_never_was_is_done() {
    let mut t = with_database("4");
    t.get("/db/_resync");
    t.post("/db/_resync?action=stop", "");
    t.post("/db/_resync?action=dance", "");
    t.post("/db/_resync", "{\"scopes\":{\"s\":[\"c\"]}}");
    t.public(None, "GET", "/db/_resync", "");
    insta::assert_snapshot!(t.finish());
}
