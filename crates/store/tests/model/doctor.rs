//! `Database::check` finds what is broken, and `repair` mends what can be: each case breaks records behind the store's
//! back.

use crate::{
    fixture::{Folder, attachment, check, edit, name, stage, write},
    play::Home,
    tickets::ticket,
};
use tidegate_kv::{Direction, KeyRange, Kv};
use tidegate_store::{
    Assignment, Counter, Database, Documents, Edit, Grant, Granted, Inconsistency, PrincipalWrite, Repair, Store,
};
use tidegate_types::{Channel, Principal, Rev};

/// The rows of one kind in the only database: of its only named collection, then of the default one. Source: `keys.rs`.
async fn rows(kv: &Kv, kind: char) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for start in [b"D\0\0\0\x01o\0\0\0\x01".as_slice(), b"D\0\0\0\x01"] {
        let prefix = KeyRange::prefix([start, kind.to_string().as_bytes()].concat());
        rows.extend(kv.snapshot().unwrap().scan(prefix, Direction::Forward, usize::MAX).await.unwrap());
    }
    rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// What is done to a row.
#[derive(Debug)]
enum Break {
    Delete,
    /// Replaces the value's last byte.
    Alter(u8),
    /// Puts it once more, under a key whose last byte differs.
    Duplicate,
    /// Makes it unreadable.
    Garble,
}

/// Breaks a sound database, and says what is found, and what is left when it has been repaired; in either collection.
async fn check_finds(kind: char, how: Break, expected: &[&str], left: &[&str]) {
    for home in [Home::Default, Home::Named] {
        check_finds_in(home, kind, &how, (expected, left)).await;
    }
}

async fn check_finds_in(home: Home, kind: char, how: &Break, found: (&[&str], &[&str])) {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = home.of(&store.create(&name("db"), 0).await.unwrap()).await;
    let staged = stage(&db, &vec![7; 300_000].into()).await;
    let edit = Edit { attachments: vec![attachment("a", staged)], ..edit("doc", None, "\"v\":1") };
    write(&db, edit).await.unwrap();
    db.purge(vec![("none".parse().unwrap(), Vec::new())]).await.unwrap();
    db.put_ticket(ticket(1, "ada", 50)).await.unwrap();
    check_broken((&store, &db), (kind, 0), how, found).await;
}

/// As [`check_finds`], in a database with channels; `index` is which of the rows, in the order of their keys.
async fn check_finds_of_access(kind: char, index: usize, how: Break, expected: &[&str], left: &[&str]) {
    for home in [Home::Default, Home::Named] {
        check_finds_of_access_in(home, (kind, index), &how, (expected, left)).await;
    }
}

async fn check_finds_of_access_in(home: Home, row: (char, usize), how: &Break, found: (&[&str], &[&str])) {
    let folder = Folder::new();
    let store = folder.open().await;
    let settings = Documents::InChannels.setting().into_iter().collect();
    let db = home.of(&store.create_with(&name("db"), 0, settings).await.unwrap()).await;
    // In `a`, and not in `b` any more.
    let first = assign(&db, "doc", None, ("a b", 500)).await;
    assign(&db, "doc", Some(first), ("a", 600)).await;
    // In `a`, and purged.
    let purged = assign(&db, "old", None, ("a", 0)).await;
    db.purge(vec![("old".parse().unwrap(), vec![purged])]).await.unwrap();
    put_principal(&db, "role:r", "b", "").await;
    put_principal(&db, "ada", "a", "r").await;
    check_broken((&store, &db), row, how, found).await;
}

fn channels(text: &str) -> Vec<Channel> {
    text.split_whitespace().map(|channel| channel.parse().unwrap()).collect()
}

async fn assign(db: &Database, id: &str, parent: Option<Rev>, (places, expires_s): (&str, u64)) -> Rev {
    let x = Grant { to: "ada".parse().unwrap(), what: Granted::Channel("x".parse().unwrap()) };
    let assignment = Assignment {
        channels: channels(places),
        grants: vec![x],
        expires_s: Some(expires_s).filter(|at| *at > 0),
        judged_by: db.rules_version(),
    };
    write(db, Edit { assignment: Some(assignment), ..edit(id, parent, "\"v\":1") }).await.unwrap().rev
}

async fn put_principal(db: &Database, principal: &str, granted: &str, role: &str) {
    let roles = role.split_whitespace().map(|role| role.parse().unwrap()).collect();
    let mut write = PrincipalWrite { roles, ..PrincipalWrite::default() };
    if db.collection_name().is_default() {
        write.channels = channels(granted);
    } else {
        write.collections.insert(db.collection_name().clone(), channels(granted));
    }
    db.put_principal(principal.parse::<Principal>().unwrap(), write).await.unwrap();
}

async fn check_broken(
    (store, db): (&Store, &Database),
    (kind, index): (char, usize),
    how: &Break,
    (expected, left): (&[&str], &[&str]),
) {
    check(db).await;
    let kv = store.storage();
    let (mut key, mut value) = rows(kv, kind).await.swap_remove(index);
    let case = format!("{kind} {index} {how:?}");
    let mut transaction = kv.begin(b"test").await.unwrap();
    match how {
        Break::Delete => transaction.delete(key),
        Break::Alter(byte) => {
            *value.last_mut().unwrap() = *byte;
            transaction.put(key, value);
        }
        Break::Duplicate => {
            *key.last_mut().unwrap() ^= 0x40;
            transaction.put(key, value);
        }
        Break::Garble => transaction.put(key, b"\xff".to_vec()),
    }
    transaction.commit().await.unwrap();
    assert_eq!(found(db).await, expected, "{case}");
    let documents = rows(kv, 'd').await;
    let repair = db.repair().await.unwrap();
    assert_eq!(found(db).await, left, "{case}: {repair:?}");
    let again = db.repair().await.unwrap();
    assert_eq!(again, Repair { kept_strays: repair.kept_strays, ..Repair::default() }, "{case}");
    let trees = |rows: Vec<(Vec<u8>, Vec<u8>)>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(trees(rows(kv, 'd').await), trees(documents));
}

async fn found(db: &Database) -> Vec<&'static str> {
    let mut found: Vec<_> = db.check().await.unwrap().iter().map(kind_of).collect();
    found.dedup();
    found
}

fn kind_of(inconsistency: &Inconsistency) -> &'static str {
    match inconsistency {
        Inconsistency::Unreadable(..) => "unreadable",
        Inconsistency::RepeatedRevision(..) => "repeated revision",
        Inconsistency::Head(_) => "head",
        Inconsistency::ChangeRow(..) => "change row",
        Inconsistency::StrayChange(..) => "stray change",
        Inconsistency::NoBody(..) => "no body",
        Inconsistency::StrayBody(_) => "stray body",
        Inconsistency::NoAttachment(_) => "no attachment",
        Inconsistency::References { .. } => "references",
        Inconsistency::Content(_) => "content",
        Inconsistency::StrayChunks(_) => "stray chunks",
        Inconsistency::TicketRow(_) => "ticket row",
        Inconsistency::NoAssignment(_) => "no assignment",
        Inconsistency::StrayAssignment(_) => "stray assignment",
        Inconsistency::ChannelRow(..) => "channel row",
        Inconsistency::StrayChannelRow(..) => "stray channel row",
        Inconsistency::Departure(..) => "departure",
        Inconsistency::Expiry(..) => "expiry",
        Inconsistency::GrantingDocuments { .. } => "granting documents",
        Inconsistency::ExplicitGrant(_) => "explicit grant",
        Inconsistency::GrantPeriods(_) => "grant periods",
        Inconsistency::InCollection(_, within) => kind_of(within),
        Inconsistency::StrayCollection(_) => "stray collection",
        Inconsistency::Counter { counter, .. } => match counter {
            Counter::Documents => "documents",
            Counter::DeletedDocuments => "deleted documents",
            Counter::UpdateSeq => "update seq",
            Counter::BodyBytes => "body bytes",
            Counter::AttachmentBytes => "attachment bytes",
        },
    }
}

#[tokio::test]
async fn documents_and_changes_must_agree() {
    check_finds('d', Break::Delete, &["stray change", "stray body", "documents"], &["stray change", "stray body"])
        .await;
    check_finds(
        'd',
        Break::Garble,
        &["unreadable", "stray change", "stray body", "documents"],
        &["unreadable", "stray change", "stray body"],
    )
    .await;
    check_finds('d', Break::Duplicate, &["change row", "stray body", "documents"], &["change row", "stray body"]).await;
    check_finds('d', Break::Alter(0), &["head", "change row"], &[]).await;
    check_finds('s', Break::Delete, &["change row"], &[]).await;
    check_finds('s', Break::Garble, &["change row", "unreadable"], &[]).await;
    check_finds('s', Break::Alter(0), &["change row"], &[]).await;
    check_finds('s', Break::Duplicate, &["stray change", "update seq"], &[]).await;
}

#[tokio::test]
async fn bodies_and_attachments_must_agree() {
    check_finds('b', Break::Delete, &["no body", "references", "body bytes"], &["no body", "references"]).await;
    check_finds('b', Break::Garble, &["unreadable", "references", "body bytes"], &["unreadable", "references"]).await;
    check_finds('b', Break::Duplicate, &["stray body", "references", "body bytes"], &[]).await;
    check_finds('a', Break::Delete, &["no attachment", "stray chunks", "attachment bytes"], &[]).await;
    check_finds('a', Break::Alter(5), &["references"], &[]).await;
    check_finds('a', Break::Garble, &["unreadable", "stray chunks", "attachment bytes"], &[]).await;
    check_finds('c', Break::Delete, &["content"], &["content"]).await;
    check_finds('c', Break::Alter(8), &["content"], &["content"]).await;
    check_finds('c', Break::Garble, &["content"], &["content"]).await;
    check_finds('c', Break::Duplicate, &["content"], &["content"]).await;
    check_finds('h', Break::Garble, &["unreadable"], &["unreadable"]).await;
}

#[tokio::test]
async fn tickets_and_their_rows_must_agree() {
    // The record comes first of the three.
    check_finds('t', Break::Delete, &["ticket row"], &[]).await;
    check_finds('t', Break::Garble, &["unreadable", "ticket row"], &["unreadable", "ticket row"]).await;
    check_finds('t', Break::Duplicate, &["ticket row"], &[]).await;
}

#[tokio::test]
async fn a_collection_must_have_its_name() {
    let stray = ["stray collection"].as_slice();
    check_finds_in(Home::Named, 'n', &Break::Delete, (stray, stray)).await;
}

#[tokio::test]
async fn what_was_decided_must_be_there() {
    let lost = &["no assignment", "stray channel row", "expiry", "granting documents"];
    check_finds_of_access('q', 1, Break::Delete, lost, lost).await;
    let unreadable = &["unreadable", "stray channel row", "expiry", "granting documents"];
    check_finds_of_access('q', 1, Break::Garble, unreadable, unreadable).await;
    check_finds_of_access('q', 0, Break::Delete, &["no assignment"], &["no assignment"]).await;
    check_finds_of_access('q', 0, Break::Duplicate, &["stray assignment"], &[]).await;
    check_finds_of_access('b', 0, Break::Duplicate, &["no assignment", "stray body", "body bytes"], &[]).await;
}

/// The rows are: a purged document in `*`, one in `a`, the purged one in `a`, and one that left `b`.
#[tokio::test]
async fn channels_and_documents_must_agree() {
    check_finds_of_access('k', 1, Break::Delete, &["channel row"], &[]).await;
    check_finds_of_access('k', 1, Break::Garble, &["channel row", "unreadable"], &[]).await;
    check_finds_of_access('k', 1, Break::Alter(0), &["channel row"], &[]).await;
    check_finds_of_access('k', 1, Break::Duplicate, &["stray channel row", "update seq"], &[]).await;
    for index in [0, 2, 3] {
        check_finds_of_access('k', index, Break::Delete, &["departure"], &[]).await;
        check_finds_of_access('k', index, Break::Garble, &["unreadable", "departure"], &[]).await;
        check_finds_of_access('k', index, Break::Duplicate, &["departure", "update seq"], &[]).await;
    }
    for index in [0, 1, 2] {
        check_finds_of_access('x', index, Break::Delete, &["departure"], &[]).await;
        check_finds_of_access('x', index, Break::Garble, &["departure", "unreadable"], &[]).await;
        check_finds_of_access('x', index, Break::Alter(9), &["departure"], &[]).await;
        check_finds_of_access('x', index, Break::Duplicate, &["departure"], &[]).await;
    }
    check_finds_of_access('e', 0, Break::Delete, &["expiry"], &[]).await;
    check_finds_of_access('e', 0, Break::Duplicate, &["expiry"], &[]).await;
}

/// The grants are: `b` to the role, `a` to the user, `x` to it by a document, the role to it. The role comes before the
/// user.
#[tokio::test]
async fn grants_documents_and_principals_must_agree() {
    for index in [0, 1, 3] {
        check_finds_of_access('g', index, Break::Delete, &["explicit grant"], &[]).await;
        check_finds_of_access('g', index, Break::Garble, &["unreadable", "explicit grant"], &[]).await;
        check_finds_of_access('g', index, Break::Alter(9), &["grant periods"], &[]).await;
        check_finds_of_access('g', index, Break::Duplicate, &["explicit grant"], &[]).await;
        check_finds_of_access('r', index / 2, Break::Delete, &["explicit grant"], &[]).await;
        check_finds_of_access('r', index / 2, Break::Duplicate, &["explicit grant"], &[]).await;
    }
    check_finds_of_access('g', 2, Break::Delete, &["granting documents"], &[]).await;
    check_finds_of_access('g', 2, Break::Garble, &["unreadable", "granting documents"], &[]).await;
    check_finds_of_access('g', 2, Break::Alter(9), &["grant periods"], &[]).await;
    check_finds_of_access('g', 2, Break::Duplicate, &["granting documents"], &[]).await;
    let unreadable = &["explicit grant", "unreadable"];
    check_finds_of_access('r', 1, Break::Garble, unreadable, unreadable).await;
}
