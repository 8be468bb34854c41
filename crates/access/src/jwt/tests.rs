//! Tokens of all kinds, good and bad; those signed elsewhere are in `fixtures`.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use ring::hmac;
use serde_json::json;

use super::{fixtures::*, *};
use crate::Role;

const NOW: u64 = 1_700_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn keys() -> TokenKeys {
    let mut keys = TokenKeys::default();
    for (entry, value) in [
        ("hmac:h", SECRET),
        ("hmac:_default", SECRET),
        ("rsa:r", RSA),
        ("rsa:pkcs1", RSA_PKCS1),
        ("ec:p256", P256),
        ("ec:p384", P384),
    ] {
        keys.insert(entry, value).unwrap();
    }
    keys
}

fn tokens(rules: TokenRules) -> Tokens {
    Tokens { keys: keys(), rules }
}

/// A token that the secret `_default` has signed, with `header` and `claims` as they are.
fn sign(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", BASE64_URL.encode(header), BASE64_URL.encode(claims));
    let secret = base64::engine::general_purpose::STANDARD.decode(SECRET).unwrap();
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL.encode(signature))
}

fn judge(rules: TokenRules, header: &Value, claims: &Value) -> Result<UserCtx, Error> {
    tokens(rules).user(&sign(&header.to_string(), &claims.to_string()), now())
}

/// What a token with these claims is told; nothing if it is good.
#[track_caller]
fn check_claims(required: &str, claims: &Value, expected: &str) {
    let found = judge(TokenRules::parse(required).unwrap(), &json!({"alg": "HS256"}), claims);
    let told = found.err().map(|told| told.to_string()).unwrap_or_default();
    assert_eq!(told, expected, "{required} {claims}");
}

#[test]
fn every_algorithm_is_known() {
    for (algorithm, token) in TOKENS {
        let ada = UserCtx::user("ada".parse().unwrap(), vec!["a".parse().unwrap()], Handler::Jwt);
        assert_eq!(tokens(TokenRules::default()).user(token, now()), Ok(ada), "{algorithm}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = BASE64_URL.decode(signature).unwrap();
        signature[7] ^= 1;
        let forged = format!("{signed}.{}", BASE64_URL.encode(signature));
        let kind = if algorithm.starts_with("HS") { "HMAC" } else { "signature" };
        let told = Error::bad_request(format!("Bad {kind} in authentication token"));
        for bad in [&forged, &format!("{signed}."), &format!("{signed}.*")] {
            assert_eq!(tokens(TokenRules::default()).user(bad, now()), Err(told.clone()), "{bad}");
        }
    }
}

#[test]
fn the_curve_must_fit_the_algorithm() {
    let told = tokens(TokenRules::default()).user(ES256_BY_P384, now());
    assert_eq!(told, Err(Error::bad_request("Bad signature in authentication token")));
}

/// The public key is known to everybody: were it taken for a secret, everybody could sign.
#[test]
fn a_public_key_is_no_secret() {
    let signed = format!("{}.{}", BASE64_URL.encode(r#"{"alg":"HS256","kid":"r"}"#), BASE64_URL.encode("{}"));
    for key in [RSA.as_bytes(), RSA.replace("\\n", "\n").as_bytes()] {
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        let token = format!("{signed}.{}", BASE64_URL.encode(signature));
        let told = tokens(TokenRules::parse("").unwrap()).user(&token, now());
        assert_eq!(told, Err(Error::bad_request("Unknown kid")));
    }
}

#[test]
fn what_isnt_a_token_is_told() {
    let check = |token: &str, expected: &'static str| {
        let told = tokens(TokenRules::default()).user(token, now());
        assert_eq!(told, Err(Error::bad_request(expected)), "{token}");
    };
    let malformed = "Malformed authentication token";
    for token in ["", "a", "a.b", "a.b.c.d", "*.e30.", "e30", &"a".repeat(TOKEN_BYTES_MAX + 1)] {
        check(token, malformed);
    }
    check(&sign("{", "{}"), malformed);
    check(&sign("[]", "{}"), "Not an object");
    check(&sign(r#"{"alg":"HS256"}"#, "1"), "Not an object");
    check(&sign(r#"{"alg":"HS256"}"#, "{"), malformed);
}

#[test]
fn the_header_is_looked_at_first() {
    let check = |required: &str, header: Value, expected: &'static str| {
        let rules = TokenRules::parse(required).unwrap();
        let told = judge(rules, &header, &json!({"sub": "ada"})).err().map(|told| told.to_string());
        assert_eq!(told.unwrap_or_default(), expected, "{required} {header}");
    };
    check("", json!({"alg": "HS256"}), "");
    check("", json!({}), "Missing alg header parameter");
    for algorithm in [json!("none"), json!("PS256"), json!("ES512"), json!("hs256"), json!(7)] {
        check("", json!({"alg": algorithm}), "Invalid alg header parameter");
    }
    check("", json!({"alg": "HS256", "kid": "nobody"}), "Unknown kid");
    check("", json!({"alg": "HS256", "kid": 7}), "Unknown kid");
    check("", json!({"alg": "HS256", "kid": "p256"}), "Unknown kid");
    check("", json!({"alg": "RS256"}), "Unknown kid");
    check("kid", json!({"alg": "HS256"}), "Missing kid claim");
    check("typ", json!({"alg": "HS256"}), "Missing typ header parameter");
    check("typ", json!({"alg": "HS256", "typ": "jwt"}), "Invalid typ header parameter");
    check("typ, kid", json!({"alg": "HS256", "typ": "JWT", "kid": "h"}), "");
}

#[test]
fn required_claims_are_checked() {
    let past = "exp not in future";
    check_claims("exp", &json!({"sub": "a", "exp": NOW + 1}), "");
    check_claims("exp", &json!({"sub": "a", "exp": 1_700_000_000.5}), "");
    check_claims("exp", &json!({"sub": "a", "exp": NOW}), past);
    check_claims("exp", &json!({"sub": "a", "exp": "2999"}), past);
    check_claims("exp", &json!({"sub": "a", "exp": null}), past);
    check_claims("exp", &json!({"sub": "a"}), "Missing exp claim");
    check_claims("", &json!({"sub": "a", "exp": 1, "nbf": NOW + 9}), "");
    check_claims("nbf", &json!({"sub": "a", "nbf": NOW - 1}), "");
    check_claims("nbf", &json!({"sub": "a", "nbf": NOW}), "nbf not in past");
    check_claims("nbf", &json!({"sub": "a", "nbf": "0"}), "nbf not in past");
    check_claims("nbf", &json!({"sub": "a"}), "Missing nbf claim");
    check_claims("iat", &json!({"sub": "a", "iat": 1}), "");
    check_claims("iat", &json!({"sub": "a", "iat": 1.5}), "Invalid iat claim");
    check_claims("iat", &json!({"sub": "a"}), "Missing iat claim");
    let issuer = r#"exp, {iss, "My Company"}"#;
    check_claims(issuer, &json!({"sub": "a", "exp": NOW + 1, "iss": "My Company"}), "");
    check_claims(issuer, &json!({"sub": "a", "exp": NOW + 1, "iss": "Other"}), "Invalid iss claim");
    check_claims(issuer, &json!({"sub": "a"}), "Missing iss claim");
}

#[test]
fn times_out_of_range_are_unauthorized_all_else_a_bad_request() {
    let told = |claims: Value| judge(TokenRules::default(), &json!({"alg": "HS256"}), &claims).unwrap_err();
    assert_eq!(told(json!({"exp": 1})), Error::unauthorized("exp not in future"));
    assert_eq!(told(json!({})), Error::bad_request("Missing exp claim"));
    assert_eq!(told(json!({"exp": NOW + 9})), Error::unauthorized("Token missing sub claim."));
    assert_eq!(told(json!({"exp": NOW + 9, "sub": 7})), Error::bad_request("Malformed token"));
    assert_eq!(told(json!({"exp": NOW + 9, "sub": ""})), Error::bad_request("Malformed token"));
}

/// The roles that `claims` give, with commas between them; or what is told.
#[track_caller]
fn check_roles(rules: TokenRules, mut claims: Value, expected: Result<&str, &str>) {
    claims["sub"] = json!("ada");
    claims["exp"] = json!(NOW + 1);
    let found = judge(rules, &json!({"alg": "HS256"}), &claims);
    let found = found.map(|ada| ada.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(","));
    let found = found.map_err(|told| told.to_string());
    assert_eq!(found.as_deref().map_err(String::as_str), expected, "{claims}");
}

#[test]
fn roles_are_found_by_name_or_path() {
    let (rules, malformed) = (TokenRules::default, Err("Malformed token"));
    check_roles(rules(), json!({}), Ok(""));
    check_roles(rules(), json!({"_couchdb.roles": ["a", "_admin"]}), Ok("a,_admin"));
    check_roles(rules(), json!({"_couchdb.roles": "a , b,"}), Ok("a,b"));
    check_roles(rules(), json!({"_couchdb.roles": ["a", 1]}), malformed);
    check_roles(rules(), json!({"_couchdb.roles": {}}), malformed);
    check_roles(rules().with_roles_name("groups"), json!({"groups": ["a"], "_couchdb.roles": ["b"]}), Ok("a"));
    let nested = || rules().with_roles_path(r"my.nested._couchdb\.roles");
    check_roles(nested(), json!({"my": {"nested": {"_couchdb.roles": ["a"]}}}), Ok("a"));
    check_roles(nested(), json!({"my": {"nested": {}}}), Err("missing json key: _couchdb.roles"));
    check_roles(nested(), json!({"my": 1}), Err("missing json key: nested"));
    check_roles(rules().with_roles_path(r"a\.b\.c"), json!({"a.b.c": "x"}), Ok("x"));
    check_roles(rules().with_roles_path("a"), json!({}), Err("missing json key: a"));
}

#[test]
fn bad_configuration_is_told() {
    for text in ["exp nbf", "exp,x", "{iss}", r#"{exp, "x"}"#, "iss", r#"{iss, ""}"#, ",", "EXP"] {
        let told = TokenRules::parse(text).unwrap_err();
        assert!(matches!(told, Error::Misconfigured(_)), "{text}");
    }
    assert_eq!(TokenRules::parse("exp,"), Ok(TokenRules::default()));
    assert_eq!(TokenRules::parse("alg , sig, exp"), Ok(TokenRules::default()));
    let told = |entry: &str, value: &str| TokenKeys::default().insert(entry, value).unwrap_err().to_string();
    assert_eq!(told("x:y", SECRET), "jwt_keys: `x:y` is neither hmac:ID nor rsa:ID nor ec:ID");
    assert_eq!(told("hmac", SECRET), "jwt_keys: `hmac` is neither hmac:ID nor rsa:ID nor ec:ID");
    assert_eq!(told("hmac:a", "*"), "jwt_keys: hmac:a isn't base64");
    assert_eq!(told("rsa:a", "x"), "jwt_keys: rsa:a is no PEM key");
    assert_eq!(told("rsa:a", P256), "jwt_keys: rsa:a is no RSA public key");
    assert_eq!(told("rsa:a", RSA_1024), "jwt_keys: rsa:a is no RSA public key of 2048 bits or more, but another key");
    assert_eq!(told("ec:a", RSA), "jwt_keys: ec:a is no EC public key");
    assert_eq!(told("ec:a", ED25519), "jwt_keys: ec:a is no EC public key");
    assert_eq!(told("ec:a", P521), "jwt_keys: ec:a is no P-256 or P-384 key");
    assert!(!format!("{:?}", keys()).contains("secret"), "{:?}", keys());
}

#[test]
fn the_two_forms_of_an_rsa_key_are_one() {
    let (signed, signature) = TOKENS[3].1.rsplit_once('.').unwrap();
    let signature = BASE64_URL.decode(signature).unwrap();
    assert_eq!(keys().verify(Algorithm::Rs256, "pkcs1", signed.as_bytes(), &signature), Ok(()));
}

#[test]
fn the_header_brings_a_token() {
    assert_eq!(bearer_token("Bearer a.b.c"), Some("a.b.c"));
    assert_eq!(bearer_token("bearer  a.b.c "), Some("a.b.c"));
    assert_eq!(bearer_token("Basic abc"), None);
}

proptest! {
    #[test]
    fn any_text_is_judged(token in "[a-zA-Z0-9_.-]{0,80}|.{0,80}") {
        prop_assert!(tokens(TokenRules::default()).user(&token, now()).is_err());
    }

    #[test]
    fn any_rules_are_judged(required in ".{0,40}", path in ".{0,40}") {
        if let Ok(rules) = TokenRules::parse(&required) {
            let judged = judge(rules.with_roles_path(&path), &json!({"alg": "HS256"}), &json!({}));
            prop_assert!(judged.is_err());
        }
    }
}
