//! A server with users of every rank.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;
use tidegate_testkit::http::{Client, Response, Stream};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");

/// Somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Without credentials.
    Nobody,
    /// A user who isn't a member of `db`.
    Eve,
    /// A member of `db`.
    Ada,
    /// An administrator of `db` and of `_users`.
    Keeper,
    /// The server's administrator.
    Root,
}

impl Who {
    pub(crate) const ALL: [Self; 5] = [Self::Nobody, Self::Eve, Self::Ada, Self::Keeper, Self::Root];

    /// The name, which is the password, too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Eve => "eve",
            Self::Ada => "ada",
            Self::Keeper => "keeper",
            Self::Root => "root",
        }
    }

    /// The value of `Authorization`, if there is one.
    pub(crate) fn authorization(self) -> Option<&'static str> {
        match self {
            Self::Nobody => None,
            Self::Eve => Some("Basic ZXZlOmV2ZQ=="),
            Self::Ada => Some("Basic YWRhOmFkYQ=="),
            Self::Keeper => Some("Basic a2VlcGVyOmtlZXBlcg=="),
            Self::Root => Some("Basic cm9vdDpyb290"),
        }
    }
}

/// A server with the database `db`, its users, and `_users` open for everybody who wants to sign up.
pub(crate) struct Site {
    pub(crate) client: Client,
    folder: TempDir,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Site {
    /// `config` is more of the operator's file.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tidegate.toml");
        let mut text = format!("data = {:?}\n", folder.path().join("data"));
        // Few iterations: these tests are about who gets in, not about how hard passwords are to guess.
        text.push_str("[admins]\nroot = \"root\"\n[log]\nlevel = \"debug\"\n");
        if !config.contains("[config.couchdb]") {
            text.push_str("[config.couchdb]\nusers_db_security_editable = \"true\"\n");
        }
        if !config.contains("[config.chttpd_auth]") {
            text.push_str("[config.chttpd_auth]\niterations = \"2\"\n");
        }
        text.push_str(config);
        std::fs::write(&file, text).unwrap();
        let (child, client, log) = spawn(&file);
        let site = Self { client, folder, child, log };
        site.fill();
        site
    }

    /// Stops it, as a crash would, and starts it again on the same file and data.
    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.client, self.log) = spawn(&self.folder.path().join("tidegate.toml"));
    }

    fn fill(&self) {
        for who in [Who::Eve, Who::Ada, Who::Keeper] {
            self.sign_up(who.name(), "[]");
        }
        let open = r#"{"admins":{"names":["keeper"]},"members":{}}"#;
        assert_eq!(self.ask(Who::Root, "PUT /_users/_security", open).status, 200);
        self.make("db");
    }

    /// A database with its member and its administrator.
    pub(crate) fn make(&self, name: &str) {
        assert_eq!(self.ask(Who::Root, &format!("PUT /{name}"), "").status, 201);
        let (name, _query) = name.split_once('?').unwrap_or((name, ""));
        let security = r#"{"admins":{"names":["keeper"]},"members":{"names":["ada"]}}"#;
        assert_eq!(self.ask(Who::Root, &format!("PUT /{name}/_security"), security).status, 200);
    }

    /// A user whose password is the name.
    pub(crate) fn sign_up(&self, name: &str, roles: &str) {
        let user = format!(r#"{{"name":"{name}","password":"{name}","type":"user","roles":{roles}}}"#);
        let answer = self.ask(Who::Root, &format!("PUT /_users/org.couchdb.user:{name}"), &user);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// `line` is a method and a path; a body is JSON.
    #[track_caller]
    pub(crate) fn ask(&self, who: Who, line: &str, json: &str) -> Response {
        self.ask_with(who, line, &[("content-type", "application/json")], json)
    }

    #[track_caller]
    pub(crate) fn ask_with(&self, who: Who, line: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let (method, path) = line.split_once(' ').unwrap();
        let headers = with_authorization(who, headers);
        self.client.request(method, path, &headers, body.as_bytes()).unwrap()
    }

    /// An endless answer.
    #[track_caller]
    pub(crate) fn follow(&self, who: Who, path: &str) -> Stream {
        self.client.stream("GET", path, &with_authorization(who, &[]), b"").unwrap()
    }

    /// All that the server has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }
}

fn with_authorization<'a>(who: Who, headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().copied().chain(who.authorization().map(|value| ("authorization", value))).collect()
}

fn spawn(file: &std::path::Path) -> (Child, Client, Arc<Mutex<String>>) {
    let mut command = Command::new(BINARY);
    command.arg("serve").arg("--config").arg(file).args([
        "--couch",
        "127.0.0.1:0",
        "--metrics",
        "off",
        "--gateway",
        "off",
        "--admin",
        "off",
    ]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let (errors, shared) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
    thread::spawn(move || {
        for line in errors.lines().map_while(Result::ok) {
            writeln!(shared.lock().unwrap(), "{line}").unwrap();
        }
    });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.take_while(|line| line != "ready").collect();
    let url = printed.iter().find_map(|line| line.strip_prefix("couch")).unwrap_or_else(|| {
        panic!("the server isn't ready: {}", log.lock().unwrap());
    });
    let address: SocketAddr = url.trim().strip_prefix("http://").unwrap().parse().unwrap();
    (child, Client::new(address), log)
}
