//! What requests and documents mean, and the words for those that mean nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::Wait;

/// A body with a source and a target, and `more`.
fn body(more: &Value) -> Value {
    let mut body = json!({"source": "http://a.example/s", "target": "t"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn parse(body: &Value) -> Job {
    match parse_job(body).unwrap() {
        Asked::Start(job) => *job,
        Asked::Cancel(_) | Asked::CancelSame(_) => panic!("{body}"),
    }
}

fn id(more: &Value) -> String {
    parse(&body(more)).id("server", None).to_string()
}

#[track_caller]
fn check_refused(body: &Value, reason: &str) {
    match parse_job(body) {
        Ok(asked) => panic!("{body}: {asked:?}"),
        Err(error) => assert_eq!(error.to_string(), reason, "{body}"),
    }
}

#[test]
fn what_is_wrong_is_said_in_couchdbs_words() {
    check_refused(&json!([]), "Request body must be a JSON object");
    check_refused(&json!({"target": "t"}), "Missing replicator database");
    check_refused(&json!({"source": "s"}), "Missing replicator database");
    let table = [
        (json!({"cancel": 1}), "parameter `cancel` must be a boolean"),
        (json!({"create_target": "yes"}), "parameter `create_target` must be a boolean"),
        (json!({"create_target_params": 1}), "parameter `create_target_params` must be a JSON object"),
        (json!({"winning_revs_only": 1}), "parameter `winning_revs_only` must be a boolean"),
        (json!({"continuous": null}), "parameter `continuous` must be a boolean"),
        (json!({"query_params": []}), "parameter `query_params` must be an object"),
        (json!({"doc_ids": "a"}), "parameter `doc_ids` must be an array"),
        (json!({"doc_ids": [1]}), "parameter `doc_ids` must be an array of strings"),
        (json!({"selector": "a"}), "parameter `selector` must be a JSON object"),
        (json!({"use_bulk_get": 1}), "parameter `use_bulk_get` must be a boolean"),
        (json!({"worker_batch_size": "many"}), "parameter `worker_batch_size` must be an integer"),
        (json!({"doc_ids": [], "filter": "a/b"}), "`doc_ids`,`filter`,`selector` are mutually exclusive"),
        (json!({"doc_ids": [], "selector": {}}), "`doc_ids`,`filter`,`selector` are mutually exclusive"),
        (json!({"filter": "a/b", "selector": {}}), "`doc_ids`,`filter`,`selector` are mutually exclusive"),
        (json!({"filter": "ab"}), "Invalid filter. Must match `ddocname/filtername`."),
        (json!({"filter": "_view"}), "Invalid `view` parameter."),
        (json!({"filter": "_view", "query_params": {"view": "a"}}), "Invalid `view` parameter."),
        (json!({"proxy": "http://p", "source_proxy": "http://p"}), "`proxy` is mutually exclusive with `source_proxy`"),
        (json!({"proxy": "http://p", "target_proxy": "http://p"}), "`proxy` is mutually exclusive with `target_proxy`"),
        (json!({"source": {"url": 1}}), "endpoint has an invalid url"),
        (json!({"source": {}}), "endpoint has an invalid url"),
        (json!({"source": 7}), "endpoint has an invalid url"),
        (json!({"source": {"url": "ftp://a/b"}}), "endpoint has an invalid url"),
        (json!({"source": "http://"}), "endpoint has an invalid url"),
        (json!({"source": "http://a:port/b"}), "endpoint has an invalid url"),
        (json!({"source": "http://a/b c"}), "endpoint has an invalid url"),
        (json!({"source": "Not A Name"}), "endpoint is neither a URL nor a database name"),
    ];
    for (more, reason) in table {
        check_refused(&body(&more), reason);
    }
}

#[test]
fn a_job_has_couchdbs_defaults() {
    let job = parse(&body(&json!({"unknown": {"is": "ignored"}, "doc_ids": null})));
    assert_eq!(job.tuning, Tuning::default());
    assert_eq!((job.wait, job.style, &job.filter), (Wait::Never, Style::AllDocs, &Filter::All));
    assert_eq!((&job.since_seq, &job.create_target, &job.doc_id), (&None, &None, &None));
    assert_eq!(job.target, Endpoint::Local("t".parse().unwrap()));
}

#[test]
fn every_member_is_read() {
    let job = parse(&body(&json!({
        "_id": "d", "owner": "jan", "user_ctx": {"name": "jan", "roles": ["_admin", 1]},
        "continuous": true, "winning_revs_only": true, "create_target": true, "create_target_params": {"q": 2},
        "since_seq": "7-x", "doc_ids": ["b", "a%2Fb", "b"], "checkpoint_interval": "5000", "worker_batch_size": 0,
        "worker_processes": 2, "http_connections": 1, "connection_timeout": 100, "retries_per_request": 1,
        "use_bulk_get": false,
    })));
    assert_eq!((job.wait, job.style, job.doc_id.as_deref()), (Wait::Forever, Style::MainOnly, Some("d")));
    assert_eq!(job.user_ctx, Some(UserContext { name: Some("jan".to_owned()), roles: vec!["_admin".to_owned()] }));
    assert_eq!(job.owner.as_deref(), Some("jan"));
    assert_eq!(job.create_target, json!({"q": 2}).as_object().cloned());
    assert_eq!(job.since_seq.unwrap().to_since(), "7-x");
    assert_eq!(job.filter, Filter::DocIds(["a/b".to_owned(), "b".to_owned()].into()));
    let expected = Tuning {
        worker_batch_size: 1, // A batch without rows would never end.
        worker_processes: 2,
        http_connections: 2, // One would be the feed's.
        connection_timeout: Duration::from_millis(100),
        retries_per_request: 1,
        checkpoint_interval: Some(Duration::from_secs(5)),
        fetch: Fetch::Single,
    };
    assert_eq!(job.tuning, expected);
    assert_eq!(parse(&body(&json!({"use_checkpoints": false}))).tuning.checkpoint_interval, None);
}

#[test]
fn filters_are_told_apart() {
    let filter = |more: Value| parse(&body(&more)).filter;
    let query = Arc::new(json!({"a": 1}).as_object().unwrap().clone());
    let function = Filter::Function { design: "d".to_owned(), name: "f/g".to_owned(), query: Arc::clone(&query) };
    assert_eq!(filter(json!({"filter": "d/f/g", "query_params": {"a": 1}})), function);
    let built_in = Filter::BuiltIn { name: "_design".to_owned(), query };
    assert_eq!(filter(json!({"filter": "_design", "query_params": {"a": 1}})), built_in);
    assert!(matches!(filter(json!({"selector": {}})), Filter::Selector(_)));
}

#[test]
fn credentials_are_found_and_never_shown() {
    let check = |source: Value, basic: Option<(&str, &str)>, url: &str, seen: &str| {
        let job = parse(&body(&json!({"source": source})));
        let Endpoint::Remote(remote) = &job.source else { panic!("{source}") };
        let found = remote.basic.as_ref().map(|basic| (basic.username.as_str(), basic.password.as_str()));
        assert_eq!((found, remote.url.as_str()), (basic, url), "{source}");
        assert_eq!(shown(&source).as_deref(), Some(seen));
        assert!(!format!("{job:?}").contains("secret"), "{job:?}");
    };
    check(json!("http://a/b"), None, "http://a/b/", "http://a/b/");
    check(json!("http://a/b?x=1"), None, "http://a/b?x=1", "http://a/b?x=1");
    check(json!("https://u:secret@a:1/b/"), Some(("u", "secret")), "https://a:1/b/", "https://*****@a:1/b/");
    check(json!("http://u%40x:secret%3A@a/b"), Some(("u@x", "secret:")), "http://a/b/", "http://*****@a/b/");
    check(json!("http://[::1]:5984/b"), None, "http://[::1]:5984/b/", "http://[::1]:5984/b/");
    let header = json!({"Authorization": "Basic djpzZWNyZXQy"});
    let auth = json!({"basic": {"username": "w", "password": "secret3"}});
    check(json!({"url": "http://a/b", "headers": header}), Some(("v", "secret2")), "http://a/b/", "http://*****@a/b/");
    let both = json!({"url": "http://u:secret@a/b", "headers": header});
    check(both, Some(("u", "secret")), "http://a/b/", "http://*****@a/b/");
    let all = json!({"url": "http://u:secret@a/b", "headers": header, "auth": auth});
    check(all, Some(("w", "secret3")), "http://a/b/", "http://*****@a/b/");
    let token = json!({"url": "http://a/b", "headers": {"Authorization": "Bearer secret"}});
    check(token, None, "http://a/b/", "http://a/b/");
    assert_eq!(shown(&json!("local")).as_deref(), Some("local"));
    // What is no URL may hold a password anywhere, and so may one that goes on with credentials behind its host.
    for url in
        ["htp://u:secret@a", "http://u#x:secret@a/b", "http://u/x:secret@a/b", "http://u:1?secret@a/b", "http://a/b#c"]
    {
        assert_eq!(shown(&json!(url)), None, "{url}");
    }
}

#[test]
fn the_same_job_has_the_same_id() {
    let plain = id(&json!({}));
    assert_eq!(plain.len(), 32);
    let same = [
        json!({"source": "https://a.example/s"}),
        json!({"source": "http://A.example:5984/s/"}),
        json!({"source": {"url": "http://a.example:80/s"}}),
        json!({"worker_processes": 9, "checkpoint_interval": 1, "winning_revs_only": false, "_id": "x", "owner": "y"}),
    ];
    for more in same {
        assert_eq!(id(&more), plain, "{more}");
    }
    assert_eq!(id(&json!({"continuous": true})), format!("{plain}+continuous"));
    assert_eq!(id(&json!({"continuous": true, "create_target": true})), format!("{plain}+continuous+create_target"));
    // A new password is no new replication.
    let with = |password: &str| id(&json!({"source": format!("http://u:{password}@a.example/s")}));
    assert_eq!(with("a"), with("b"));
    assert_eq!(
        id(&json!({"selector": {"a": 1, "b": {"c": 2, "d": 3}}})),
        id(&json!({"selector": {"b": {"d": 3, "c": 2}, "a": 1}}))
    );
}

#[test]
fn another_job_has_another_id() {
    let bodies = [
        json!({}),
        json!({"source": "http://b.example/s"}),
        json!({"source": "http://a.example:1/s"}),
        json!({"source": "http://u:x@a.example/s"}),
        json!({"source": "s"}),
        json!({"source": {"url": "http://a.example/s", "headers": {"h": "v"}}}),
        json!({"target": "u"}),
        json!({"doc_ids": ["a"]}),
        json!({"doc_ids": ["a", "b"]}),
        json!({"selector": {"a": 1}}),
        json!({"filter": "_design"}),
        json!({"filter": "a/b"}),
        json!({"filter": "a/b", "query_params": {"x": 1}}),
        json!({"winning_revs_only": true}),
        json!({"since_seq": 7}),
    ];
    let ids: std::collections::BTreeSet<_> = bodies.iter().map(id).collect();
    assert_eq!(ids.len(), bodies.len());
    let filtered = parse(&body(&json!({"filter": "a/b"})));
    assert_ne!(filtered.id("server", Some("function f")), filtered.id("server", Some("function g")));
    assert_ne!(filtered.id("server", None), filtered.id("another", None));
}

#[test]
fn an_id_is_stable() {
    // Checkpoints lie under it: if this changes, every replication starts anew.
    assert_eq!(id(&json!({"continuous": true})), "7d719d85cef0757bd01e18d621dbd0d8+continuous");
    let job = parse(&body(&json!({}))).id("server", None);
    assert_eq!(checkpoint_id(&job), format!("_local/{}", job.base()));
}

#[test]
fn a_cancellation_names_an_id_or_the_job() {
    let asked = parse_job(&json!({"cancel": true, "replication_id": "abc continuous"})).unwrap();
    assert_eq!(asked, Asked::Cancel("abc+continuous".parse().unwrap()));
    let same = parse_job(&body(&json!({"cancel": true, "continuous": true}))).unwrap();
    assert!(matches!(same, Asked::CancelSame(job) if job.wait == Wait::Forever));
}
