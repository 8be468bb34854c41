//! Users for whom somebody else vouches: with tokens, after a journey to a provider, or as a web server in front.

use super::fixture::{Fixture, basic, cookie, credentials, db_name, name};
use crate::{Error, FetchFailure, FetchRequest, Fetched, OidcLogin, OidcReturn, PrincipalLogin, UserInfo};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate_access::oidc::{Error as OidcError, Presence};

const ISSUER: &str = "https://id.example";
/// When tokens end; the tests' clock stands at 1,000,000,000.
const EXP: u64 = 1_000_000_500;

/// An identity provider in memory.
struct Provider {
    key: EcdsaKeyPair,
    id: String,
    /// The claims of the token that a code is worth.
    claims: Value,
    /// What it was asked.
    asked: Vec<FetchRequest>,
    is_down: bool,
}

impl Provider {
    fn new() -> Arc<Mutex<Self>> {
        let (key, id) = (new_key(), "k1".to_owned());
        Arc::new(Mutex::new(Self { key, id, claims: json!({}), asked: Vec::new(), is_down: false }))
    }

    /// It makes a new key, and signs with it from now on.
    fn rotate(&mut self) {
        (self.key, self.id) = (new_key(), format!("{}'", self.id));
    }

    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "x": encode(x), "y": encode(y)})
    }

    fn token(&self, more: &Value) -> String {
        let mut claims = json!({"iss": ISSUER, "aud": "app", "sub": "ada", "exp": EXP});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let header = json!({"alg": "ES256", "kid": self.id});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn answer(&mut self, request: &FetchRequest) -> Result<Fetched, FetchFailure> {
        self.asked.push(request.clone());
        if self.is_down {
            return Err(FetchFailure("down".into()));
        }
        let body = match request.url.strip_prefix(ISSUER).unwrap() {
            "/.well-known/openid-configuration" => json!({
                "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/auth"),
                "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/keys"),
            }),
            "/keys" => json!({"keys": [self.jwk()]}),
            "/token" => json!({
                "id_token": self.token(&self.claims), "refresh_token": "next", "access_token": "other", "expires_in": 9,
                "token_type": "Bearer",
            }),
            _ => return Ok(Fetched { status: 404, body: "{}".into() }),
        };
        Ok(Fetched { status: 200, body: body.to_string().into() })
    }
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

/// A database that sends its users to a provider.
async fn with_provider(more: &str) -> (Fixture, Arc<Mutex<Provider>>) {
    let (fixture, provider) = (Fixture::new().await, Provider::new());
    let asked = Arc::clone(&provider);
    fixture.engine.set_fetch(Arc::new(move |request| {
        let answer = asked.lock().unwrap().answer(&request);
        Box::pin(std::future::ready(answer))
    }));
    let rules = format!(
        r#"{{"oidc":{{"providers":{{"p":{{"issuer":"{ISSUER}","client_id":"app","validation_key":"s","user_prefix":"p",
            "roles_claim":"groups","channels_claim":"ch"{more}}}}}}}}}"#
    );
    fixture.set_rules(&rules).await;
    (fixture, provider)
}

const REGISTER: &str = r#","register":true"#;

async fn bring(fixture: &Fixture, token: &str) -> Result<PrincipalLogin, Error> {
    fixture.comes(&[("authorization", &format!("Bearer {token}"))]).await
}

/// Brings a token until it is taken: the provider isn't asked again at once.
async fn comes_in_time(fixture: &Fixture, token: &str) {
    let coming = async {
        while bring(fixture, token).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), coming).await.unwrap();
}

async fn user(fixture: &Fixture, user: &str) -> Option<UserInfo> {
    fixture.db.user(&name(user)).await.unwrap()
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(outcome: &Result<T, Error>) {
    assert!(matches!(outcome, Err(Error::BadCredentials)), "{outcome:?}");
}

#[tokio::test]
async fn a_token_registers_its_user_and_keeps_it_up_to_date() {
    let (fixture, provider) = with_provider(REGISTER).await;
    let token = |claims: Value| provider.lock().unwrap().token(&claims);
    let first = bring(&fixture, &token(json!({"groups": ["staff"], "ch": ["a", "b"], "email": "a@b.c"}))).await;
    assert_eq!(first.unwrap().caller.database_user(), Some(&name("p_ada")));
    let ada = user(&fixture, "p_ada").await.unwrap();
    assert_eq!(ada.channels.keys().map(ToString::to_string).collect::<Vec<_>>(), ["!", "a", "b"]);
    assert_eq!((ada.settings.email.as_deref(), ada.settings.explicit_roles()), (Some("a@b.c"), vec![name("staff")]));
    bring(&fixture, &token(json!({"groups": ["staff"], "ch": ["b", "a"]}))).await.unwrap();
    assert_eq!(user(&fixture, "p_ada").await.unwrap().seq, ada.seq, "nothing changed");
    fixture.put("p_ada", r#"{"admin_channels":["own"]}"#).await.unwrap();
    bring(&fixture, &token(json!({"ch": ["b"]}))).await.unwrap();
    let now = user(&fixture, "p_ada").await.unwrap();
    assert_eq!(now.channels.keys().map(ToString::to_string).collect::<Vec<_>>(), ["!", "b", "own"]);
    assert!(now.settings.explicit_roles().is_empty());
}

#[tokio::test]
async fn a_token_lets_nobody_in_who_may_not() {
    let (fixture, provider) = with_provider("").await;
    let token = |claims: Value| provider.lock().unwrap().token(&claims);
    check_refused(&bring(&fixture, &token(json!({}))).await);
    assert_eq!(user(&fixture, "p_ada").await, None, "it isn't registered");
    fixture.put("p_ada", r#"{"password":"secret"}"#).await.unwrap();
    assert!(bring(&fixture, &token(json!({}))).await.is_ok());
    check_refused(&bring(&fixture, &token(json!({"aud": "other"}))).await);
    check_refused(&bring(&fixture, &token(json!({"iss": "https://other"}))).await);
    check_refused(&bring(&fixture, &token(json!({"exp": 999_999_999}))).await);
    check_refused(&bring(&fixture, "a.b.c").await);
    fixture.put("p_ada", r#"{"disabled":true}"#).await.unwrap();
    check_refused(&bring(&fixture, &token(json!({}))).await);
    let (other, _) = with_provider(REGISTER).await;
    check_refused(&bring(&other, &token(json!({}))).await);
    assert_eq!(user(&other, "p_ada").await, None, "another provider's key has signed it");
}

#[tokio::test]
async fn who_is_vouched_for_has_no_password_which_is_no_empty_one() {
    let (fixture, provider) = with_provider(REGISTER).await;
    let token = provider.lock().unwrap().token(&json!({}));
    bring(&fixture, &token).await.unwrap();
    fixture.set_rules(r#"{"allow_empty_password":true}"#).await;
    for password in ["", "x"] {
        check_refused(&fixture.comes(&[("authorization", &basic("p_ada", password))]).await);
    }
}

#[tokio::test]
async fn nobody_becomes_the_guest_by_a_token() {
    let (fixture, provider) = with_provider(r#","register":true,"user_prefix":"","username_claim":"login""#).await;
    fixture.put("GUEST", r#"{"disabled":false}"#).await.unwrap();
    let token = provider.lock().unwrap().token(&json!({"login": "GUEST"}));
    check_refused(&bring(&fixture, &token).await);
}

#[tokio::test]
async fn a_new_key_is_asked_for_and_not_too_often() {
    let (fixture, provider) = with_provider(REGISTER).await;
    let asked = || provider.lock().unwrap().asked.len();
    let token = || provider.lock().unwrap().token(&json!({}));
    bring(&fixture, &token()).await.unwrap();
    bring(&fixture, &token()).await.unwrap();
    assert_eq!(asked(), 2, "its configuration, and its keys");
    let old = token();
    provider.lock().unwrap().rotate();
    let new = token();
    comes_in_time(&fixture, &new).await;
    check_refused(&bring(&fixture, &old).await);
    let before = asked();
    for _ in 0..20 {
        check_refused(&bring(&fixture, &old).await);
    }
    assert!(asked() - before <= 2, "tokens with keys that nobody has make the server ask {} times", asked() - before);
}

#[tokio::test]
async fn keys_that_were_known_do_while_the_provider_is_down() {
    let (fixture, provider) = with_provider(REGISTER).await;
    let token = |down| {
        let mut provider = provider.lock().unwrap();
        provider.is_down = down;
        provider.token(&json!({}))
    };
    let first = bring(&fixture, &token(true)).await;
    assert!(matches!(first, Err(Error::Unreachable(_))), "{first:?}");
    for _ in 0..20 {
        assert!(bring(&fixture, &token(true)).await.is_err());
    }
    let asked = provider.lock().unwrap().asked.len();
    assert!(asked <= 3, "a provider that is down was asked {asked} times");
    let good = token(false);
    comes_in_time(&fixture, &good).await;
    assert!(bring(&fixture, &token(true)).await.is_ok());
}

/// The browser goes to the provider, and comes back with what it was sent with.
async fn journey(fixture: &Fixture, provider: &Mutex<Provider>, claims: Value) -> Result<OidcLogin, Error> {
    let callback = "http://127.0.0.1/db/_oidc_callback";
    let entry = fixture.engine.oidc_entry(&db_name(), (None, Presence::Online), callback, &credentials(&[])).await?;
    let part = |name: &str| entry.url.split(&format!("{name}=")).nth(1).unwrap().split('&').next().unwrap().to_owned();
    provider.lock().unwrap().claims = json!({"nonce": part("nonce")});
    provider.lock().unwrap().claims.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let cookie = entry.cookie.unwrap();
    let headers = [("cookie", cookie.split(';').next().unwrap())];
    let state = part("state");
    let brought = OidcReturn { provider: None, code: "c", state: Some(&state) };
    let wrong = OidcReturn { state: Some("other"), ..brought };
    for (brought, headers) in [(wrong, &headers[..]), (brought, &[])] {
        let refused = fixture.engine.oidc_callback(&db_name(), brought, callback, &credentials(headers)).await;
        assert!(matches!(refused, Err(Error::Vouching(OidcError::Callback(_)))), "{refused:?}");
    }
    fixture.engine.oidc_callback(&db_name(), brought, callback, &credentials(&headers)).await
}

#[tokio::test]
async fn a_journey_to_the_provider_ends_in_a_session() {
    let (fixture, provider) = with_provider(REGISTER).await;
    let login = journey(&fixture, &provider, json!({"ch": ["a"]})).await.unwrap();
    assert_eq!(login.name, name("p_ada"));
    assert_eq!((login.tokens.refresh_token.as_deref(), login.tokens.access_token), (Some("next"), None));
    let session = login.session.unwrap();
    assert_eq!(session.expires_s, EXP, "it ends with the token");
    let comes = fixture.comes(&[("cookie", &cookie(&session))]).await.unwrap();
    assert_eq!(comes.caller.database_user(), Some(&name("p_ada")));
    let form = provider.lock().unwrap().asked.last().unwrap().form.clone().unwrap();
    assert!(form.body.contains("code_verifier=") && form.authorization.is_some());
    let next = fixture.engine.oidc_refresh(&db_name(), (None, "next"), &credentials(&[])).await.unwrap();
    assert!(next.session.is_some());
}

#[tokio::test]
async fn a_token_for_another_question_ends_no_journey() {
    let (fixture, provider) = with_provider(REGISTER).await;
    check_refused(&journey(&fixture, &provider, json!({"nonce": "other"})).await);
    assert_eq!(user(&fixture, "p_ada").await, None);
}

#[tokio::test]
async fn sessions_and_access_tokens_are_given_as_configured() {
    let (fixture, provider) = with_provider(r#","register":true,"disable_session":true,"include_access":true"#).await;
    let login = journey(&fixture, &provider, json!({})).await.unwrap();
    assert_eq!((login.session, login.login.cookie), (None, None));
    assert_eq!((login.tokens.access_token.as_deref(), login.tokens.expires_in), (Some("other"), Some(9)));
}

#[tokio::test]
async fn who_isnt_configured_is_told() {
    let fixture = Fixture::new().await;
    let entry = fixture.engine.oidc_entry(&db_name(), (None, Presence::Online), "", &credentials(&[])).await;
    assert_eq!(entry.unwrap_err().to_string(), "OpenID Connect not configured for database db");
}

#[tokio::test]
async fn static_keys_need_no_connection() {
    let fixture = Fixture::new().await;
    let token_and_key = || {
        let provider = Provider::new();
        let provider = provider.lock().unwrap();
        (provider.token(&json!({})), provider.jwk())
    };
    let ((token, key), (other, _)) = (token_and_key(), token_and_key());
    let local = json!({"issuer": ISSUER, "client_id": "app", "keys": [key], "register": true, "username_claim": "sub"});
    fixture.set_rules(&json!({"local_jwt": {"l": local}}).to_string()).await;
    assert_eq!(bring(&fixture, &token).await.unwrap().caller.database_user(), Some(&name("ada")));
    check_refused(&bring(&fixture, &other).await);
    // On the listener for all databases as well.
    let caller = fixture.comes_to_all(&[("authorization", &format!("Bearer {token}"))]).await.unwrap();
    assert_eq!(caller.database_user(), Some(&name("ada")));
}

#[tokio::test]
async fn a_web_server_in_front_names_users_and_their_groups() {
    let fixture = Fixture::new().await;
    let rules = |networks: &str| {
        json!({"remote_user": {"header": "Remote-User", "groups_header": "Remote-Groups", "networks": [networks],
            "register": true, "group_roles": {"staff": ["nurse"]}}})
    };
    let headers = [("remote-user", "ada"), ("remote-groups", "staff,other")];
    fixture.set_rules(&rules("10.0.0.0/8").to_string()).await;
    assert!(!fixture.comes(&headers).await.unwrap().caller.is_somebody(), "the peer is in no such network");
    fixture.set_rules(&rules("192.0.2.0/24").to_string()).await;
    assert_eq!(fixture.comes(&headers).await.unwrap().caller.database_user(), Some(&name("ada")));
    assert_eq!(user(&fixture, "ada").await.unwrap().settings.explicit_roles(), [name("nurse")]);
    fixture.comes(&[("remote-user", "ada")]).await.unwrap();
    assert!(user(&fixture, "ada").await.unwrap().settings.explicit_roles().is_empty(), "it is in no group any more");
    check_refused(&fixture.comes(&[("remote-user", "GUEST")]).await);
    assert!(fixture.comes(&[("remote-user", "a/b")]).await.is_err());
    assert_eq!(fixture.comes_to_all(&headers).await.unwrap().database_user(), Some(&name("ada")));
}
