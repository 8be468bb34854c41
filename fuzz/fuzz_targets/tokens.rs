//! What a stranger brings to log in with, on any bytes: tokens, cookies, headers, and what an identity provider answers.
//! Nobody gets in by any of it, as no key is known here that could have signed it.
//!
//! The input is a text; where it has three lines, also a token whose parts they are.

#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, SystemTime};
use tidegate_access::{
    Basic, Claim, Security, Tokens, bearer_token,
    oidc::{Journey, Jwks, Metadata, TokenResponse, Unverified, Vouchers},
    principal::{Body, Session, SessionId},
    session_token,
};

fuzz_target!(|bytes: &[u8]| {
    documents(bytes);
    let Ok(text) = str::from_utf8(bytes) else { return };
    headers(text);
    token(text);
    let lines: Vec<&str> = text.splitn(3, '\n').collect();
    if lines.len() == 3 {
        let parts: Vec<String> = lines.iter().map(|line| URL_SAFE_NO_PAD.encode(line)).collect();
        token(&parts.join("."));
    }
    if let [keys, vouchers, unsigned] = lines.as_slice() {
        judge(keys, vouchers, unsigned);
    }
});

fn documents(bytes: &[u8]) {
    drop((Security::parse(bytes), Body::parse(bytes), Metadata::parse(bytes, None), Metadata::parse(bytes, Some("i"))));
    drop((TokenResponse::parse(200, bytes), TokenResponse::parse(400, bytes)));
    if let Ok(session) = Session::decode(bytes) {
        let written = session.encode();
        assert_eq!(Session::decode(&written).map(|session| session.encode()).ok(), Some(written));
    }
}

fn headers(text: &str) {
    drop((Basic::parse(text), bearer_token(text), session_token(text), Journey::of_cookie(text)));
    drop((SessionId::parse(text), Claim::parse(text)));
}

fn token(text: &str) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    assert!(Tokens::default().user(text, now).is_err());
    if let Ok(unverified) = Unverified::parse(text) {
        drop((unverified.issuer().len(), unverified.is_for("c"), unverified.check_nonce("n")));
        assert!(!unverified.may_be_signed_by(&Jwks::default()));
    }
}

/// A token against keys and providers of which all is made up.
fn judge(keys: &str, vouchers: &str, unsigned: &str) {
    let (Ok(keys), Ok(vouchers)) = (Jwks::parse(keys.as_bytes()), serde_json::from_str(vouchers)) else { return };
    let Ok(vouchers) = Vouchers::parse(Some(&vouchers), Some(&vouchers)) else { return };
    let Ok(unverified) = Unverified::parse(unsigned) else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    drop(vouchers.issuer_of(&unverified).map(|voucher| unverified.verify(voucher, &keys, now)));
}
