//! Logging in: sessions, wrong passwords, and what is kept of the right ones.

use crate::site::{Site, Who};
use std::path::Path;
use tidegate_testkit::{http::Response, until};

fn log_in(site: &Site, headers: &[(&str, &str)], name: &str, password: &str) -> Response {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = headers.iter().copied().chain([json]).collect();
    let body = format!(r#"{{"name":"{name}","password":"{password}"}}"#);
    site.ask_with(Who::Nobody, "POST /_session", &headers, &body)
}

/// The pair in front of a cookie's attributes.
fn cookie(answer: &Response) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// The name that a session stands for.
fn name(site: &Site, cookie: &str) -> String {
    let answer = site.ask_with(Who::Nobody, "GET /_session", &[("cookie", cookie)], "");
    let text = answer.text();
    let (_, rest) = text.split_once(r#""userCtx":{"name":"#).unwrap_or_else(|| panic!("{answer:?}"));
    rest.split(',').next().unwrap().trim_matches('"').to_owned()
}

#[test]
fn a_planted_session_is_not_adopted() {
    let site = Site::start("");
    let adas = cookie(&log_in(&site, &[], "ada", "ada"));
    assert_eq!(name(&site, &adas), "ada");
    for planted in [adas.as_str(), "AuthSession=", "AuthSession=Zm9v", "AuthSession=%%", "AuthSession=cm9vdDowOng"] {
        let answer = log_in(&site, &[("cookie", planted)], "eve", "eve");
        assert_eq!(answer.status, 200, "{planted}: {answer:?}");
        let eves = cookie(&answer);
        assert_ne!(eves, planted);
        assert_eq!(name(&site, &eves), "eve");
    }
    assert_eq!(name(&site, &adas), "ada");
}

#[test]
fn a_session_ends_with_its_password_and_its_user() {
    let site = Site::start("");
    let session = cookie(&log_in(&site, &[], "ada", "ada"));
    let get = |headers: &[(&str, &str)]| site.ask_with(Who::Nobody, "GET /db", headers, "").status;
    assert_eq!(get(&[("cookie", &session)]), 200);
    let user = site.ask(Who::Ada, "GET /_users/org.couchdb.user:ada", "").text();
    let changed = user.trim_end().replacen('{', r#"{"password":"other","#, 1);
    assert_eq!(site.ask(Who::Ada, "PUT /_users/org.couchdb.user:ada", &changed).status, 201);
    assert_eq!(get(&[("cookie", &session)]), 401);
    assert_eq!(get(&[("authorization", Who::Ada.authorization().unwrap())]), 401);
    let answer = log_in(&site, &[], "ada", "other");
    let session = cookie(&answer);
    assert_eq!(get(&[("cookie", &session)]), 200);
    let user = site.ask(Who::Root, "GET /_users/org.couchdb.user:ada", "");
    let rev = user.header("etag").unwrap().trim_matches('"');
    let line = format!("DELETE /_users/org.couchdb.user:ada?rev={rev}");
    assert_eq!(site.ask(Who::Root, &line, "").status, 200);
    assert_eq!(get(&[("cookie", &session)]), 401);
}

#[test]
fn a_cookie_tells_the_browser_to_keep_it_to_itself() {
    let site = Site::start("[config.chttpd_auth]\niterations = \"2\"\nsame_site = \"strict\"\ntimeout = \"60\"\n");
    let answer = log_in(&site, &[], "ada", "ada");
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["; HttpOnly", "; Path=/", "; SameSite=Strict", "; Max-Age=60"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    let cleared = site.ask(Who::Nobody, "DELETE /_session", "");
    assert!(cleared.header("set-cookie").unwrap().starts_with("AuthSession=;"));
    assert!(!cookie.contains("ada"), "{cookie}");
}

#[test]
fn a_name_that_nobody_has_fails_like_a_wrong_password() {
    let site = Site::start("");
    let wrong = |name: &str| {
        let answer = log_in(&site, &[], name, "wrong");
        let headers =
            answer.headers.into_iter().filter(|(name, _)| !["date", "x-couch-request-id"].contains(&name.as_str()));
        (answer.status, String::from_utf8(answer.body).unwrap(), headers.collect::<Vec<_>>())
    };
    for round in 1..=7 {
        let (known, unknown) = (wrong("ada"), wrong("zed"));
        assert_eq!(known, unknown, "{round}");
        assert_eq!(known.0, if round <= 5 { 401 } else { 403 }, "{round}: {known:?}");
    }
}

#[test]
fn who_fails_five_times_is_locked_out_and_nobody_else() {
    let site = Site::start("");
    for _ in 0..5 {
        assert_eq!(log_in(&site, &[], "ada", "wrong").status, 401);
    }
    let answer = log_in(&site, &[], "ada", "ada");
    let locked = "Account is temporarily locked due to multiple authentication failures";
    assert_eq!((answer.status, answer.text().contains(locked)), (403, true), "{answer:?}");
    assert_eq!(site.ask(Who::Ada, "GET /", "").status, 403);
    assert_eq!(log_in(&site, &[], "eve", "eve").status, 200);
    assert_eq!(site.ask(Who::Root, "GET /_all_dbs", "").status, 200);
}

/// Behind a proxy, who guesses locks nobody else out.
#[test]
fn wrong_passwords_count_by_the_address_that_a_proxy_tells() {
    let site = Site::start("[config.chttpd]\npeer_header = \"X-Forwarded-For\"\n");
    let from = |address: &'static str| [("x-forwarded-for", address)];
    let [guesser, reader] = ["192.0.2.2, 192.0.2.1", "192.0.2.1, 192.0.2.2"].map(from);
    for _ in 0..5 {
        assert_eq!(log_in(&site, &guesser, "root", "wrong").status, 401);
    }
    assert_eq!(log_in(&site, &guesser, "root", "root").status, 403);
    assert_eq!(site.ask_with(Who::Root, "GET /_all_dbs", &guesser, "").status, 403);
    assert_eq!(log_in(&site, &reader, "root", "root").status, 200);
    assert_eq!(site.ask_with(Who::Root, "GET /_all_dbs", &reader, "").status, 200);
    assert_eq!(site.ask(Who::Root, "GET /_all_dbs", "").status, 200);
}

#[test]
fn a_password_is_kept_in_todays_way_after_the_next_login() {
    let site = Site::start("");
    let user = || site.ask(Who::Root, "GET /_users/org.couchdb.user:ada", "").text();
    assert_eq!(log_in(&site, &[], "ada", "ada").status, 200);
    let before = user();
    assert_eq!(site.ask(Who::Root, "PUT /_node/_local/_config/chttpd_auth/iterations", r#""3""#).status, 200);
    assert_eq!(user(), before);
    assert_eq!(log_in(&site, &[], "ada", "ada").status, 200);
    until("it is hashed again", || user().contains(r#""iterations":3,"#));
    assert_eq!(log_in(&site, &[], "ada", "ada").status, 200);
}

#[test]
fn a_new_password_is_not_overwritten_by_the_old_one_kept_in_todays_way() {
    let site = Site::start("");
    let user = |name: &str| site.ask(Who::Root, &format!("GET /_users/org.couchdb.user:{name}"), "").text();
    assert_eq!(site.ask(Who::Root, "PUT /_node/_local/_config/chttpd_auth/iterations", r#""3""#).status, 200);
    let changed = user("ada").trim_end().replacen('{', r#"{"password":"other","#, 1);
    assert_eq!(site.ask(Who::Ada, "PUT /_users/org.couchdb.user:ada", &changed).status, 201);
    // Whoever logs in later is hashed again later.
    assert_eq!(log_in(&site, &[], "eve", "eve").status, 200);
    until("another is hashed again", || user("eve").contains(r#""iterations":3,"#));
    assert_eq!(log_in(&site, &[], "ada", "other").status, 200);
}

#[test]
fn passwords_are_neither_logged_nor_shown_nor_stored() {
    let site = Site::start("");
    let passwords = ["of-the-new-user", "of-the-new-admin", "that-is-wrong"];
    let user = r#"{"name":"new","type":"user","roles":[],"password":"of-the-new-user"}"#;
    assert_eq!(site.ask(Who::Root, "PUT /_users/org.couchdb.user:new", user).status, 201);
    let admin = "PUT /_node/_local/_config/admins/boss";
    assert_eq!(site.ask(Who::Root, admin, r#""of-the-new-admin""#).status, 200);
    assert_eq!(log_in(&site, &[], "new", "of-the-new-user").status, 200);
    assert_eq!(log_in(&site, &[], "boss", "of-the-new-admin").status, 200);
    assert_eq!(log_in(&site, &[], "new", "that-is-wrong").status, 401);
    let shown = [
        "GET /_users/org.couchdb.user:new",
        "GET /_users/_all_docs?include_docs=true",
        "GET /_node/_local/_config/admins",
    ];
    let shown = shown.map(|line| site.ask(Who::Root, line, "").text()).join("\n");
    let files = contents(&site.folder().join("data"));
    for password in passwords {
        assert!(!site.log().contains(password), "{password} is logged");
        assert!(!shown.contains(password), "{password} is shown");
        assert!(!files.iter().any(|file| holds(file, password.as_bytes())), "{password} is stored");
    }
    assert!(files.iter().any(|file| holds(file, b"derived_key")), "the files were looked through");
}

fn contents(folder: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(contents(&entry.path()));
        } else {
            files.push(std::fs::read(entry.path()).unwrap());
        }
    }
    files
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// What is right is hashed slowly once, what is wrong each time.
#[test]
fn slow_hashes_are_counted() {
    let site = Site::start("");
    let slow = || {
        let text = site.ask(Who::Root, "GET /_node/_local/_stats/couchdb/password_hashing_slow", "").text();
        text.split_once("\"value\":").unwrap().1.split(['}', ',']).next().unwrap().trim().parse::<u64>().unwrap()
    };
    let costs = |password: &str| {
        let before = slow();
        log_in(&site, &[], "eve", password);
        slow() - before
    };
    assert_eq!(["no", "no", "eve", "eve", "eve", "no"].map(costs), [1, 1, 1, 0, 0, 1]);
}
