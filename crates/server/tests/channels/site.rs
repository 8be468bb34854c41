//! A server with both dialects, and a database whose documents are in channels.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tidegate_testkit::{
    http::{Client, Response},
    server::Server,
};

/// Few iterations and no lockout: these tests are about what is seen, and ask as strangers, too.
const CONFIG: &str = r#"
[admins]
root = "root"
[config.chttpd_auth]
iterations = "2"
[config.chttpd_auth_lockout]
mode = "off"
"#;

/// The listeners of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Couch,
    Gateway,
    Admin,
}

pub(crate) struct Site {
    server: Server,
    _folder: TempDir,
}

impl Site {
    /// With the database `db`, and nobody who has anything there.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tidegate.toml");
        std::fs::write(&config, CONFIG).unwrap();
        let arguments = ["serve", "--config", config.to_str().unwrap()];
        let (binary, data) = (env!("CARGO_BIN_EXE_tidegate"), folder.path().join("data"));
        let listeners = ["couch", "gateway", "admin"];
        let server = Server::start_in(binary, &data, &listeners, &arguments, Vec::new()).unwrap();
        let site = Self { server, _folder: folder };
        site.administer("PUT /db/", "{}");
        site
    }

    pub(crate) fn client(&self, door: Door) -> Client {
        let name = match door {
            Door::Couch => "couch",
            Door::Gateway => "gateway",
            Door::Admin => "admin",
        };
        Client::new(self.server.address(name).unwrap())
    }

    /// A request of a user (`name:password`) or of nobody. `line` is a method and a path; a body is JSON.
    #[track_caller]
    pub(crate) fn ask(&self, door: Door, who: Option<&str>, line: &str, json: &str) -> Response {
        self.ask_with(door, who, line, (&[], json))
    }

    #[track_caller]
    pub(crate) fn ask_with(
        &self,
        door: Door,
        who: Option<&str>,
        line: &str,
        (headers, body): (&[(&str, &str)], &str),
    ) -> Response {
        let (method, path) = line.split_once(' ').unwrap();
        let authorization = who.map(basic);
        let mut sent = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            sent.push(("content-type", "application/json"));
        }
        sent.extend(authorization.as_deref().map(|value| ("authorization", value)));
        self.client(door).request(method, path, &sent, body.as_bytes()).unwrap()
    }

    /// A request of the server's administrator, on Sync Gateway's admin port, that succeeds.
    #[track_caller]
    pub(crate) fn administer(&self, line: &str, json: &str) -> Value {
        let answer = self.ask(Door::Admin, Some("root:root"), line, json);
        assert!((200..300).contains(&answer.status), "{line}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    /// The same with a body that isn't JSON.
    #[track_caller]
    pub(crate) fn administer_text(&self, line: &str, content_type: &str, text: &str) {
        let sent = (&[("content-type", content_type)][..], text);
        let answer = self.ask_with(Door::Admin, Some("root:root"), line, sent);
        assert!((200..300).contains(&answer.status), "{line}: {} {}", answer.status, answer.text());
    }

    /// The same on the CouchDB listener.
    #[track_caller]
    pub(crate) fn administer_couch(&self, line: &str, json: &str) -> Value {
        let answer = self.ask(Door::Couch, Some("root:root"), line, json);
        assert!((200..300).contains(&answer.status), "{line}: {} {}", answer.status, answer.text());
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    /// Writes a document over what is there: its revision.
    #[track_caller]
    pub(crate) fn put(&self, id: &str, json: &str) -> String {
        self.administer(&format!("PUT /db/{id}"), json)["rev"].as_str().unwrap().to_owned()
    }
}

/// Whether threads beside a test go on.
#[derive(Default)]
pub(crate) struct GoingOn(AtomicBool);

/// Ends what goes on when it is dropped, however the test ends.
pub(crate) struct End<'a>(&'a AtomicBool);

impl GoingOn {
    pub(crate) fn is_so(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) -> End<'_> {
        End(&self.0)
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The value of `Authorization` for `name:password`.
pub(crate) fn basic(who: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(who))
}
