//! Running commands, and showing what they did.

use serde_json::{Value, json};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;
use tidegate_testkit::{http::Client, server::Server};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

/// A folder with servers in it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    /// What stands for what in transcripts.
    masks: Vec<(String, &'static str)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let masks = vec![(folder.path().display().to_string(), "DIR")];
        Self { folder, masks }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a server on the folder `name`, which is `http://name` in transcripts.
    pub(crate) fn server(&mut self, name: &'static str) -> Server {
        let server = Server::start(BINARY, &self.path(name)).unwrap();
        self.masks.push((server.address("couch").unwrap().to_string(), name));
        server
    }

    /// The same with Sync Gateway's admin listener.
    pub(crate) fn server_with_channels(&mut self, name: &'static str) -> Server {
        let server = Server::start_with(BINARY, &self.path(name), &["couch", "admin"], &[]).unwrap();
        for listener in ["couch", "admin"] {
            self.masks.push((server.address(listener).unwrap().to_string(), name));
        }
        server
    }

    /// A command line in words, with paths in this folder after `DIR/`, run against `server`.
    pub(crate) fn run(&self, server: Option<&Server>, line: &str) -> Ran {
        self.run_with(server, line, "")
    }

    pub(crate) fn run_with(&self, server: Option<&Server>, line: &str, input: &str) -> Ran {
        let mut command = self.command(server, line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { out: text(stdout), err: text(stderr), code: status.code().unwrap() }
    }

    /// Starts a command whose results are read while it runs.
    pub(crate) fn start(&self, server: &Server, line: &str) -> Child {
        self.command(Some(server), line).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn command(&self, server: Option<&Server>, line: &str) -> Command {
        let mut command = Command::new(BINARY);
        let folder = self.folder.path().display().to_string();
        command.args(line.split_whitespace().map(|word| word.replace("DIR", &folder)));
        for name in ["TIDEGATE_URL", "TIDEGATE_ADMIN_URL", "TIDEGATE_DATA", "TIDEGATE_PASSWORD"] {
            command.env_remove(name);
        }
        if let Some(server) = server {
            command.env("TIDEGATE_URL", server.url("couch").unwrap());
            command.envs(server.url("admin").map(|url| ("TIDEGATE_ADMIN_URL", url)));
        }
        command
    }

    /// What a command did, as a transcript: hexadecimal texts of 16 digits and more are `…`.
    pub(crate) fn shown(&self, line: &str, ran: &Ran) -> String {
        let mut text = format!("$ tidegate {line}\n{}{}", ran.out, ran.err);
        if ran.code != 0 {
            text.push_str(&format!("[exit code {}]\n", ran.code));
        }
        for (from, to) in &self.masks {
            text = text.replace(from, to);
        }
        masked(&text)
    }

    /// Runs commands one after the other; each is a line, with its input behind a `<`.
    pub(crate) fn transcript(&self, server: Option<&Server>, lines: &[&str]) -> String {
        let run = |line: &&str| {
            let (line, input) = line.split_once(" < ").unwrap_or((line, ""));
            self.shown(line, &self.run_with(server, line, input))
        };
        lines.iter().map(run).collect()
    }
}

fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        if length >= 16 {
            out.push('…');
        } else {
            out.push_str(&rest[..length.max(first.len_utf8())]);
        }
        rest = &rest[length.max(first.len_utf8())..];
    }
    out
}

impl Ran {
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The results of a command with `--json`.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What a server answers to a `GET`.
pub(crate) fn get(client: &Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// Writes revisions as they are.
pub(crate) fn put_revisions(client: &Client, db: &str, docs: &Value) {
    let answer = client.post(&format!("/{db}/_bulk_docs"), &json!({ "new_edits": false, "docs": docs }).to_string());
    assert_eq!(answer.unwrap().text().trim(), "[]");
}

/// Everything that is in a database, whatever the order of its changes.
pub(crate) fn everything(world: &World, server: &Server, db: &str) -> Vec<String> {
    let ran = world.run(Some(server), &format!("export {db} --attachments")).well();
    let mut lines: Vec<String> = ran.out.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A database with conflicts, deletions, attachments, a design document and strange ids.
pub(crate) fn fill(client: &Client, db: &str) {
    assert_eq!(client.put(&format!("/{db}"), "").unwrap().status, 201);
    let design = r#"{"views":{"v":{"map":"function (doc) { emit(doc._id) }"}}}"#;
    assert_eq!(client.put(&format!("/{db}/_design/d"), design).unwrap().status, 201);
    for id in ["a%2Fb", "%C3%BC", "+plus", "%7Bx%7D"] {
        assert_eq!(
            client.put(&format!("/{db}/{id}"), r#"{"n":1.0,"big":12345678901234567890123}"#).unwrap().status,
            201
        );
    }
    let revision = |id: &str, start: u64, ids: &[&str]| {
        let rev = format!("{start}-{}", ids[0]);
        json!({ "_id": id, "_rev": rev, "_revisions": { "start": start, "ids": ids }, "v": ids[0] })
    };
    let mut deleted = revision("conflicted", 2, &["d", "a"]);
    deleted["_deleted"] = true.into();
    let mut gone = revision("gone", 2, &["x", "y"]);
    gone["_deleted"] = true.into();
    let docs = [revision("conflicted", 3, &["c", "b", "a"]), revision("conflicted", 2, &["e", "a"]), deleted, gone];
    put_revisions(client, db, &json!(docs));
    attach(client, db, "pictured", "application/octet-stream", &noise(700_000));
    attach(client, db, "texted", "text/plain", "words ".repeat(30_000).as_bytes());
    attach(client, db, "emptied", "text/plain", b"");
    let local = client.put(&format!("/{db}/_local/mine"), r#"{"v":1}"#).unwrap();
    assert_eq!(local.status, 201);
}

fn attach(client: &Client, db: &str, id: &str, content_type: &str, content: &[u8]) {
    let path = format!("/{db}/{id}/one%2Fname");
    let answer = client.request("PUT", &path, &[("content-type", content_type)], content).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Bytes that can't be packed. Always the same.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// The `Authorization` of a name and a password.
pub(crate) fn login(client: &Client, name: &str, password: &str) -> u16 {
    let body = json!({ "name": name, "password": password }).to_string();
    client.post("/_session", &body).unwrap().status
}

pub(crate) fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}
