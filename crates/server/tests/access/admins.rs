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
