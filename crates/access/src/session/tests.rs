//! Golden tokens are of another implementation: Python's `hmac` and `base64`.

use proptest::prelude::*;

use super::*;
use crate::MacAlgorithm;

const SECRET: &[u8] = b"92de07df7e7a3fe14808cef90a7cc0d91";
const NOW: u64 = 1700000000;
const SHA256: &str = "asOkbjo2NTUzRjEwMDoAKmcgLRODUUcspmm1YP_M-ngpqSi_E90nSi7nHQrSTA";
const SHA: &str = "asOkbjo2NTUzRjEwMDrCNh5wspaWDVeI5FS6ytBKqtKNzA";

fn sessions() -> Sessions {
    Sessions::new(Keyring::new(vec![SECRET.to_vec()], Vec::new()).unwrap(), Sessions::TIMEOUT)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

/// What becomes of a token, with the salt `salt`.
fn judge(token: &str, salt: &str, now: u64) -> Result<Age, Rejection> {
    sessions().verify(&Claim::parse(token).unwrap().unwrap(), salt, at(now))
}

#[test]
fn tokens_are_couchdbs() {
    assert_eq!(sessions().token(&name("jän"), "salt", at(NOW)).as_deref(), Ok(SHA256));
    let sha = Keyring::new(vec![SECRET.to_vec()], vec![MacAlgorithm::Sha]).unwrap();
    assert_eq!(Sessions::new(sha, Sessions::TIMEOUT).token(&name("jän"), "salt", at(NOW)).as_deref(), Ok(SHA));
    for token in [SHA256, SHA] {
        assert_eq!(judge(token, "salt", NOW), Ok(Age::Fresh), "{token}");
        assert_eq!(Claim::parse(token).unwrap().unwrap().name(), &name("jän"));
    }
}

#[test]
fn a_session_is_renewed_after_a_tenth_and_over_after_all_of_its_time() {
    for (after, expected) in [
        (0, Ok(Age::Fresh)),
        (60, Ok(Age::Fresh)),
        (61, Ok(Age::Renewable)),
        (599, Ok(Age::Renewable)),
        (600, Err(Rejection::Expired)),
        (1 << 40, Err(Rejection::Expired)),
    ] {
        assert_eq!(judge(SHA256, "salt", NOW + after), expected, "{after}");
    }
    assert_eq!(judge(SHA256, "salt", NOW - 600), Ok(Age::Fresh));
    assert_eq!(judge(SHA256, "salt", NOW - 601), Err(Rejection::Expired));
}

#[test]
fn another_salt_ends_the_session() {
    assert_eq!(judge(SHA256, "other", NOW), Err(Rejection::Signature));
    assert_eq!(judge(SHA256, "", NOW), Err(Rejection::Signature));
}

#[test]
fn what_isnt_built_like_a_token_is_told() {
    let malformed = Error::bad_request("Malformed AuthSession cookie. Please clear your cookies.");
    let encode = |text: &[u8]| BASE64_URL.encode(text);
    let long = "a".repeat(1025);
    for token in ["*", "YQ", &encode(b"a:b"), &encode(b":65:x"), &encode(b"a\xff:65:x"), &encode(b"a\n:65:x"), &long] {
        assert_eq!(Claim::parse(token), Err(malformed.clone()), "{token}");
    }
    assert_eq!(Claim::parse(""), Ok(None));
}

#[test]
fn a_signed_time_that_is_no_number_is_expired() {
    for time in ["", "+6553F100", "-1", "xyz", "11111111111111111"] {
        let signed = format!("ada:{time}").into_bytes();
        let signature = sessions().keyring.sign(&signed, b"salt");
        let token = BASE64_URL.encode([&signed[..], b":", &signature].concat());
        assert_eq!(judge(&token, "salt", NOW), Err(Rejection::Expired), "{time}");
    }
}

#[test]
fn a_name_with_a_colon_gets_no_token() {
    let refused = Error::forbidden("Character `:` is not allowed in usernames.");
    assert_eq!(sessions().token(&name("a:b"), "salt", at(NOW)), Err(refused));
}

proptest! {
    #[test]
    fn a_token_names_whom_it_was_made_for(user in "[^:\\p{C}]{1,40}", salt in ".{0,40}", now in 0..1_u64 << 40) {
        let token = sessions().token(&name(&user), &salt, at(now)).unwrap();
        let claim = Claim::parse(&token).unwrap().unwrap();
        prop_assert_eq!(claim.name().as_str(), user);
        prop_assert_eq!(sessions().verify(&claim, &salt, at(now)), Ok(Age::Fresh));
    }

    #[test]
    fn no_changed_token_is_good(at_byte in 0_usize..1000, bit in 0_u32..8) {
        let mut bytes = BASE64_URL.decode(SHA256).unwrap();
        let len = bytes.len();
        bytes[at_byte % len] ^= 1 << bit;
        if let Ok(Some(claim)) = Claim::parse(&BASE64_URL.encode(&bytes)) {
            prop_assert_eq!(sessions().verify(&claim, "salt", at(NOW)), Err(Rejection::Signature));
        }
    }

    #[test]
    fn no_cut_token_is_good(len in 0_usize..60) {
        let bytes = BASE64_URL.decode(SHA256).unwrap();
        let cut = bytes.get(..len).filter(|cut| cut.len() < bytes.len()).unwrap_or(&[]);
        if let Ok(Some(claim)) = Claim::parse(&BASE64_URL.encode(cut)) {
            prop_assert_eq!(sessions().verify(&claim, "salt", at(NOW)), Err(Rejection::Signature));
        }
    }

    #[test]
    fn any_text_is_judged(token in ".{0,200}") {
        if let Ok(Some(claim)) = Claim::parse(&token) {
            prop_assert!(sessions().verify(&claim, "salt", at(NOW)).is_err());
        }
    }
}
