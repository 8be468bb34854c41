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
