//! The requests by which the setup wizard of Self-hosted LiveSync, a plug-in for Obsidian, prepares a server.

use crate::site::{Site, Who};

const KEYS: [(&str, &str); 9] = [
    ("chttpd/require_valid_user", "true"),
    ("chttpd_auth/require_valid_user", "true"),
    ("httpd/WWW-Authenticate", "Basic realm=\"couchdb\""),
    ("httpd/enable_cors", "true"),
    ("chttpd/enable_cors", "true"),
    ("chttpd/max_http_request_size", "4294967296"),
    ("couchdb/max_document_size", "50000000"),
    ("cors/credentials", "true"),
    ("cors/origins", "app://obsidian.md,capacitor://localhost,http://localhost"),
];

#[test]
fn every_key_it_sets_works() {
    let site = Site::start("");
    let config = site.ask(Who::Root, "GET /_node/_local/_config", "");
    assert!(config.text().contains("\"cors\"") || config.text().contains("\"chttpd\""), "{}", config.text());
    for (key, value) in KEYS {
        let line = format!("/_node/_local/_config/{key}");
        let answer = site.ask(Who::Root, &format!("PUT {line}"), &format!("{value:?}"));
        assert_eq!(answer.status, 200, "{key}: {}", answer.text());
        assert_eq!(site.ask(Who::Root, &format!("GET {line}"), "").text(), format!("{value:?}\n"));
    }
    let answer = site.ask(Who::Nobody, "GET /", "");
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic realm=\"couchdb\"")));
    for origin in ["app://obsidian.md", "capacitor://localhost", "http://localhost"] {
        let answer = site.ask_with(Who::Ada, "GET /db", &[("origin", origin)], "");
        let header = |name| answer.header(name);
        assert_eq!(header("access-control-allow-origin"), Some(origin));
        assert_eq!(header("access-control-allow-credentials"), Some("true"));
    }
    let asks = [
        ("origin", "app://obsidian.md"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let preflight = site.ask_with(Who::Nobody, "OPTIONS /db/x", &asks, "");
    assert_eq!(preflight.header("access-control-allow-origin"), Some("app://obsidian.md"), "{preflight:?}");
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(9_000_000));
    assert_eq!(site.ask(Who::Ada, "PUT /db/large", &large).status, 201);
}
