//! A clock that jumps back, and forward again.

use super::serve;
use std::collections::HashSet;
use tidegate_testkit::{
    faults::{Fault, Faults},
    http::{Client, Response},
};

const ADA: (&str, &str) = ("authorization", "Basic YWRhOnNlY3JldA==");

fn log_in(client: &Client) -> String {
    let body = "{\"name\":\"ada\",\"password\":\"secret\"}";
    let answer = client.post("/_session", body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn session(client: &Client, cookie: &str) -> Response {
    client.request("GET", "/_session", &[("cookie", cookie)], b"").unwrap()
}

fn is_ada(answer: &Response) -> bool {
    answer.text().contains("\"name\":\"ada\"")
}

#[test]
fn sessions_ids_and_feeds_outlive_it() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::new().unwrap();
    let mut server = serve(folder.path(), "", faults.environment());
    let client = server.couch().unwrap();
    let ask = |method: &str, path: &str| client.request(method, path, &[ADA], b"{}").unwrap();
    assert_eq!(ask("PUT", "/db").status, 201);
    let mut feed = client.stream("GET", "/db/_changes?feed=continuous&heartbeat=100", &[ADA], b"").unwrap();
    let mut ids = HashSet::new();
    let mut fresh = |count: usize| {
        let text = ask("GET", &format!("/_uuids?count={count}")).text();
        let found: Vec<String> = text.split('"').filter(|part| part.len() == 32).map(str::to_owned).collect();
        found.len() == count && found.into_iter().all(|id| ids.insert(id))
    };
    let (before, _) = (log_in(&client), assert!(fresh(100)));
    assert_eq!(ask("PUT", "/db/before").status, 201);

    // Within the ten minutes that a session lasts, nobody notices.
    faults.set(Fault::ClockBack(8 * 60)).unwrap();
    assert!(is_ada(&session(&client, &before)), "a session from the near future goes on");
    // A session from beyond would last for longer than any may.
    faults.set(Fault::ClockBack(3 * 60 * 60)).unwrap();
    assert!(!is_ada(&session(&client, &before)));
    let during = log_in(&client);
    assert!(is_ada(&session(&client, &during)) && fresh(100));
    assert_eq!(ask("PUT", "/db/during").status, 201);
    for (expected, id) in [(1, "before"), (2, "during")] {
        let row = feed.next_row().unwrap().unwrap();
        assert!(row.contains(&format!("\"id\":\"{id}\"")) && row.contains(&format!("\"seq\":\"{expected}-")), "{row}");
    }
    // Nothing on the disk depends on the clock.
    server.restart().unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.request("GET", "/db/during", &[ADA], b"").unwrap().status, 200);

    faults.clear(Fault::ClockBack(0)).unwrap();
    assert!(is_ada(&session(&client, &before)));
    assert!(!is_ada(&session(&client, &during)), "a session of three hours ago is over");
}
