//! What administrators write and read.

use super::fixture::{Fixture, basic, db_name, name};
use crate::{Error, PrincipalOutcome, UserInfo, WriteMode};
use tidegate_access::principal::Body;
use tidegate_types::{Channel, PrincipalName, Seq};

async fn user(fixture: &Fixture, user: &str) -> UserInfo {
    fixture.db.user(&name(user)).await.unwrap().unwrap()
}

fn channels(user: &UserInfo) -> Vec<(&str, u64)> {
    user.channels.iter().map(|(channel, since)| (channel.as_str(), since.get())).collect()
}

#[tokio::test]
async fn what_was_written_is_read_and_what_isnt_mentioned_stays() {
    let fixture = Fixture::new().await;
    let put = |body| fixture.put("ada", body);
    assert_eq!(put(r#"{"password":"pass","admin_channels":["b","a"]}"#).await.unwrap(), PrincipalOutcome::Created);
    let first = user(&fixture, "ada").await;
    assert_eq!(channels(&first), [("!", 1), ("a", 1), ("b", 1)], "the value is the sequence of the grant");
    assert_eq!(put(r#"{"email":"a@b.c"}"#).await.unwrap(), PrincipalOutcome::Updated);
    assert_eq!(put(r#"{"admin_channels":["c"]}"#).await.unwrap(), PrincipalOutcome::Updated);
    let now = user(&fixture, "ada").await;
    assert_eq!((channels(&now), now.settings.email.as_deref()), (vec![("!", 1), ("c", 3)], Some("a@b.c")));
    assert_eq!(now.settings.password, first.settings.password);
    assert_eq!(put("{}").await.unwrap(), PrincipalOutcome::Updated);
    assert_eq!(user(&fixture, "ada").await.seq, Seq::new(3), "nothing changed");
}

#[tokio::test]
async fn a_user_has_the_channels_of_its_roles() {
    let fixture = Fixture::with_ada().await;
    fixture.put("ada", r#"{"admin_roles":["nurse","ghost"]}"#).await.unwrap();
    assert_eq!(user(&fixture, "ada").await.roles.len(), 0, "there are no such roles");
    assert_eq!(fixture.put_role("nurse", r#"{"admin_channels":["ward"]}"#).await.unwrap(), PrincipalOutcome::Created);
    let ada = user(&fixture, "ada").await;
    assert_eq!(channels(&ada), [("!", 1), ("a", 1), ("ward", 3)]);
    assert_eq!(ada.roles.keys().map(PrincipalName::as_str).collect::<Vec<_>>(), ["nurse"]);
    let role = fixture.db.role(&name("nurse")).await.unwrap().unwrap();
    assert_eq!(role.channels.keys().map(Channel::as_str).collect::<Vec<_>>(), ["ward"]);
    fixture.db.delete_role(&name("nurse")).await.unwrap();
    assert_eq!(channels(&user(&fixture, "ada").await), [("!", 1), ("a", 1)]);
    assert!(matches!(fixture.db.delete_role(&name("nurse")).await, Err(Error::NoPrincipal(_))));
    assert_eq!(fixture.db.role(&name("nurse")).await.unwrap(), None);
}

#[track_caller]
fn check_reason<T: std::fmt::Debug>(outcome: Result<T, Error>, reason: &str) {
    assert_eq!(outcome.unwrap_err().to_string(), reason);
}

#[tokio::test]
async fn what_cant_be_is_told() {
    let fixture = Fixture::with_ada().await;
    check_reason(fixture.put("eve", "{}").await, "Empty passwords are not allowed ");
    check_reason(fixture.put("eve", r#"{"password":""}"#).await, "Empty passwords are not allowed ");
    check_reason(fixture.put("eve", r#"{"password":"pw"}"#).await, "Passwords must be at least three 3 characters");
    check_reason(fixture.put("ada", r#"{"password":""}"#).await, "Empty passwords are not allowed ");
    check_reason(fixture.put("ada", r#"{"name":"eve"}"#).await, "Name mismatch (can't change name)");
    check_reason(fixture.put("ada", r#"{"all_channels":["x"]}"#).await, "all_channels is read-only");
    check_reason(fixture.put("ada", r#"{"roles":["x"]}"#).await, "roles is read-only");
    let there = fixture.db.put_user(&name("ada"), &Body::default(), WriteMode::Create).await;
    check_reason(there, "Already exists");
    let keyspace = r#"{"collection_access":{"s":{"c":{"admin_channels":["x"]}}}}"#;
    check_reason(fixture.put("ada", keyspace).await, "keyspace specified in collection_access (db.s.c) not found");
    assert!(fixture.put("a\nb", r#"{"password":"pass"}"#).await.is_err());
    // What was read may be sent as it was.
    fixture.put("ada", r#"{"all_channels":["!","a"],"roles":[]}"#).await.unwrap();
}

#[tokio::test]
async fn passwords_may_be_empty_where_that_is_allowed() {
    let fixture = Fixture::new().await;
    fixture.set_rules(r#"{"allow_empty_password":true}"#).await;
    fixture.put("ada", r#"{"password":""}"#).await.unwrap();
    assert!(fixture.comes(&[("authorization", &basic("ada", ""))]).await.is_ok());
    assert!(fixture.comes(&[("authorization", &basic("ada", "x"))]).await.is_err());
    assert!(fixture.comes(&[("authorization", &basic("eve", ""))]).await.is_err());
}

#[tokio::test]
async fn the_guest_is_there_and_isnt_listed() {
    let fixture = Fixture::with_ada().await;
    let guest = user(&fixture, "GUEST").await;
    assert!(!guest.settings.is_enabled());
    assert_eq!(fixture.put("GUEST", r#"{"disabled":false}"#).await.unwrap(), PrincipalOutcome::Updated);
    assert!(user(&fixture, "GUEST").await.settings.is_enabled());
}

async fn fixture_names(fixture: &Fixture, after: &str, limit: usize) -> Vec<String> {
    fixture.db.user_names(after, limit).await.unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn names_come_in_order_and_in_pages() {
    let fixture = Fixture::with_ada().await;
    for user in ["GUEST", "zoe", "bob"] {
        fixture.put(user, r#"{"password":"secret"}"#).await.unwrap();
    }
    assert_eq!(fixture_names(&fixture, "", 9).await, ["ada", "bob", "zoe"]);
    assert_eq!(fixture_names(&fixture, "", 2).await, ["ada", "bob"]);
    assert_eq!(fixture_names(&fixture, "bob", 2).await, ["zoe"]);
    fixture.db.delete_user(&name("bob")).await.unwrap();
    assert_eq!(fixture_names(&fixture, "", 9).await, ["ada", "zoe"]);
    assert_eq!(fixture.db.user(&name("bob")).await.unwrap(), None);
    assert!(matches!(fixture.db.delete_user(&name("bob")).await, Err(Error::NoPrincipal(_))));
}

#[tokio::test]
async fn only_administrators_read_and_write_users() {
    let fixture = Fixture::with_ada().await;
    let login = fixture.comes(&[("authorization", &basic("ada", "secret"))]).await.unwrap();
    let db = fixture.engine.database(&login.caller, &db_name()).await.unwrap();
    let (ada, body) = (name("ada"), Body::default());
    assert!(matches!(db.put_user(&ada, &body, WriteMode::Replace).await, Err(Error::Access(_))));
    assert!(matches!(db.put_role(&ada, &body, WriteMode::Replace).await, Err(Error::Access(_))));
    assert!(matches!(db.user(&ada).await, Err(Error::Access(_))));
    assert!(matches!(db.role(&ada).await, Err(Error::Access(_))));
    assert!(matches!(db.user_names("", 1).await, Err(Error::Access(_))));
    assert!(matches!(db.role_names("", 1).await, Err(Error::Access(_))));
    assert!(matches!(db.delete_user(&ada).await, Err(Error::Access(_))));
    assert!(matches!(db.delete_role(&ada).await, Err(Error::Access(_))));
    assert!(matches!(db.set_login_rules(b"{}").await, Err(Error::Access(_))));
    let ttl = crate::Database::SESSION_TTL;
    let uses = tidegate_access::principal::Uses::Many;
    assert!(matches!(db.create_session(&ada, ttl, uses).await, Err(Error::Access(_))));
    assert!(matches!(db.session("").await, Err(Error::Access(_))));
    assert!(matches!(db.delete_session("", None).await, Err(Error::Access(_))));
    assert!(matches!(db.delete_sessions_of(&ada).await, Err(Error::Access(_))));
}

#[tokio::test]
async fn two_who_write_one_user_both_succeed() {
    let fixture = Fixture::with_ada().await;
    let (a, b) =
        tokio::join!(fixture.put("ada", r#"{"admin_channels":["x"]}"#), fixture.put("ada", r#"{"admin_roles":["r"]}"#));
    assert_eq!((a.unwrap(), b.unwrap()), (PrincipalOutcome::Updated, PrincipalOutcome::Updated));
    let ada = user(&fixture, "ada").await.settings;
    assert_eq!((ada.explicit_channels(), ada.explicit_roles()), (vec!["x".parse().unwrap()], vec![name("r")]));
}
