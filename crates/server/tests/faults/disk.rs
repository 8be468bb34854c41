//! Disks that are full, fail or hang.

use super::{BINARY, health, until, up, wrapper};
use std::{
    fs::{self, File},
    io::Write,
    os::unix::net::UnixDatagram,
    path::Path,
    process::Command,
    time::Duration,
};
use tidegate_testkit::{
    faults::{Fault, Faults},
    http::Client,
    server::Server,
};

/// Mounts a small file system for the server alone, which ends with it.
const SMALL_DISK: &str = "exec unshare --mount sh -c 'mount -t tmpfs -o size=48m tmpfs \"$DISK\" && exec \"$@\"' sh";

fn put(client: &Client, id: &str, length: usize) -> u16 {
    client.put(&format!("/db/{id}"), &format!("{{\"text\":\"{}\"}}", "x".repeat(length))).unwrap().status
}

/// A figure of the storage.
fn gauge(server: &Server, name: &str) -> u64 {
    let client = Client::new(server.address("metrics").unwrap());
    let figures = client.get("/metrics").unwrap().text();
    let prefix = format!("tidegate_storage_{name} ");
    figures.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().parse().unwrap()
}

/// Writes until there is no space left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 4 << 10, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let may_mount = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "tmpfs"]).arg(&disk).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file systems may be mounted here");
        return;
    }
    let script = wrapper(folder.path(), &format!("{SMALL_DISK} {BINARY} \"$@\""));
    let environment = vec![("DISK".into(), disk.clone().into())];
    let server = Server::start_in(script, &disk.join("data"), &["couch", "metrics"], &["dev"], environment).unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.put("/db", "").unwrap().status, 201);
    assert_eq!(put(&client, "first", 1000), 201);
    assert_eq!(up(&client).0, 200);

    let inside = format!("/proc/{}/root{}", server.process_id(), disk.display());
    let filler = Path::new(&inside).join("filler");
    fill(&filler);
    let mut written = Vec::new();
    let mut refused = 0;
    for number in 0..2000 {
        let id = format!("doc{number}");
        match put(&client, &id, 50_000) {
            201 => written.push(id),
            507 => refused += 1,
            status => panic!("{status}"),
        }
        if refused > 20 {
            break;
        }
    }
    assert!(refused > 20, "{} were written", written.len());
    // Content of attachments lies elsewhere.
    let attach = |id: &str| {
        let headers = [("content-type", "application/octet-stream")];
        client.request("PUT", &format!("/db/{id}/file"), &headers, &vec![7; 700_000]).unwrap().status
    };
    assert_eq!(attach("large"), 507);
    let (status, text) = up(&client);
    assert_eq!(status, 503);
    assert!(text.contains("the disk is full"), "{text}");
    let (status, text) = health(&server);
    assert!(status == 503 && text.starts_with("full: "), "{status} {text}");
    assert_eq!(["full", "read_only"].map(|name| gauge(&server, name)), [1, 0]);
    let read = |id: &String| client.get(&format!("/db/{id}")).unwrap().status;
    assert!(written.iter().all(|id| read(id) == 200), "reads go on");

    fs::remove_file(&filler).unwrap();
    // Nobody writes meanwhile, as nobody does to a server that says it can't.
    until("it is up again", || up(&client).0 == 200 && health(&server).0 == 200);
    assert_eq!(gauge(&server, "full"), 0);
    assert_eq!((put(&client, "last", 50_000), attach("large")), (201, 201));
    assert!(written.iter().all(|id| read(id) == 200));
    let count = client.get("/db").unwrap().text();
    assert!(count.contains(&format!("\"doc_count\":{},", written.len() + 3)), "{count}");
}

#[test]
fn a_failed_sync_ends_writes_and_the_watchdogs_peace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let faults = Faults::new().unwrap();
    let mut environment = faults.environment();
    environment.extend([("NOTIFY_SOCKET".into(), path.into()), ("WATCHDOG_USEC".into(), "100000".into())]);
    let data = folder.path().join("data");
    let mut server = Server::start_in(BINARY, &data, &["couch", "metrics"], &["dev"], environment).unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.put("/db", "").unwrap().status, 201);
    assert_eq!(put(&client, "before", 10), 201);

    faults.set(Fault::SyncFails).unwrap();
    assert_eq!(put(&client, "during", 10), 503);
    faults.clear(Fault::SyncFails).unwrap();
    // What the disk holds is unknown: that it works again now changes nothing.
    let answer = client.put("/db/after", "{}").unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(client.get("/db/before").unwrap().status, 200);
    assert_eq!(client.get("/db/after").unwrap().status, 404);
    let (status, text) = up(&client);
    assert!(status == 503 && text.contains("could not sync the log"), "{status} {text}");
    assert!(health(&server).1.starts_with("read-only: "));
    assert_eq!(["full", "read_only"].map(|name| gauge(&server, name)), [0, 1]);
    assert!(server.log().contains("the store is read-only"), "{}", server.log());

    let mut buffer = [0; 1000];
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut next = || socket.recv(&mut buffer).map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
    while next().unwrap() != "STATUS=the storage has failed: reads only until a restart" {}
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    next().unwrap_err();

    server.restart().unwrap();
    let client = server.couch().unwrap();
    assert_eq!((client.get("/db/before").unwrap().status, put(&client, "after", 10)), (200, 201));
}

#[test]
fn a_hanging_disk_is_told_while_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::new().unwrap();
    let listeners = ["couch", "metrics"];
    let server =
        Server::start_in(BINARY, &folder.path().join("data"), &listeners, &["dev"], faults.environment()).unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.put("/db", "").unwrap().status, 201);
    faults.set(Fault::SyncHangs).unwrap();
    let writing = std::thread::spawn(move || put(&client, "slow", 10));
    until("the stall is told", || up(&client).0 == 503);
    assert!(up(&client).1.contains("lets a write wait"));
    assert!(health(&server).1.starts_with("stalled: "));
    assert_eq!(client.get("/db").unwrap().status, 200);
    faults.clear(Fault::SyncHangs).unwrap();
    assert_eq!(writing.join().unwrap(), 201);
    until("it is up again", || up(&client).0 == 200);
}
