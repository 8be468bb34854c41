//! Who gets in with a password, a session, or nothing.

use super::fixture::{Fixture, basic, cookie, credentials, db_name, name};
use crate::{Caller, Error, Handler, Party, PrincipalLogin, UserCtx, WriteMode};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tidegate_access::principal::{Body, Uses};
use tidegate_types::{DbName, PrincipalName};

fn who(login: Result<PrincipalLogin, Error>) -> Option<String> {
    login.ok().and_then(|login| login.caller.database_user().map(PrincipalName::to_string))
}

async fn with_password(fixture: &Fixture, user: &str, password: &str) -> Option<String> {
    who(fixture.comes(&[("authorization", &basic(user, password))]).await)
}

#[tokio::test]
async fn a_password_lets_its_user_in() {
    let fixture = Fixture::with_ada().await;
    let ada = || Some("ada".to_owned());
    assert_eq!(with_password(&fixture, "ada", "secret").await, ada());
    assert_eq!(with_password(&fixture, "ada", "Secret").await, None);
    assert_eq!(with_password(&fixture, "eve", "secret").await, None);
    assert_eq!(with_password(&fixture, "GUEST", "").await, None);
    // It is known by now, and counts no longer once it was changed.
    assert_eq!(with_password(&fixture, "ada", "secret").await, ada());
    fixture.put("ada", r#"{"password":"changed"}"#).await.unwrap();
    assert_eq!(with_password(&fixture, "ada", "secret").await, None);
    assert_eq!(with_password(&fixture, "ada", "changed").await, ada());
    fixture.put("ada", r#"{"disabled":true}"#).await.unwrap();
    assert_eq!(with_password(&fixture, "ada", "changed").await, None);
}

#[tokio::test]
async fn users_of_sync_gateway_keep_their_passwords() {
    let fixture = Fixture::new().await;
    // The vector of the original implementation: bcrypt of "U*U".
    let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    fixture.put("ada", &format!(r#"{{"passwordhash_bcrypt":"{hash}"}}"#)).await.unwrap();
    assert_eq!(with_password(&fixture, "ada", "U*U").await, Some("ada".to_owned()));
    assert_eq!(with_password(&fixture, "ada", "U*V").await, None);
}

#[tokio::test]
async fn passwords_arent_taken_where_they_arent_wanted() {
    let fixture = Fixture::with_ada().await;
    fixture.set_rules(r#"{"disable_password_auth":true}"#).await;
    assert_eq!(with_password(&fixture, "ada", "secret").await, None);
    assert!(fixture.log_in("ada", "secret", Uses::Many).await.is_err());
}

#[tokio::test]
async fn too_many_wrong_passwords_lock_a_user_out() {
    let fixture = Fixture::with_ada().await;
    for _ in 0..5 {
        let wrong = fixture.comes(&[("authorization", &basic("ada", "wrong"))]).await;
        assert!(matches!(wrong, Err(Error::BadCredentials)));
    }
    let locked = fixture.comes(&[("authorization", &basic("ada", "secret"))]).await;
    assert!(matches!(locked, Err(Error::Access(_))), "{locked:?}");
    fixture.put("ada", r#"{"password":"secret"}"#).await.unwrap();
    assert_eq!(with_password(&fixture, "ada", "secret").await, Some("ada".to_owned()));
}

#[tokio::test]
async fn nobody_is_the_guest_where_it_may_come_in() {
    let fixture = Fixture::new().await;
    let nobody = fixture.comes(&[]).await.unwrap().caller;
    assert!(!nobody.is_somebody());
    assert!(matches!(fixture.engine.database(&nobody, &db_name()).await, Err(Error::Access(_))));
    fixture.put("GUEST", r#"{"disabled":false,"admin_channels":["*"]}"#).await.unwrap();
    let guest = fixture.comes(&[]).await.unwrap().caller;
    let me = fixture.engine.database(&guest, &db_name()).await.unwrap().who_am_i().await.unwrap();
    let channels: Vec<_> = me.channels.unwrap().into_keys().map(|channel| channel.to_string()).collect();
    assert_eq!((me.name, channels), (None, vec!["!".to_owned(), "*".to_owned()]));
}

#[tokio::test]
async fn a_session_lasts_until_it_is_ended() {
    let fixture = Fixture::with_ada().await;
    assert!(fixture.log_in("ada", "wrong", Uses::Many).await.is_err());
    let session = fixture.log_in("ada", "secret", Uses::Many).await.unwrap();
    let shown = cookie(&session);
    let comes = || async { who(fixture.comes(&[("cookie", &shown)]).await) };
    assert_eq!(comes().await.as_deref(), Some("ada"));
    let told = fixture.db.session(&session.id.to_string()).await.unwrap().unwrap();
    assert_eq!((told.user, told.expires_s), (name("ada"), session.expires_s));
    let headers = [("cookie", shown.as_str())];
    let out = || async { fixture.engine.log_out_principal(&db_name(), &credentials(&headers)).await };
    assert!(out().await.unwrap().unwrap().starts_with("SyncGatewaySession=; Path=/db;"));
    assert_eq!(out().await.unwrap(), None);
    assert!(matches!(fixture.comes(&headers).await, Err(Error::BadCredentials)));
}

#[tokio::test]
async fn sessions_end_with_their_users_password_and_standing() {
    for change in [r#"{"password":"changed"}"#, r#"{"disabled":true}"#, ""] {
        let fixture = Fixture::with_ada().await;
        let session = fixture.log_in("ada", "secret", Uses::Many).await.unwrap();
        if change.is_empty() {
            fixture.db.delete_user(&name("ada")).await.unwrap();
        } else {
            fixture.put("ada", change).await.unwrap();
        }
        let shown = cookie(&session);
        assert_eq!(who(fixture.comes(&[("cookie", &shown)]).await), None, "{change}");
        fixture.put("ada", r#"{"password":"secret","disabled":false}"#).await.unwrap();
        assert_eq!(who(fixture.comes(&[("cookie", &shown)]).await), None, "{change}");
        assert_eq!(fixture.db.session(&session.id.to_string()).await.unwrap(), None, "{change}");
    }
}

#[tokio::test]
async fn a_session_of_the_user_as_it_was_is_nobodys_even_if_its_record_is_there() {
    let fixture = Fixture::with_ada().await;
    let session = fixture.log_in("ada", "secret", Uses::Many).await.unwrap();
    let record = fixture.db.store.ticket(&session.id.digest()).await.unwrap().unwrap();
    fixture.put("ada", r#"{"password":"changed"}"#).await.unwrap();
    fixture.db.store.put_ticket(record).await.unwrap();
    assert_eq!(who(fixture.comes(&[("cookie", &cookie(&session))]).await), None);
}

#[tokio::test]
async fn a_session_for_one_use_is_used_once() {
    let fixture = Fixture::with_ada().await;
    let session = fixture.log_in("ada", "secret", Uses::One).await.unwrap();
    let protocol = format!("BLIP_3+CBMobile_2, SyncGatewaySession_{}", session.id);
    let headers = [("sec-websocket-protocol", protocol.as_str())];
    assert_eq!(who(fixture.comes(&headers).await).as_deref(), Some("ada"));
    assert_eq!(who(fixture.comes(&headers).await), None);
}

#[tokio::test]
async fn administrators_make_and_end_sessions() {
    let fixture = Fixture::with_ada().await;
    let made = |ttl| fixture.db.create_session(ada_name(), Duration::from_secs(ttl), Uses::Many);
    let (a, b) = (made(10).await.unwrap(), made(20).await.unwrap());
    let (id, eve) = (a.id.to_string(), name("eve"));
    assert!(!fixture.db.delete_session(&id, Some(&eve)).await.unwrap(), "it isn't eve's");
    assert!(fixture.db.delete_session(&id, Some(&name("ada"))).await.unwrap());
    assert!(!fixture.db.delete_session(&id, None).await.unwrap());
    assert_eq!(fixture.db.delete_sessions_of(&name("ada")).await.unwrap(), 1);
    assert_eq!(fixture.db.session(&b.id.to_string()).await.unwrap(), None);
    fixture.put("ada", r#"{"disabled":true}"#).await.unwrap();
    let useless = made(10).await.unwrap();
    assert_eq!(who(fixture.comes(&[("cookie", &cookie(&useless))]).await), None, "its user may not log in");
    for nobody in ["eve", "GUEST"] {
        let none = fixture.db.create_session(&name(nobody), Duration::from_secs(9), Uses::Many).await;
        assert!(matches!(none, Err(Error::NoPrincipal(_))), "{nobody}");
    }
}

static NAME: std::sync::OnceLock<PrincipalName> = std::sync::OnceLock::new();

static NOW_S: AtomicU64 = AtomicU64::new(1_000_000_000);

fn moving_clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW_S.load(Ordering::Relaxed))
}

/// The one test that moves this clock.
#[tokio::test]
async fn a_session_in_use_goes_on_and_another_ends() {
    let fixture = Fixture::with_clock(Party::Closed, moving_clock).await;
    fixture.put("ada", r#"{"password":"secret"}"#).await.unwrap();
    let used = fixture.db.create_session(&name("ada"), Duration::from_secs(100), Uses::Many).await.unwrap();
    let unused = fixture.db.create_session(&name("ada"), Duration::from_secs(100), Uses::Many).await.unwrap();
    let (used, unused) = (cookie(&used), cookie(&unused));
    let come = |shown: String, later_s| {
        let fixture = &fixture;
        async move {
            NOW_S.fetch_add(later_s, Ordering::Relaxed);
            fixture.comes(&[("cookie", &shown)]).await
        }
    };
    assert_eq!(come(used.clone(), 10).await.unwrap().cookie, None);
    let renewed = come(used.clone(), 1).await.unwrap().cookie.unwrap();
    assert!(renewed.starts_with(&used), "{renewed}");
    assert_eq!(who(come(used.clone(), 99).await).as_deref(), Some("ada"), "it was renewed");
    assert_eq!(who(come(unused, 0).await), None, "it has ended");
    assert_eq!(who(come(used, 100).await), None);
}

#[tokio::test]
async fn one_user_has_so_many_sessions() {
    let fixture = Fixture::with_ada().await;
    let first = fixture.db.create_session(&name("ada"), Duration::from_secs(10), Uses::Many).await.unwrap();
    let many = (0..100).map(|_| fixture.db.create_session(ada_name(), Duration::from_secs(20), Uses::Many));
    let mut last = None;
    for made in many {
        last = Some(made.await.unwrap());
    }
    assert_eq!(fixture.db.session(&first.id.to_string()).await.unwrap(), None, "it made room");
    assert!(fixture.db.session(&last.unwrap().id.to_string()).await.unwrap().is_some());
    assert_eq!(fixture.db.delete_sessions_of(&name("ada")).await.unwrap(), 91);
}

fn ada_name() -> &'static PrincipalName {
    NAME.get_or_init(|| name("ada"))
}

#[tokio::test]
async fn a_user_of_one_database_is_nobody_in_another() {
    let fixture = Fixture::with_ada().await;
    let ada = fixture.comes(&[("authorization", &basic("ada", "secret"))]).await.unwrap().caller;
    assert!(fixture.engine.database(&ada, &db_name()).await.is_ok());
    let plain: DbName = "plain".parse().unwrap();
    let open = fixture.engine.database(&super::fixture::admin(), &plain).await.unwrap();
    open.set_security(br#"{"members":{"names":["ada"],"roles":[]}}"#).await.unwrap();
    assert!(matches!(fixture.engine.database(&ada, &plain).await, Err(Error::Access(_))));
    open.set_security(b"{}").await.unwrap();
    assert!(matches!(fixture.engine.database(&ada, &plain).await, Err(Error::Access(_))), "not even where all may");
    let other: DbName = "other".parse().unwrap();
    let another_ada = fixture.engine.database(&super::fixture::admin(), &other).await.unwrap();
    let body = Body::parse(br#"{"password":"secret"}"#).unwrap();
    another_ada.put_user(ada_name(), &body, WriteMode::Replace).await.unwrap();
    assert!(matches!(fixture.engine.database(&ada, &other).await, Err(Error::Access(_))), "that is another one");
    assert!(matches!(fixture.engine.check_admin(&ada), Err(Error::Access(_))));
}

#[tokio::test]
async fn a_users_name_and_roles_give_no_rights_on_the_server() {
    let fixture = Fixture::with_ada().await;
    fixture.put_role("_admin", r#"{"admin_channels":["x"]}"#).await.unwrap();
    fixture.put("ada", r#"{"admin_roles":["_admin"]}"#).await.unwrap();
    fixture.db.set_security(br#"{"admins":{"names":["ada"],"roles":["_admin"]}}"#).await.unwrap();
    let ada = fixture.comes(&[("authorization", &basic("ada", "secret"))]).await.unwrap().caller;
    let db = fixture.engine.database(&ada, &db_name()).await.unwrap();
    assert!(matches!(db.check_admin(), Err(Error::Access(_))));
    assert!(!ada.is_admin());
    assert_eq!(db.who_am_i().await.unwrap().name, Some(name("ada")));
}

#[tokio::test]
async fn users_of_the_server_are_the_databases_users_of_their_names() {
    let fixture = Fixture::with_ada().await;
    let as_server_user = |user: &str| Caller::new(UserCtx::user(user.parse().unwrap(), Vec::new(), Handler::Default));
    let seen = |user: &'static str| {
        let (fixture, caller) = (&fixture, as_server_user(user));
        async move { fixture.engine.database(&caller, &db_name()).await.map(|db| db.viewer) }
    };
    assert_eq!(seen("ada").await.unwrap(), super::super::Viewer::User(name("ada")));
    assert!(matches!(seen("eve").await, Err(Error::Access(_))));
    assert!(matches!(seen("GUEST").await, Err(Error::Access(_))), "nobody is called so");
    fixture.db.set_security(br#"{"admins":{"names":["eve"],"roles":[]}}"#).await.unwrap();
    assert_eq!(seen("eve").await.unwrap(), super::super::Viewer::Everything);
}

#[tokio::test]
async fn who_is_disabled_sees_nothing_more_through_what_it_holds() {
    let fixture = Fixture::with_ada().await;
    let ada = fixture.comes(&[("authorization", &basic("ada", "secret"))]).await.unwrap().caller;
    let db = fixture.engine.database(&ada, &db_name()).await.unwrap();
    assert!(db.renewed().await.is_ok());
    fixture.put("ada", r#"{"disabled":true}"#).await.unwrap();
    assert!(matches!(db.renewed().await, Err(Error::Access(_))));
}

#[tokio::test]
async fn both_kinds_of_users_log_in_where_both_may() {
    let fixture = Fixture::with_ada().await;
    let party = Fixture::of(Party::Open).await;
    party.put("ada", r#"{"password":"secret"}"#).await.unwrap();
    let right = [("authorization", basic("ada", "secret"))];
    let wrong = [("authorization", basic("ada", "wrong"))];
    let stranger = [("authorization", basic("eve", "x"))];
    for fixture in [&fixture, &party] {
        let [(header, value)] = &right;
        let ada = fixture.comes_to_all(&[(header, value)]).await.unwrap();
        assert_eq!(ada.database_user(), Some(&name("ada")));
        let [(header, value)] = &wrong;
        assert!(matches!(fixture.comes_to_all(&[(header, value)]).await, Err(Error::BadCredentials)));
    }
    let [(header, value)] = &stranger;
    assert!(fixture.comes_to_all(&[(header, value)]).await.is_err());
    assert!(party.comes_to_all(&[(header, value)]).await.unwrap().is_admin(), "where everybody administers the server");
    let session = fixture.log_in("ada", "secret", Uses::Many).await.unwrap();
    let ada = fixture.comes_to_all(&[("cookie", &cookie(&session))]).await.unwrap();
    assert_eq!(ada.database_user(), Some(&name("ada")));
}
