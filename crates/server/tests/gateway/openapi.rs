//! The OpenAPI documents and their page, out of the real binary: what they tell of is there, and nothing else is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::{collections::BTreeSet, fs, io::Read};
use tempfile::TempDir;
use tidegate_testkit::{
    http::{Client, Response},
    server::Server,
};

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"];

/// Wrong passwords are sent again and again here.
const CONFIG: &str = "[admins]\nroot = \"root\"\n[config.chttpd_auth_lockout]\nmode = \"off\"\n";

fn start(profile: &str) -> (Server, TempDir) {
    let data = tempfile::tempdir().unwrap();
    let (binary, folder) = (env!("CARGO_BIN_EXE_tidegate"), data.path().join("data"));
    (Server::start_with(binary, &folder, &["gateway", "admin"], &["--profile", profile]).unwrap(), data)
}

fn client(server: &Server, listener: &str) -> Client {
    Client::new(server.address(listener).unwrap())
}

fn document(client: &Client) -> Value {
    serde_json::from_slice(&client.get("/_api/openapi.json").unwrap().body).unwrap()
}

/// A path as it can be asked for. The names are nobody's: what is asked changes nothing.
fn sample(path: &str) -> String {
    let fill = |segment: &str| if segment.starts_with('{') { "x".to_owned() } else { segment.to_owned() };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

/// Whether the answer says that there is no such path on this port.
fn is_unknown(answer: &Response) -> bool {
    answer.status == 404 && answer.text().contains("unknown URL")
}

#[test]
fn what_the_documents_tell_of_is_there_with_these_methods_and_no_others() {
    for profile in ["2", "4"] {
        let (server, _data) = start(profile);
        for listener in ["gateway", "admin"] {
            let client = client(&server, listener);
            for (path, item) in document(&client)["paths"].as_object().unwrap() {
                let told: BTreeSet<String> = item.as_object().unwrap().keys().map(|key| key.to_uppercase()).collect();
                for method in METHODS {
                    let place = format!("{method} {path} on {listener}, profile {profile}");
                    let answer = client.request(method, &sample(path), &[], b"").unwrap();
                    assert_eq!(answer.status != 405, told.contains(method), "{place}: {}", answer.status);
                    assert!(!is_unknown(&answer), "{place}");
                    let is_done = told.contains(method) && method != "HEAD";
                    let status = answer.status.to_string();
                    let answers = &item[method.to_lowercase()]["responses"];
                    assert!(!is_done || answers.get(&status).is_some(), "{place}: {status} isn't told of");
                }
            }
        }
    }
}

#[test]
fn the_public_port_tells_nothing_of_what_it_has_not() {
    let (server, _data) = start("4");
    let (public, admin) = (document(&client(&server, "gateway")), document(&client(&server, "admin")));
    let told: BTreeSet<&String> = public["paths"].as_object().unwrap().keys().collect();
    let public = client(&server, "gateway");
    for path in admin["paths"].as_object().unwrap().keys().filter(|path| !told.contains(path)) {
        assert!(is_unknown(&public.get(&sample(path)).unwrap()), "{path}");
    }
}

#[test]
fn the_page_is_whole_and_loads_from_here_alone() {
    let (server, _data) = start("4");
    for listener in ["gateway", "admin"] {
        let client = client(&server, listener);
        let page = client.get("/_api/").unwrap();
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        let html = page.text();
        let loaded: Vec<&str> = html
            .split("src=\"")
            .chain(html.split("href=\""))
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        for file in loaded.iter().filter(|file| !file.starts_with("data:") && !file.starts_with('<')) {
            assert_eq!(client.get(&format!("/_api/{file}")).unwrap().status, 200, "{file}");
            assert!(!file.contains(':') && !file.starts_with('/'), "{file}");
        }
        let script = client.get("/_api/page.js").unwrap().text();
        assert!(script.contains("validatorUrl: null") && !script.contains("://"), "{script}");
    }
}

#[test]
fn files_go_out_packed_or_not_and_once() {
    let (server, _data) = start("4");
    let client = client(&server, "gateway");
    for file in ["/_api/swagger-ui-bundle.js", "/_api/swagger-ui.css", "/_api/openapi.json"] {
        let plain = client.get(file).unwrap();
        let packed = client.request("GET", file, &[("accept-encoding", "gzip")], b"").unwrap();
        assert_eq!(
            (plain.header("content-encoding"), packed.header("content-encoding")),
            (None, Some("gzip")),
            "{file}"
        );
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body, "{file}");
        let etag = plain.header("etag").unwrap();
        let known = client.request("GET", file, &[("if-none-match", etag)], b"").unwrap();
        assert_eq!((known.status, known.body.len()), (304, 0), "{file}");
        assert_eq!(packed.header("etag"), Some(etag), "{file}");
    }
}

/// On the admin port, the document is behind the door that everything is behind.
#[test]
fn administrators_alone_read_what_they_can_do() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("tidegate.toml");
    fs::write(&config, CONFIG).unwrap();
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    let (binary, folder) = (env!("CARGO_BIN_EXE_tidegate"), data.path().join("data"));
    let server = Server::start_in(binary, &folder, &["gateway", "admin"], &arguments, Vec::new()).unwrap();
    let ask = |listener: &str, path: &str, who: Option<&str>| {
        let authorization = who.map(|who| format!("Basic {}", BASE64_STANDARD.encode(who)));
        let headers: Vec<_> = authorization.as_deref().map(|value| ("authorization", value)).into_iter().collect();
        client(&server, listener).request("GET", path, &headers, b"").unwrap().status
    };
    for file in ["/_api/", "/_api/openapi.json", "/_api/swagger-ui-bundle.js", "/_api/swagger-ui.css", "/_api/page.js"]
    {
        let admin = [None, Some("root:wrong"), Some("root:root")].map(|who| ask("admin", file, who));
        assert_eq!(admin, [401, 401, 200], "{file}");
        let public = [None, Some("al:wrong")].map(|who| ask("gateway", file, who));
        assert_eq!(public, [200, 200], "{file}");
    }
}
