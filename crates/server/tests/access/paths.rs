//! Names that try to be more than a name.

use crate::site::{Site, Who};

const SECRET: &str = "what-nobody-else-may-read";

/// A server on which ada may use `db`, and not `vault`, where `x` is.
fn site() -> Site {
    let site = Site::start("");
    assert_eq!(site.ask(Who::Root, "PUT /vault", "").status, 201);
    assert_eq!(site.ask(Who::Root, "PUT /vault/x", &format!(r#"{{"v":"{SECRET}"}}"#)).status, 201);
    assert_eq!(site.ask(Who::Root, "PUT /db/doc", "{}").status, 201);
    site
}

#[test]
fn no_path_leads_into_another_database() {
    let site = site();
    for path in [
        "/vault/x",
        "/%76ault/x",
        "/vault/%78",
        "/vault%2Fx",
        "/vault%00/x",
        "/%2576ault/x",
        "/VAULT/x",
        "//vault/x",
        "/./vault/x",
        "/%2e/vault/x",
        "/db/../vault/x",
        "/db/%2e%2e/vault/x",
        "/db/%2E%2E%2Fvault%2Fx",
        "/db/..%2fvault%2fx",
        "/db/%252e%252e/vault/x",
        "/db%2F..%2Fvault/x",
        "/db%00/../vault/x",
        "/db//../vault/x",
        "/db/doc/../../vault/x",
        "/db/_design/../../vault/x",
        "/db/_local/../../vault/x",
        "/db/_all_docs/../../vault/x",
        "/_users/../vault/x",
        "/_up/../vault/x",
        "/db;/vault/x",
        "/db\\..\\vault\\x",
        "http://elsewhere/vault/x",
    ] {
        for who in [Who::Nobody, Who::Eve, Who::Ada] {
            let answer = site.ask(who, &format!("GET {path}"), "");
            assert!(answer.status >= 400, "{who:?} {path}: {answer:?}");
            assert!(!answer.text().contains(SECRET), "{who:?} {path}");
        }
    }
}

#[test]
fn no_destination_leads_into_another_database() {
    let site = site();
    let count = || site.ask(Who::Root, "GET /vault/_all_docs?limit=0", "").text();
    let before = count();
    for to in ["../vault/y", "/vault/y", "%2e%2e%2fvault%2fy", "http://x/vault/y", "y\u{0}", "..\\vault\\y"] {
        let raw = to.replace('\u{0}', "%00");
        site.ask_with(Who::Ada, "COPY /db/doc", &[("destination", &raw)], "");
    }
    assert_eq!(count(), before);
}

#[test]
fn database_names_are_no_paths() {
    let site = site();
    for name in ["..%2Fevil", "a%2F..%2Fb", "%2e%2e", ".", "a%00", "a%0d%0ab", "A", "a.couch", "%2Fetc", "_evil"] {
        assert_eq!(site.ask(Who::Root, &format!("PUT /{name}"), "").status, 400, "{name}");
    }
    let put = "PUT /db/doc2/..%2F..%2Fpasswd";
    assert_eq!(site.ask_with(Who::Ada, put, &[("content-type", "text/plain")], "x").status, 201);
    assert!(!site.folder().join("passwd").exists() && !site.folder().join("data/passwd").exists());
    assert_eq!(site.ask(Who::Ada, "GET /db/doc2/..%2F..%2Fpasswd", "").text(), "x");
}

#[test]
fn nothing_that_is_sent_becomes_a_header() {
    let site = site();
    let evil = r#"{"_attachments":{"a":{"data":"eA==","content_type":"text/plain\r\nX-Evil: 1"}}}"#;
    let name = r#"{"_attachments":{"a\"\r\nX-Evil: 1":{"data":"eA==","content_type":"text/plain"}}}"#;
    let form = "name=ada&password=ada";
    let as_form = ("content-type", "application/x-www-form-urlencoded");
    let answers = [
        site.ask(Who::Ada, "PUT /db/a%0D%0AX-Evil:%201", "{}"),
        site.ask(Who::Ada, "GET /db/a%0D%0AX-Evil:%201", ""),
        site.ask(Who::Root, "PUT /new%0D%0AX-Evil:%201", ""),
        site.ask_with(Who::Ada, "COPY /db/doc", &[("destination", "b%0D%0AX-Evil:%201")], ""),
        site.ask_with(Who::Nobody, "POST /_session?next=/%0D%0AX-Evil:%201", &[as_form], form),
        site.ask_with(Who::Root, "PUT /new-host", &[("x-forwarded-host", "a\u{b}b")], ""),
        site.ask(Who::Ada, "PUT /db/typed", evil),
        site.ask(Who::Ada, "GET /db/typed/a", ""),
        site.ask_with(Who::Ada, "GET /db/typed?attachments=true", &[("accept", "multipart/related")], ""),
        site.ask(Who::Ada, "PUT /db/named", name),
        site.ask_with(Who::Ada, "GET /db/named?attachments=true", &[("accept", "multipart/related")], ""),
        site.ask(Who::Ada, "GET /db?x=%0D%0AX-Evil:%201", ""),
    ];
    for (place, answer) in answers.iter().enumerate() {
        assert!(answer.header("x-evil").is_none(), "{place}: {answer:?}");
        assert!(!answer.text().contains("\nX-Evil"), "{place}: {}", answer.text());
        assert!(answer.status < 500, "{place}: {answer:?}");
    }
}

#[test]
fn after_a_login_the_way_goes_on_here() {
    let site = site();
    let here = format!("http://{}", site.client.address());
    for next in ["//evil.example", "/\\evil.example", "/%5Cevil.example", "/%2F%2Fevil.example", "/db/doc"] {
        for line in [format!("POST /_session?next={next}"), format!("DELETE /_session?next={next}")] {
            let answer = site.ask(Who::Nobody, &line, r#"{"name":"ada","password":"ada"}"#);
            let location = answer.header("location").unwrap();
            assert!(location.starts_with(&format!("{here}/")), "{line}: {location}");
        }
    }
    for next in ["https://evil.example/", "evil", "javascript:alert(1)", "", "%09//evil.example"] {
        let answer = site.ask(Who::Nobody, &format!("DELETE /_session?next={next}"), "");
        assert_eq!((answer.status, answer.header("location")), (400, None), "{next}");
    }
}
