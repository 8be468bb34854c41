//! What systemd is told, over a socket in its place.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::{
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};
use tidegate_testkit::server::Server;

fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1000];
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned()
}

fn check(socket: &UnixDatagram, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("NOTIFY_SOCKET", name), ("WATCHDOG_USEC", "100000")];
    let environment = environment.map(|(name, value)| (OsString::from(name), OsString::from(value))).to_vec();
    let binary = env!("CARGO_BIN_EXE_tidegate");
    let mut server = Server::start_in(binary, folder.path(), &["couch"], &["dev"], environment).unwrap();
    assert_eq!(next(socket), "READY=1\nSTATUS=ready");
    for _ in 0..3 {
        assert_eq!(next(socket), "WATCHDOG=1");
    }
    assert!(server.stop().unwrap().success());
    let stopping = std::iter::from_fn(|| Some(next(socket))).find(|said| said != "WATCHDOG=1").unwrap();
    assert_eq!(stopping, "STOPPING=1\nSTATUS=stopping");
}

#[test]
fn it_is_told_over_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    check(&UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap());
}

#[test]
fn it_is_told_over_an_abstract_name() {
    let name = format!("tidegate-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    check(&socket, &format!("@{name}"));
}
