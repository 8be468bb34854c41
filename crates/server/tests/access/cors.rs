//! Which web pages may call, as somebody.

use crate::site::{Site, Who};

fn allowed(site: &Site, origin: &str) -> (Option<String>, Option<String>) {
    let answer = site.ask_with(Who::Ada, "GET /db", &[("origin", origin)], "");
    let header = |name| answer.header(name).map(str::to_owned);
    let found = (header("access-control-allow-origin"), header("access-control-allow-credentials"));
    let asks = [("origin", origin), ("access-control-request-method", "PUT")];
    let preflight = site.ask_with(Who::Nobody, "OPTIONS /db", &asks, "");
    assert_eq!(preflight.header("access-control-allow-origin"), found.0.as_deref(), "{origin}");
    found
}

#[test]
fn only_the_listed_origin_exactly() {
    let site = Site::start("[cors]\norigins = [\"https://app.example.com\"]\ncredentials = true\n");
    let right = "https://app.example.com";
    assert_eq!(allowed(&site, right), (Some(right.to_owned()), Some("true".to_owned())));
    for wrong in [
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "https://APP.example.com",
        "https://app.example.co",
        "https://app.example.com@evil.example",
        "https://app.example.com, https://evil.example",
        "null",
        "*",
        "",
    ] {
        assert_eq!(allowed(&site, wrong), (None, None), "{wrong}");
    }
}

#[test]
fn with_credentials_a_star_is_never_said() {
    let site = Site::start("[cors]\norigins = [\"*\"]\ncredentials = true\n");
    for origin in ["https://any.example", "null"] {
        assert_eq!(allowed(&site, origin), (Some(origin.to_owned()), Some("true".to_owned())));
    }
}
