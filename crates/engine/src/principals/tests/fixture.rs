//! An engine with one database whose documents are in channels, and an administrator of it.

use crate::{
    Caller, Credentials, Database, Engine, Error, Identity, LoginForm, NewSession, Options, Party, PrincipalLogin,
    PrincipalOutcome, Sections, WriteMode,
};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tidegate_access::{
    Transport, UserCtx,
    principal::{Body, Uses},
};
use tidegate_kv::{EmbeddedOptions, Kv};
use tidegate_store::Documents;
use tidegate_types::{DbName, PrincipalName};

pub(super) struct Fixture {
    pub(super) engine: Engine,
    pub(super) db: Database,
    _folder: TempDir,
}

/// The time of all tests, which they add to: what they check lasts from minutes to days.
static PASSED_S: AtomicU64 = AtomicU64::new(0);

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000 + PASSED_S.load(Ordering::Relaxed))
}

pub(super) fn db_name() -> DbName {
    "db".parse().unwrap()
}

pub(super) fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::of(Party::Closed).await
    }

    pub(super) async fn of(party: Party) -> Self {
        Self::with_clock(party, clock).await
    }

    pub(super) async fn with_clock(party: Party, clock: fn() -> SystemTime) -> Self {
        let folder = TempDir::new().unwrap();
        let kv = Kv::open_embedded(EmbeddedOptions::new(folder.path())).await.unwrap();
        let identity = Identity { version: "0", uuid: "0".repeat(32) };
        let mut config = Sections::default();
        // Hashing is slow on purpose, which is no matter of these tests.
        config.set("chttpd_auth", "iterations", "1");
        let options = Options { config, party, databases_max: 10, identity, clock };
        let engine = Engine::open(kv, options).await.unwrap();
        for name in [db_name(), "other".parse().unwrap()] {
            let settings = Documents::InChannels.setting().into_iter().collect();
            engine.inner.store.create_with(&name, 0, settings).await.unwrap();
        }
        engine.inner.store.create_with(&"plain".parse().unwrap(), 0, Vec::new()).await.unwrap();
        let db = engine.database(&admin(), &db_name()).await.unwrap();
        Self { engine, db, _folder: folder }
    }

    pub(super) async fn put(&self, user: &str, body: &str) -> Result<PrincipalOutcome, Error> {
        self.db.put_user(&name(user), &Body::parse(body.as_bytes()).unwrap(), WriteMode::Replace).await
    }

    pub(super) async fn put_role(&self, role: &str, body: &str) -> Result<PrincipalOutcome, Error> {
        self.db.put_role(&name(role), &Body::parse(body.as_bytes()).unwrap(), WriteMode::Replace).await
    }

    /// With a user `ada` whose password is `secret`.
    pub(super) async fn with_ada() -> Self {
        let fixture = Self::new().await;
        fixture.put("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await.unwrap();
        fixture
    }

    /// Who comes with these headers, as the database's listener sees it.
    pub(super) async fn comes(&self, headers: &[(&str, &str)]) -> Result<PrincipalLogin, Error> {
        self.engine.authenticate_principal(&db_name(), &credentials(headers)).await
    }

    /// Who comes with these headers, as a listener for all databases sees it.
    pub(super) async fn comes_to_all(&self, headers: &[(&str, &str)]) -> Result<Caller, Error> {
        Ok(self.engine.authenticate_for(Some(&db_name()), &credentials(headers)).await?.caller)
    }

    pub(super) async fn log_in(&self, user: &str, password: &str, uses: Uses) -> Result<NewSession, Error> {
        let form = LoginForm { name: user, password, token: None };
        Ok(self.engine.log_in_principal(&db_name(), &form, uses, &credentials(&[])).await?.1)
    }

    pub(super) async fn set_rules(&self, json: &str) {
        self.db.set_login_rules(json.as_bytes()).await.unwrap();
    }
}

/// Somebody who may do everything.
pub(super) fn admin() -> Caller {
    Caller::new(UserCtx::nameless_admin())
}

/// These headers, from somewhere.
pub(super) fn credentials(headers: &[(&str, &str)]) -> Credentials<'static> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let find = move |name: &str| -> Option<&'static str> {
        let value = headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())?;
        Some(Box::leak(value.into_boxed_str()))
    };
    let peer = IpAddr::from([192, 0, 2, 1]);
    Credentials { header: Box::leak(Box::new(find)), peer, client: peer, transport: Transport::Plain }
}

pub(super) fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

pub(super) fn cookie(session: &NewSession) -> String {
    format!("SyncGatewaySession={}", session.id)
}
