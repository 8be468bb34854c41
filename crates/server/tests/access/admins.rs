//! Administrators of the server in its configuration: who can be one, how the last one stays, and what is shown of them.

use crate::site::{Site, Who};

const ADMINS: &str = "/_node/_local/_config/admins";

/// Sets or deletes an administrator; the answer's status and text.
fn set(site: &Site, method: &str, name: &str, json: &str) -> (u16, String) {
    let answer = site.ask(Who::Root, &format!("{method} {ADMINS}/{name}"), json);
    (answer.status, answer.text())
}

#[test]
fn an_administrator_has_a_name_and_a_password() {
    let site = Site::start("");
    let setup = |json: &str| {
        let answer = site.ask(Who::Root, "POST /_cluster_setup", json);
        (answer.status, answer.text())
    };
    let refused = [
        set(&site, "PUT", "eve", r#""""#),
        set(&site, "PUT", "eve", r#""  ""#),
        set(&site, "PUT", "root", r#""""#),
        setup(r#"{"action":"enable_single_node","username":"eve","password":""}"#),
        setup(r#"{"action":"enable_single_node","username":"","password":"secret"}"#),
    ];
    for (status, text) in refused {
        assert_eq!((status, text.contains("An administrator needs a name and a password.")), (400, true), "{text}");
    }
    let with = |credentials| {
        let headers = [("authorization", credentials)];
        site.ask_with(Who::Nobody, "GET /_all_dbs", &headers, "").status
    };
    // `eve:` and `:`.
    assert_eq!(["Basic ZXZlOg==", "Basic Og=="].map(with), [401, 401]);
    assert_eq!(site.ask(Who::Root, "GET /_all_dbs", "").status, 200);
}

#[test]
fn the_last_administrator_stays_and_those_of_the_file_come_back() {
    let mut site = Site::start("");
    let (status, text) = set(&site, "DELETE", "root", "");
    assert_eq!((status, text.contains("This is the last administrator: name another")), (400, true), "{text}");
    assert_eq!(set(&site, "PUT", "ada", r#""ada""#).0, 200);
    assert_eq!(set(&site, "DELETE", "root", "").0, 200);
    assert_eq!(site.ask(Who::Root, "GET /_all_dbs", "").status, 401);
    let last = site.ask(Who::Ada, &format!("DELETE {ADMINS}/ada"), "");
    assert_eq!(last.status, 400, "{}", last.text());
    site.restart();
    assert_eq!(site.ask(Who::Root, "GET /_all_dbs", "").status, 200);
    // What was set over HTTP still comes before the file.
    assert_eq!(set(&site, "PUT", "root", r#""other""#).0, 200);
    site.restart();
    assert_eq!(site.ask(Who::Root, "GET /_all_dbs", "").status, 401);
    assert_eq!(site.ask(Who::Ada, "GET /_all_dbs", "").status, 200);
}

#[test]
fn passwords_of_the_file_are_shown_as_their_hashes() {
    let site = Site::start("");
    let hash = |text: &str| text.starts_with("\"-pbkdf2:sha256-") && text.trim_end().ends_with(",2\"");
    let shown = site.ask(Who::Root, &format!("GET {ADMINS}/root"), "").text();
    assert!(hash(&shown), "{shown}");
    for path in [ADMINS, "/_node/_local/_config"] {
        let all = site.ask(Who::Root, &format!("GET {path}"), "").text();
        assert!(all.contains(&format!("\"root\":{}", shown.trim_end())), "{all}");
    }
    // The hash is as good as the password in the file.
    assert_eq!(set(&site, "PUT", "root", &shown), (200, shown.clone()));
    assert_eq!(site.ask(Who::Root, "GET /_all_dbs", "").status, 200);
    let site = Site::start("");
    assert_eq!(set(&site, "PUT", "ada", r#""ada""#).1, "\"\"\n");
    let before = set(&site, "DELETE", "root", "").1;
    assert!(hash(&before), "{before}");
}

#[test]
fn a_deleted_secret_is_the_servers_own_again() {
    let mut site = Site::start("");
    let secret = "/_node/_local/_config/chttpd_auth/secret";
    let ask = |site: &Site, method: &str, json: &str| {
        let answer = site.ask(Who::Root, &format!("{method} {secret}"), json);
        (answer.status, answer.text())
    };
    let (_, own) = ask(&site, "GET", "");
    let (status, text) = ask(&site, "PUT", r#""too short""#);
    assert_eq!(status, 400, "{text}");
    let named = r#""sixteen bytes and more""#;
    assert_eq!(ask(&site, "PUT", named), (200, own.clone()));
    assert_eq!(ask(&site, "DELETE", ""), (200, format!("{named}\n")));
    assert_eq!(ask(&site, "GET", ""), (200, own.clone()));
    site.restart();
    assert_eq!(ask(&site, "GET", ""), (200, own));
}
