//! TLS on CouchDB's listener: what it speaks, what it refuses to start with, and new certificates without a restart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tidegate_testkit::{http::Client, server::Server, until};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const DEADLINE: Duration = Duration::from_secs(30);

type Pair = rcgen::CertifiedKey<rcgen::KeyPair>;
type Stream = StreamOwned<ClientConnection, TcpStream>;

fn new_pair() -> Pair {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// The files of a server's certificate.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, pair: &Pair) {
        fs::write(self.path("cert.pem"), pair.cert.pem()).unwrap();
        fs::write(self.path("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    }

    fn arguments(&self) -> [String; 4] {
        let text = |name| self.path(name).to_str().unwrap().to_owned();
        ["--tls-cert".to_owned(), text("cert.pem"), "--tls-key".to_owned(), text("key.pem")]
    }

    fn start(&self) -> Server {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Server::start_with(BINARY, &self.path("data"), &["couch"], &arguments).unwrap()
    }
}

/// Connects as a client who trusts this certificate alone.
fn connect(server: &Server, trusted: &Pair, protocols: &[&[u8]]) -> std::io::Result<Stream> {
    connect_to(server.address("couch").unwrap(), trusted, protocols)
}

fn connect_to(address: SocketAddr, trusted: &Pair, protocols: &[&[u8]]) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// The answer to one request, with its head.
fn ask(mut stream: Stream, method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n");
    write!(stream, "{head}content-type: application/json\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn requests_are_answered_under_tls() {
    let (files, pair) = (Files::new(), new_pair());
    files.write(&pair);
    let server = files.start();
    assert!(server.log().contains("couch    https://127.0.0.1:"), "{}", server.log());
    let ask = |method: &str, path: &str, body: &str| ask(connect(&server, &pair, &[]).unwrap(), method, path, body);
    assert!(ask("GET", "/", "").contains("\"couchdb\":\"Welcome\""));
    assert!(ask("PUT", "/db", "").starts_with("HTTP/1.1 201"));
    let written = ask("PUT", "/db/a", "{}").to_ascii_lowercase();
    assert!(written.contains("\r\nlocation: https://localhost/db/a\r\n"), "{written}");
    // A feed ends as it does on a bare socket, though it stays in the HTTP library.
    let feed = ask("GET", "/db/_changes?feed=continuous&timeout=50", "");
    assert!(feed.contains("\"id\":\"a\"") && feed.ends_with("\r\n0\r\n\r\n"), "{feed}");
    assert!(ask("GET", "/db/_all_docs?startkey=\"a\"", "").contains("\"id\":\"a\""));
    // Whoever speaks plainly gets nothing.
    assert!(Client::new(server.address("couch").unwrap()).get("/").is_err());
}

#[test]
fn http2_is_offered_and_spoken() {
    let (files, pair) = (Files::new(), new_pair());
    files.write(&pair);
    let server = files.start();
    let chosen = |protocols: &[&[u8]]| {
        connect(&server, &pair, protocols).map(|stream| stream.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(chosen(&[b"http/1.1", b"h2"]).unwrap(), Some(b"h2".to_vec()));
    assert_eq!(chosen(&[b"http/1.1"]).unwrap(), Some(b"http/1.1".to_vec()));
    assert_eq!(chosen(&[]).unwrap(), None);
    chosen(&[b"smtp"]).unwrap_err();

    // `GET` and `/` by their places in the protocol's table.
    let answer = ask_http2(connect(&server, &pair, &[b"h2"]).unwrap(), &[0x82, 0x84]);
    assert_eq!((answer[0].0, answer[0].1[0]), (HEADERS, 0x88), ":status 200 on stream 1");
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// The frames, by kind, that answer a request without a body; of its head this is the method and the path.
fn ask_http2(mut stream: impl Read + Write, asked: &[u8]) -> Vec<(u8, Vec<u8>)> {
    // The preface, empty settings, and a request of https://localhost as a head that ends its stream.
    let head = [asked, &[0x87, 0x41, 9], b"localhost"].concat();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    stream.write_all(&[0, 0, u8::try_from(head.len()).unwrap(), HEADERS, 5, 0, 0, 0, 1]).unwrap();
    stream.write_all(&head).unwrap();
    let mut frames = Vec::new();
    loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).unwrap();
        let mut payload = vec![0; usize::from(frame[1]) << 8 | usize::from(frame[2])];
        stream.read_exact(&mut payload).unwrap();
        if frame[5..] == [0, 0, 0, 1] && [DATA, HEADERS].contains(&frame[3]) {
            frames.push((frame[3], payload));
            if frame[4] & END_STREAM != 0 {
                return frames;
            }
        }
    }
}

#[test]
fn http2s_head_brings_no_body_on_any_listener() {
    let folder = tempfile::tempdir().unwrap();
    let listeners = ["couch", "gateway", "admin"];
    let server = Server::start_with(BINARY, folder.path(), &listeners, &[]).unwrap();
    for listener in listeners {
        let stream = || {
            let stream = TcpStream::connect(server.address(listener).unwrap()).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream
        };
        // The method `HEAD` has no place in the table; the path `/`, and one where nothing is.
        for path in [&[0x84][..], b"\x04\x05/none"] {
            let kinds = |method: &[u8]| -> Vec<u8> {
                ask_http2(stream(), &[method, path].concat()).into_iter().map(|(kind, _)| kind).collect()
            };
            assert_eq!(kinds(b"\x02\x04HEAD"), [HEADERS], "{path:?} of {listener}");
        }
    }
}

#[test]
fn a_login_under_tls_gets_a_secure_cookie() {
    let (files, pair) = (Files::new(), new_pair());
    files.write(&pair);
    let config = files.path("tidegate.toml");
    let text = "[admins]\nada = \"secret\"\n[couch.tls]\n";
    let tls = format!("cert = {:?}\nkey = {:?}\n", files.path("cert.pem"), files.path("key.pem"));
    fs::write(&config, format!("data = {:?}\n{text}{tls}", files.path("data"))).unwrap();
    let server = Serve::start(&config);
    let mut stream = server.connect(&pair);
    let body = "{\"name\":\"ada\",\"password\":\"secret\"}";
    let head = "POST /_session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let cookie = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie: authsession=")).unwrap();
    assert!(cookie.contains("; Secure"), "{answer}");
}

#[test]
fn a_new_certificate_is_used_without_a_restart() {
    let (files, old, new) = (Files::new(), new_pair(), new_pair());
    files.write(&old);
    let server = files.start();
    let mut kept = connect(&server, &old, &[]).unwrap();
    // Half of a change: a key that doesn't belong to the certificate.
    fs::write(files.path("key.pem"), new.signing_key.serialize_pem()).unwrap();
    until("the bad pair is told", || server.log().contains("can't be used"));
    assert!(server.log().contains("doesn't fit the certificate"), "{}", server.log());
    connect(&server, &old, &[]).unwrap();
    files.write(&new);
    until("the new certificate is shown", || connect(&server, &new, &[]).is_ok());
    connect(&server, &old, &[]).unwrap_err();
    // Connections from before go on.
    write!(kept, "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"));
}

#[test]
fn it_does_not_start_with_a_certificate_that_cannot_be_used() {
    let (files, pair) = (Files::new(), new_pair());
    let refused = |arguments: &[String]| {
        let mut command = Command::new(BINARY);
        command
            .args(["dev", "--couch", "127.0.0.1:0", "--metrics", "off", "--gateway", "off", "--admin", "off", "--data"])
            .arg(files.path("data"));
        let output = command.args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let arguments = files.arguments();
    #[track_caller]
    fn check(said: &str, parts: &[&str]) {
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    check(&refused(&arguments), &["could not read the TLS certificate", "cert.pem", "No such file"]);
    check(&refused(&arguments[..2]), &["no key"]);
    files.write(&pair);
    fs::write(files.path("key.pem"), new_pair().signing_key.serialize_pem()).unwrap();
    check(&refused(&arguments), &["key.pem", "doesn't fit the certificate"]);
    fs::write(files.path("key.pem"), "nothing").unwrap();
    check(&refused(&arguments), &["could not read the TLS key", "key.pem"]);
    fs::write(files.path("cert.pem"), "nothing").unwrap();
    check(&refused(&arguments), &["cert.pem", "no certificate"]);
    assert!(!files.path("data").exists(), "nothing was made");
}

/// `tidegate serve`, killed at the end of its test.
struct Serve {
    child: std::process::Child,
    address: SocketAddr,
}

impl Serve {
    fn start(config: &Path) -> Self {
        Self::start_on(config, "couch")
    }

    /// With this listener alone.
    fn start_on(config: &Path, listener: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(config);
        for name in ["couch", "metrics", "gateway", "admin"] {
            let address = if name == listener { "127.0.0.1:0" } else { "off" };
            command.args([format!("--{name}"), address.to_owned()]);
        }
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let address = lines.next().unwrap().unwrap().split("https://").nth(1).unwrap().parse().unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Self { child, address }
    }

    fn connect(&self, trusted: &Pair) -> Stream {
        connect_to(self.address, trusted, &[]).unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn sync_gateways_listeners_have_a_certificate_of_their_own() {
    let (files, pair) = (Files::new(), new_pair());
    files.write(&pair);
    let config = files.path("tidegate.toml");
    let [data, cert, key] = ["data", "cert.pem", "key.pem"].map(|name| files.path(name));
    let text = format!(
        "data = {data:?}\n[admins]\nada = \"secret\"\n[gateway]\nopen_admin = true\n\
         [gateway.tls]\ncert = {cert:?}\nkey = {key:?}\n"
    );
    fs::write(&config, text).unwrap();
    let server = Serve::start_on(&config, "admin");
    let ask = |method: &str, path: &str| ask(connect_to(server.address, &pair, &[]).unwrap(), method, path, "");
    assert!(ask("GET", "/_ping").ends_with("\r\n\r\nOK"));
    assert!(ask("PUT", "/db/").starts_with("HTTP/1.1 201"));
    let mut stream = connect_to(server.address, &pair, &[]).unwrap();
    let head = "GET /db/_changes?feed=websocket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // A masked text of two characters, `{}`, under a mask of zeros.
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'{', b'}']).unwrap();
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame, [0x81, 2, b'[', b']']);
}
