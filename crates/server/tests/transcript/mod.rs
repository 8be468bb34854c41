//! A conversation with the server, written down.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::string_slice,
    reason = "a test that cannot go on may panic"
)]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tempfile::TempDir;
use tidegate_testkit::{
    http::{Client, Response},
    server::Server,
    until,
};

/// The headers that are part of the protocol.
const HEADERS: [&str; 10] = [
    "content-type",
    "etag",
    "location",
    "allow",
    "accept-ranges",
    "content-range",
    "content-md5",
    "content-encoding",
    "www-authenticate",
    "cache-control",
];

pub(crate) struct Transcript {
    server: Server,
    client: Client,
    /// Sync Gateway's public port, if it is on.
    public: Option<Client>,
    text: String,
    last: String,
    count: usize,
    _data: TempDir,
}

impl Transcript {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(env!("CARGO_BIN_EXE_tidegate"), &data.path().join("data")).unwrap();
        let client = server.couch().unwrap();
        Self::of((server, client, None), data)
    }

    /// With Sync Gateway's listeners, of which the one for administrators is asked where nothing else is said.
    pub(crate) fn gateway(profile: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (binary, folder) = (env!("CARGO_BIN_EXE_tidegate"), data.path().join("data"));
        let server = Server::start_with(binary, &folder, &["gateway", "admin"], &["--profile", profile]).unwrap();
        let client = |name| Client::new(server.address(name).unwrap());
        let (admin, public) = (client("admin"), client("gateway"));
        Self::of((server, admin, Some(public)), data)
    }

    fn of((server, client, public): (Server, Client, Option<Client>), data: TempDir) -> Self {
        Self { server, client, public, text: String::new(), last: String::new(), count: 0, _data: data }
    }

    /// A request to the public port, as a user with a password or as nobody.
    pub(crate) fn public(&mut self, user: Option<&str>, method: &str, path: &str, body: &str) {
        let authorization = user.map(|user| format!("Basic {}", BASE64_STANDARD.encode(user)));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        self.text.push_str(&format!("({})\n", user.map_or("nobody", |user| user.split(':').next().unwrap())));
        let response = self.public.as_ref().unwrap().request(method, path, &headers, body.as_bytes()).unwrap();
        self.note((method, path), body.as_bytes(), &response);
    }

    pub(crate) fn with_database() -> Self {
        let transcript = Self::start();
        assert_eq!(transcript.client.put("/db", "").unwrap().status, 201);
        transcript
    }

    pub(crate) fn get(&mut self, path: &str) {
        self.request("GET", path, &[], "");
    }

    pub(crate) fn put(&mut self, path: &str, json: &str) {
        self.request("PUT", path, &[("content-type", "application/json")], json);
    }

    pub(crate) fn post(&mut self, path: &str, json: &str) {
        self.request("POST", path, &[("content-type", "application/json")], json);
    }

    pub(crate) fn delete(&mut self, path: &str) {
        self.request("DELETE", path, &[], "");
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        self.request_bytes(method, path, headers, body.as_bytes());
    }

    pub(crate) fn request_bytes(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let response = self.client.request(method, path, headers, body).unwrap();
        self.note((method, path), body, &response);
    }

    /// The status alone of an answer to an administrator (`None`), or on the public port to a user or to nobody.
    pub(crate) fn status(&self, caller: Option<Option<&str>>, (method, path): (&str, &str), body: &str) -> u16 {
        let client = if caller.is_some() { self.public.as_ref().unwrap() } else { &self.client };
        let authorization = caller.flatten().map(|user| format!("Basic {}", BASE64_STANDARD.encode(user)));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        client.request(method, path, &headers, body.as_bytes()).unwrap().status
    }

    /// Starts a resync, and waits until it has come to its end, which is noted.
    pub(crate) fn start_resync(&mut self) {
        assert_eq!(self.client.post("/db/_resync?online=true", "").unwrap().status, 200);
        let done = || self.client.get("/db/_resync").unwrap().text().contains("\"status\":\"completed\"");
        until("the resync is completed", done);
        self.get("/db/_resync");
    }

    /// What a web page has a browser ask of the public port.
    pub(crate) fn page(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let response = self.public.as_ref().unwrap().request(method, path, headers, b"").unwrap();
        self.note((method, path), b"", &response);
        let allowed = response.header("access-control-allow-origin").unwrap_or("nobody").to_owned();
        self.text.push_str(&format!("(allowed: {allowed})\n\n"));
    }

    fn note(&mut self, (method, path): (&str, &str), body: &[u8], response: &Response) {
        self.count += 1;
        let shown = |text: &str| if text.len() > 200 { format!("{}…", &text[..200]) } else { text.to_owned() };
        self.text.push_str(&format!("> {method} {}\n", shown(path)));
        if !body.is_empty() {
            self.text.push_str(&format!("> {}\n", shown(&String::from_utf8_lossy(body))));
        }
        self.write_response(response);
    }

    fn write_response(&mut self, response: &Response) {
        self.last = response.text();
        self.text.push_str(&format!("{}\n", response.status));
        for name in HEADERS {
            if let Some(value) = response.header(name) {
                self.text.push_str(&format!("{name}: {value}\n"));
            }
        }
        self.text.push_str(&self.last);
        self.text.push_str(if self.last.ends_with('\n') { "\n" } else { "\n\n" });
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The version in the last answer.
    pub(crate) fn last_version(&self) -> String {
        self.last_value("cv")
    }

    /// The text of this name in the last answer.
    pub(crate) fn last_value(&self, name: &str) -> String {
        let rest = self.last.split_once(&format!("\"{name}\":\"")).expect("the answer has it").1;
        rest.split('"').next().unwrap().to_owned()
    }

    /// A header of the last answer.
    pub(crate) fn last_header(&self, name: &str) -> String {
        let lines = self.text.lines().rev().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
        lines.map(str::to_owned).next().expect("the answer has it")
    }

    /// The revision in the last answer.
    pub(crate) fn last_rev(&self) -> String {
        rev_in(&self.last)
    }

    pub(crate) fn rev_of(&self, path: &str) -> String {
        rev_in(&self.client.get(path).unwrap().text())
    }

    /// The conversation, with what differs from run to run blotted out.
    pub(crate) fn finish(self) -> String {
        let address = self.client.address().to_string();
        let text = self.text.replace(&address, "HOST");
        let text = blot(&text, "\"uuid\":\"", 32);
        let text = blot(&text, "\"instance_start_time\":\"", 10);
        let text = if self.public.is_some() { blot_gateway(&text) } else { text };
        drop(self.server);
        blot_tokens(&text)
    }
}

fn rev_in(json: &str) -> String {
    let rev = json.split_once("rev\":\"").expect("the answer has a revision").1;
    rev.split('"').next().unwrap().to_owned()
}

/// Replaces the `length` characters behind each `mark`, unless it is the empty text that is there.
fn blot_filled(text: &str, mark: &str, length: usize) -> String {
    text.split(mark)
        .enumerate()
        .map(|(index, piece)| match index {
            0 => piece.to_owned(),
            _ if piece.starts_with('"') => format!("{mark}{piece}"),
            _ => format!("{mark}…{}", &piece[length..]),
        })
        .collect()
}

/// Replaces the `length` characters behind each `mark`.
fn blot(text: &str, mark: &str, length: usize) -> String {
    let mut pieces = text.split(mark);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(mark);
        out.push('…');
        out.push_str(&piece[length..]);
    }
    out
}

/// Replaces what differs in Sync Gateway's answers: times, the source in versions, boundaries.
fn blot_gateway(text: &str) -> String {
    let text = blot(text, "\"instance_start_time\":", 16);
    let text = blot(&text, "\"node_uid\":\"", 32);
    let text = blot(&text, "\"server_uuid\":\"", 32);
    let text = blot(&text, "\"session_id\":\"", 40);
    let text = blot(&text, "\"expires\":\"", 20);
    let text = blot(&text, "\"src\":\"", 11);
    let text = blot_filled(&text, "\"start_time\":\"", 20);
    let text = blot_filled(&text, "\"resync_id\":\"", 32);
    let session = |piece: &str| {
        let (id, rest) = piece.split_at_checked(40)?;
        id.bytes().all(|b| b.is_ascii_hexdigit()).then(|| format!("SESSION{rest}"))
    };
    let text = text.split("_session/").map(|piece| session(piece).unwrap_or_else(|| piece.to_owned()));
    let text = text.collect::<Vec<_>>().join("_session/");
    let source = |piece: &str| {
        let (source, rest) = piece.split_at_checked(11)?;
        let is_source = source.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (is_source && rest.starts_with(['"', '\n'])).then(|| format!("SOURCE{rest}"))
    };
    let text =
        text.split('@').map(|piece| source(piece).unwrap_or_else(|| piece.to_owned())).collect::<Vec<_>>().join("@");
    let boundaries: Vec<String> =
        text.split("boundary=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    boundaries
        .iter()
        .enumerate()
        .fold(text, |text, (index, boundary)| text.replace(boundary, &format!("BOUNDARY{index}")))
}

/// Replaces what tells a database from another in its sequences: 16 hexadecimal digits between a dash and a quote.
fn blot_tokens(text: &str) -> String {
    let is_token = |piece: &str| {
        let (token, rest) = piece.split_at_checked(16)?;
        (token.bytes().all(|b| b.is_ascii_hexdigit()) && rest.starts_with('"')).then(|| format!("TOKEN{rest}"))
    };
    text.split('-').map(|piece| is_token(piece).unwrap_or_else(|| piece.to_owned())).collect::<Vec<_>>().join("-")
}
