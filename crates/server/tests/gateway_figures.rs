//! Figures under Sync Gateway's names, on the admin listener and on the one for metrics.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use tidegate_testkit::{http::Client, server::Server};

/// A server with one document in one database; clients of its admin and its metrics listener.
fn start(data: &tempfile::TempDir, profile: &str) -> (Server, [Client; 2]) {
    let (binary, folder) = (env!("CARGO_BIN_EXE_tidegate"), data.path().join("data"));
    let server = Server::start_with(binary, &folder, &["admin", "metrics"], &["--profile", profile]).unwrap();
    let clients = ["admin", "metrics"].map(|listener| Client::new(server.address(listener).unwrap()));
    assert_eq!(clients[0].put("/db/", "{}").unwrap().status, 201);
    assert_eq!(clients[0].put("/db/a", "{}").unwrap().status, 201);
    (server, clients)
}

#[test]
fn prometheus_reads_those_of_each_database() {
    let data = tempfile::tempdir().unwrap();
    let (_server, clients) = start(&data, "4");
    for client in clients {
        for path in ["/metrics", "/_metrics"] {
            let text = client.get(path).unwrap().text();
            assert!(text.contains("\nsgw_database_doc_count{database=\"db\"} 1\n"), "{text}");
            assert!(text.contains("\nsgw_database_sequence_assigned_count{database=\"db\"} 1\n"), "{text}");
            assert!(text.contains("\ntidegate_storage_commits "), "{text}");
            assert_eq!(text.find("# EOF\n"), Some(text.len() - "# EOF\n".len()), "the end comes once");
        }
    }
}

#[test]
fn expvar_has_the_members_of_its_version() {
    let check = |profile: &str, expected: &[&str]| {
        let data = tempfile::tempdir().unwrap();
        let (_server, clients) = start(&data, profile);
        for client in clients {
            let figures: serde_json::Value = serde_json::from_str(&client.get("/_expvar").unwrap().text()).unwrap();
            let mut names: Vec<&str> = figures.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, expected);
            assert_eq!(figures["syncgateway"]["per_db"]["db"]["database"]["doc_count"], 1);
            assert!(figures["memstats"]["Sys"].as_u64() > Some(0));
        }
    };
    check("4", &["cb", "cmdline", "goblip", "mc", "memstats", "syncgateway"]);
    let of_2 =
        ["cb", "cmdline", "goblip", "mc", "memstats", "syncGateway_changeCache", "syncGateway_dcp", "syncgateway"];
    check("2", &of_2);
}
