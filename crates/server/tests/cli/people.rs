//! `user`, `admin`.

use crate::fixture::{World, login};

#[test]
fn users_log_in_with_what_they_were_given() {
    let mut world = World::new();
    let server = world.server("server");
    let client = server.couch().unwrap();
    let transcript = world.transcript(
        Some(&server),
        &[
            "user add ada --role staff --role editor < first",
            "user add bob --password other",
            "user add ada < again",
            "user add eve",
            "user list",
            "user roles ada staff",
            "user roles bob --json",
            "user list --json",
            "user delete bob",
            "user delete bob",
            "user passwd bob --password x",
        ],
    );
    insta::assert_snapshot!(transcript);
    assert_eq!((login(&client, "ada", "first"), login(&client, "ada", "wrong")), (200, 401));
    world.run_with(Some(&server), "user passwd ada", "second\n").well();
    assert_eq!((login(&client, "ada", "first"), login(&client, "ada", "second")), (401, 200));
}

/// What to do depends on which server the command asks, and where it says so.
#[test]
fn advice_names_what_can_be_changed() {
    let mut world = World::new();
    let server = world.server("server");
    world.run_with(Some(&server), "admin add root", "secret\n").well();
    let address = server.address("couch").unwrap();
    let check = |line: &str, told: &str, untold: &str| {
        let ran = world.run(Some(&server), line);
        assert!(ran.code == 1 && ran.err.contains(told) && !ran.err.contains(untold), "{line}: {}", ran.err);
    };
    check("user list --db notes --admin-url http://127.0.0.1:9", "with --admin-url or TIDEGATE_ADMIN_URL", " --url");
    check("user list --url http://127.0.0.1:9", "with --url or TIDEGATE_URL", "--admin-url");
    let target = "import --url http://root:secret@127.0.0.1:9 couchdb";
    check(&format!("{target} http://root:wrong@{address} --all"), "password in the URL to import from", "--url");
    check(&format!("{target} http://127.0.0.1:9 --all"), "whether the URL to import from is the right one", "--url");
    for _ in 0..5 {
        login(&server.couch().unwrap(), "root", "wrong");
    }
    check(
        &format!("db list --url http://root:secret@{address}"),
        "try again in five minutes",
        "Ask as an administrator",
    );
}

#[test]
fn administrators_come_and_go() {
    let mut world = World::new();
    let server = world.server("server");
    let client = server.couch().unwrap();
    let address = server.address("couch").unwrap();
    let as_admin = |line: &str| {
        let ran = world.run(Some(&server), &format!("{line} --url http://root:secret@{address}"));
        world.shown(line, &ran)
    };
    // Everybody administers a server to develop against, until somebody is named.
    let mut transcript = world.transcript(
        Some(&server),
        &["admin list", "admin add root < secret", "admin list", "db create notes", "admin delete root"],
    );
    assert_eq!((login(&client, "root", "secret"), login(&client, "root", "x")), (200, 401));
    for line in
        ["admin list", "admin add other --password x", "admin list --json", "admin delete nobody", "admin delete other"]
    {
        transcript.push_str(&as_admin(line));
    }
    insta::assert_snapshot!(transcript);
    assert_eq!(login(&client, "other", "x"), 401);
}
