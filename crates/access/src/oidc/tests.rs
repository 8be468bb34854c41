//! Tokens, keys and journeys, good and bad.

use super::*;
use crate::{Transport, jwt::fixtures::TOKENS, session::BASE64_URL};
use base64::Engine as _;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The public keys of the tokens in `jwt/fixtures.rs`, as other programs write them; with a zero before the modulus.
const RSA_N: &str = "AMsC2zMUfWnKRisnCsIBBhRDEF41EN4o1NPdzjLbrHQ5XYsjjDDfKX7rBgMGwN_4t4Czz7-d-hNTbSyulyHPO3V6Qk2y3qiPK1rNxY6XpT-GWHvEmmq4uhEHPKsCFvLrLWAZ96zHcaoL3bZ1Brtc2j1I6iVhE7-cFfIXufjN3ObUZbBYNLQuF9JOX06lmSdWkrPmUWrOMCivRZ0C8rQiPk7bejyQ3qS1WlB_wDUx41fgT4o562dZUcOSLCj6xq27hv8BP8o80CIvFTL_YUGElJP-00kzHuPXNyalFpuS0jI8ZqddbGZ9LLsOJWafmeovBNd_oDSC0dp7is33ZL7nYpU";
const P384: (&str, &str) = (
    "MgvK3om5izxOIFqpDiBLUTCtzRgPVVDKGJqMhuK9Ee8tD8heQeyW5Gbbp6gOjCkG",
    "LW3XuPMa8nsH9JqchAD6BXgdWIo6z6E9FTKpIAX-UKyJFfCoamUNM3vnnZ6m6CRB",
);
const NOW_S: u64 = 1_700_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW_S)
}

fn jwks(keys: &Value) -> Jwks {
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

#[test]
fn tokens_of_other_programs_are_checked_with_keys_of_other_programs() {
    let rsa = |more: Value| {
        let mut key = json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let p384 = json!({"kty": "EC", "crv": "P-384", "kid": "p384", "x": P384.0, "y": P384.1});
    let check = |keys: Value, algorithm: &str, expected: bool| {
        let (_, token) = TOKENS.iter().find(|(name, _)| *name == algorithm).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (signing, signature) = (Signing::parse(algorithm).unwrap(), BASE64_URL.decode(signature).unwrap());
        let id = if algorithm == "ES384" { "p384" } else { "r" };
        let found = jwks(&keys).verify(Some(id), signing, signed.as_bytes(), &signature);
        assert_eq!(found, expected, "{algorithm} {keys}");
        let altered = signed.replace('e', "f");
        assert!(!jwks(&keys).verify(Some(id), signing, altered.as_bytes(), &signature));
    };
    for algorithm in ["RS256", "RS384", "RS512"] {
        check(json!([p384, rsa(json!({"kid": "r", "use": "sig"}))]), algorithm, true);
        check(json!([rsa(json!({"kid": "other"}))]), algorithm, false);
        check(json!([rsa(json!({"kid": "r", "use": "enc"}))]), algorithm, false);
    }
    check(json!([rsa(json!({"kid": "r", "alg": "RS256"}))]), "RS256", true);
    check(json!([rsa(json!({"kid": "r", "alg": "RS512"}))]), "RS256", false);
    check(json!([rsa(json!({"kid": "r", "alg": "PS256"}))]), "RS256", false);
    check(json!([p384]), "ES384", true);
}

#[test]
fn keys_of_no_known_kind_are_left_out() {
    let odd = json!([1, {"kty": "oct", "k": "AAAA"}, {"kty": "EC", "crv": "P-521"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]);
    assert!(jwks(&odd).is_empty());
    assert!(Jwks::parse(b"[]").is_err());
    for name in ["none", "HS256", "ES512", "", "rs256"] {
        assert_eq!(Signing::parse(name), None, "{name}");
    }
}

/// Somebody who signs tokens.
struct Issuer {
    key: EcdsaKeyPair,
    id: &'static str,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { key, id }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "x": BASE64_URL.encode(x), "y": BASE64_URL.encode(y)})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", BASE64_URL.encode(header.to_string()), BASE64_URL.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL.encode(signature))
    }
}

fn vouchers(more: &str) -> Vouchers {
    let json = format!(r#"{{"providers":{{"p":{{"issuer":"https://id.example/a","client_id":"app"{more}}}}}}}"#);
    Vouchers::parse(Some(&serde_json::from_str(&json).unwrap()), None).unwrap()
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({"iss": "https://id.example/a", "aud": "app", "sub": "ada", "exp": NOW_S + 10});
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn judge(options: &str, header: &Value, more: &Value) -> Result<Identity, Error> {
    let issuer = Issuer::new("k");
    let token = Unverified::parse(&issuer.sign(header, &claims(more)))?;
    let vouchers = vouchers(options);
    let voucher = &vouchers.provider(None).unwrap().voucher;
    token.verify(voucher, &jwks(&json!([issuer.jwk()])), now())
}

/// What a token with these claims is told, or whom it names.
#[track_caller]
fn check(more: &Value, expected: Result<&str, &str>) {
    let found = judge("", &json!({"alg": "ES256", "kid": "k"}), more);
    let found = found.map(|identity| identity.name.to_string()).map_err(|error| error.to_string());
    assert_eq!(found.as_deref().map_err(String::as_str), expected, "{more}");
}

#[test]
fn a_token_must_be_the_issuers_for_this_client_and_of_now() {
    check(&json!({}), Ok("id.example%2Fa_ada"));
    check(&json!({"aud": ["other", "app"]}), Ok("id.example%2Fa_ada"));
    check(&json!({"nbf": NOW_S + 59}), Ok("id.example%2Fa_ada"));
    check(&json!({"exp": NOW_S as f64 + 0.5}), Ok("id.example%2Fa_ada"));
    check(&json!({"sub": "a b/c"}), Ok("id.example%2Fa_a+b%2Fc"));
    check(&json!({"iss": "https://id.example/a/"}), Err("the token is of another issuer"));
    check(&json!({"iss": null}), Err("the token is of another issuer"));
    check(&json!({"aud": "other"}), Err("the token is for another client"));
    check(&json!({"aud": null}), Err("the token is for another client"));
    check(&json!({"exp": NOW_S}), Err("the token has expired"));
    check(&json!({"exp": null}), Err("the token has expired"));
    check(&json!({"exp": "2033"}), Err("the token's exp is no time"));
    check(&json!({"nbf": NOW_S + 61}), Err("the token isn't good yet"));
    check(&json!({"sub": null}), Err("the token has no sub to make a name of"));
}

#[test]
fn a_token_must_be_signed_by_a_key_of_the_issuer() {
    let told = |header: Value| judge("", &header, &json!({})).unwrap_err().to_string();
    assert_eq!(told(json!({"alg": "none"})), "tokens signed with `none` aren't taken");
    assert_eq!(told(json!({"alg": "HS256"})), "tokens signed with `HS256` aren't taken");
    let unknown = "the token's signature is wrong, or by a key that isn't known";
    assert_eq!(told(json!({"alg": "ES256", "kid": "other"})), unknown);
    assert_eq!(told(json!({"alg": "RS256", "kid": "k"})), unknown);
    assert!(judge("", &json!({"alg": "ES256"}), &json!({})).is_ok(), "a token needn't name its key");
    let (issuer, other) = (Issuer::new("k"), Issuer::new("k"));
    let token = Unverified::parse(&other.sign(&json!({"alg": "ES256", "kid": "k"}), &claims(&json!({})))).unwrap();
    let vouchers = vouchers("");
    let keys = jwks(&json!([issuer.jwk()]));
    assert!(token.may_be_signed_by(&keys));
    assert!(token.verify(&vouchers.provider(None).unwrap().voucher, &keys, now()).is_err());
    for malformed in ["", "a.b", "a.b.c", "e30.e30.", "e30.W10.AA"] {
        assert!(Unverified::parse(malformed).is_err(), "{malformed}");
    }
}

#[test]
fn ed25519_signs_too() {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let x = BASE64_URL.encode(key.public_key().as_ref());
    let keys = jwks(&json!([{"kty": "OKP", "crv": "Ed25519", "x": x}]));
    assert!(keys.verify(None, Signing::EdDsa, b"text", key.sign(b"text").as_ref()));
    assert!(!keys.verify(None, Signing::EdDsa, b"test", key.sign(b"text").as_ref()));
}

#[test]
fn claims_become_names_channels_and_roles() {
    let header = json!({"alg": "ES256", "kid": "k"});
    let of = |options: &str, more: Value| judge(options, &header, &more).unwrap();
    let options = r#","username_claim":"login","roles_claim":"groups","channels_claim":"ch""#;
    let told = of(options, json!({"login": "ada", "groups": ["a", "b/c", 1], "ch": "x", "email": "a@b.c"}));
    assert_eq!((told.name.as_str(), told.email.as_deref(), told.expires_s), ("ada", Some("a@b.c"), NOW_S + 10));
    assert_eq!(told.roles, Some(["a".parse().unwrap()].into()));
    assert_eq!(told.channels, Some(["x".parse().unwrap()].into()));
    let none = of(options, json!({"login": 7}));
    assert_eq!((none.name.as_str(), none.roles, none.channels), ("7", Some([].into()), Some([].into())));
    let silent = of("", json!({"groups": ["a"]}));
    assert_eq!((silent.roles, silent.channels), (None, None));
    let prefixed = of(r#","username_claim":"login","user_prefix":"p""#, json!({"login": "a/b"}));
    assert_eq!(prefixed.name.as_str(), "p_a%2Fb");
    assert!(judge(options, &header, &json!({"login": "a/b"})).is_err());
}

#[test]
fn google_names_itself_in_two_ways() {
    let json = json!({"providers": {"g": {"issuer": "https://accounts.google.com", "client_id": "app"}}});
    let vouchers = Vouchers::parse(Some(&json), None).unwrap();
    let issuer = Issuer::new("k");
    let of = |iss: &str| {
        let token = issuer.sign(&json!({"alg": "ES256"}), &claims(&json!({ "iss": iss })));
        vouchers.issuer_of(&Unverified::parse(&token).unwrap()).is_some()
    };
    assert!(of("accounts.google.com") && of("https://accounts.google.com"));
    assert!(!of("https://accounts.example.com"));
}

#[test]
fn static_keys_are_checked_when_they_are_configured() {
    let key = Issuer::new("k").jwk();
    let told = |local: Value| Vouchers::parse(None, Some(&json!({ "l": local }))).map_err(|error| error.to_string());
    let good = told(json!({"issuer": "i", "client_id": "", "keys": [key], "algorithms": ["ES256"]})).unwrap();
    assert!(!good.is_empty());
    let check = |local: Value, reason: &str| assert_eq!(told(local), Err(reason.to_owned()));
    let unknown = "local_jwt.l: there is no key that is known: RSA, EC on P-256 or P-384, Ed25519";
    check(json!({"issuer": "i", "client_id": "", "keys": []}), unknown);
    check(
        json!({"issuer": "i", "keys": [key]}),
        "local_jwt.l: client_id is missing; an empty one takes tokens for anybody",
    );
    check(json!({"client_id": "c", "keys": [key]}), "l: issuer is missing");
    let both = json!({"issuer": "i", "client_id": "c", "keys": [key], "jwks_uri": "u"});
    check(both, "local_jwt.l: it has both keys and jwks_uri");
    let algorithm = json!({"issuer": "i", "client_id": "c", "keys": [key], "algorithms": ["HS256"]});
    check(algorithm, "local_jwt.l: `HS256` is no algorithm that is known");
    let oidc = json!({"providers": {"p": {"issuer": "i"}}});
    let error = Vouchers::parse(Some(&oidc), None).unwrap_err();
    assert_eq!(error.to_string(), "oidc.providers.p: client_id is missing");
}

#[test]
fn algorithms_are_those_that_were_allowed() {
    let issuer = Issuer::new("k");
    let local = json!({"l": {"issuer": "https://id.example/a", "client_id": "app", "keys": [issuer.jwk()], "algorithms": ["RS256"]}});
    let vouchers = Vouchers::parse(None, Some(&local)).unwrap();
    let token = Unverified::parse(&issuer.sign(&json!({"alg": "ES256"}), &claims(&json!({})))).unwrap();
    let voucher = vouchers.issuer_of(&token).unwrap();
    let KeySource::Static(keys) = &voucher.keys else { panic!("they are in the configuration") };
    let told = token.verify(voucher, keys, now()).unwrap_err();
    assert_eq!(told.to_string(), "the token is signed in a way that isn't allowed");
}

#[test]
fn the_default_provider_is_the_one_named_or_the_only_one() {
    assert!(vouchers("").provider(None).is_some_and(|provider| vouchers("").is_default(provider)));
    let two = |default: &str| {
        let one = json!({"issuer": "i", "client_id": "c"});
        let mut json = json!({"providers": {"a": one, "b": one}});
        if !default.is_empty() {
            json["default_provider"] = default.into();
        }
        Vouchers::parse(Some(&json), None)
    };
    assert_eq!(two("").unwrap().provider(None), None);
    assert_eq!(two("b").unwrap().provider(None).unwrap().voucher.name, "b");
    assert_eq!(two("b").unwrap().provider(Some("a")).unwrap().voucher.name, "a");
    assert_eq!(two("b").unwrap().provider(Some("c")), None);
    assert!(two("c").is_err());
}

const METADATA: &[u8] = br#"{"issuer":"https://id.example/a","authorization_endpoint":"https://id.example/auth?x=1",
    "token_endpoint":"https://id.example/token","jwks_uri":"https://id.example/jwks","more":1}"#;

#[test]
fn a_providers_document_names_its_issuer() {
    assert!(Metadata::parse(METADATA, Some("https://id.example/a")).is_ok());
    assert!(Metadata::parse(METADATA, None).is_ok());
    let told = |json: &[u8], issuer| Metadata::parse(json, issuer).unwrap_err().to_string();
    assert_eq!(told(METADATA, Some("https://id.example")), "the provider's configuration names another issuer");
    assert_eq!(told(b"{}", None), "the provider's configuration has no authorization_endpoint");
    assert_eq!(told(b"<html>", None), "the provider's configuration can't be read");
}

#[test]
fn a_journey_is_told_in_hashes_of_its_secret() {
    let (journey, db, public) = (Journey::new([7; 32]), "db".parse().unwrap(), vouchers(""));
    let cookie = journey.cookie(&db, Transport::Tls);
    let attributes = "; Path=/db; Max-Age=600; HttpOnly; Secure; SameSite=Lax";
    assert!(cookie.starts_with("TidegateJourney=BwcH") && cookie.ends_with(attributes), "{cookie}");
    let shown = cookie.split(';').next().unwrap();
    assert_eq!(Journey::of_cookie(&format!("a=b; {shown}")), Some(journey.clone()));
    assert_eq!(Journey::of_cookie("TidegateJourney=BwcH"), None);
    assert_eq!(Journey::of_cookie(Journey::clear(&db, Transport::Plain).split(';').next().unwrap()), None);
    let metadata = Metadata::parse(METADATA, None).unwrap();
    let vouchers = vouchers(r#","validation_key":"k:y""#);
    let provider = vouchers.provider(None).unwrap();
    let url = journey.authorization_url(provider, &metadata, "http://h/db/_oidc_callback", Presence::Offline);
    let asked = "https://id.example/auth?x=1&response_type=code&client_id=app&redirect_uri=http%3A%2F%2Fh%2Fdb%2F_oidc_callback\
        &scope=openid%20email&access_type=offline&prompt=consent&state=";
    assert!(url.starts_with(asked), "{url}");
    let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
    assert_eq!(journey.check_state(Some(state)), Ok(()));
    assert!(journey.check_state(None).is_err() && Journey::new([8; 32]).check_state(Some(state)).is_err());
    assert!(!url.contains(&BASE64_URL.encode([7; 32])), "the secret itself is the browser's");
    let request = TokenRequest::of_code(provider, "c/d", "http://h", Some(&journey));
    assert!(
        request.body.starts_with("grant_type=authorization_code&code=c%2Fd&redirect_uri=http%3A%2F%2Fh&code_verifier=")
    );
    assert_eq!(request.authorization.as_deref(), Some("Basic YXBwOmslM0F5"), "app:k%3Ay");
    let verifier = request.body.split("code_verifier=").nth(1).unwrap();
    use sha2::Digest as _;
    let challenge = BASE64_URL.encode(sha2::Sha256::digest(verifier));
    assert!(url.contains(&format!("code_challenge={challenge}&code_challenge_method=S256")), "{url}");
    let refresh = TokenRequest::of_refresh_token(public.provider(None).unwrap(), "r");
    assert_eq!(
        (refresh.body.as_str(), refresh.authorization),
        ("grant_type=refresh_token&refresh_token=r&client_id=app", None)
    );
}

#[test]
fn a_token_answers_its_question() {
    let issuer = Issuer::new("k");
    let token = issuer.sign(&json!({"alg": "ES256"}), &claims(&json!({"nonce": "n"})));
    let token = Unverified::parse(&token).unwrap();
    assert_eq!(token.check_nonce("n"), Ok(()));
    assert!(token.check_nonce("m").is_err());
    let silent = Unverified::parse(&issuer.sign(&json!({"alg": "ES256"}), &claims(&json!({})))).unwrap();
    assert!(silent.check_nonce("n").is_err());
}

#[test]
fn a_providers_refusal_is_told() {
    let told = |status, json: &[u8]| TokenResponse::parse(status, json).unwrap_err().to_string();
    let refusal = br#"{"error":"invalid_grant","error_description":"too late"}"#;
    assert_eq!(told(400, refusal), "OpenID Connect error: too late (invalid_grant)");
    assert_eq!(told(502, b"<html>"), "the provider's token endpoint answered 502");
    assert_eq!(told(200, b"{}"), "the provider's answer has no id_token");
    let good = TokenResponse::parse(200, br#"{"id_token":"t","expires_in":5,"scope":"x"}"#).unwrap();
    assert_eq!((good.id_token.as_str(), good.expires_in, good.refresh_token), ("t", Some(5), None));
}
