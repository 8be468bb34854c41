//! Golden keys are of another implementation: Python's `hashlib`.

use std::time::Instant;

use serde_json::json;

use super::*;

const PASSWORD: &str = "pässwörd";
const SALT: &str = "0123456789abcdef0123456789abcdef";
/// `pbkdf2_hmac(PRF, PASSWORD, SALT, 10)`.
const KEYS: [(&str, &str); 5] = [
    ("sha", "919076f3bca9f872b7decb58ff8df75e550705d6"),
    ("sha224", "4a198d3277686bfb92958336825e29597b4056120fa4180f86718acb"),
    ("sha256", "41832235c2b8e714085119098ff21d91a1283d7a930bfcb48cdfc5765426f1b0"),
    ("sha384", "4859ca047fc05c4260259e4eca600cf6fc5cc927192f749bd491075a83999339dc01beb6523ff84864879268b97d03cc"),
    (
        "sha512",
        "723cf9b33358d1c0a9e541a336826858376be60126f0b1dc6eef3f7661e5c1e5f005c1652bdda49b2ee03d288756e43666b1b3650e4dd560f4dda135dcd35529",
    ),
];
/// `sha1(PASSWORD + SALT)`.
const SIMPLE: &str = "9f999ba42d0c6bb9e1569f8c68e9abca37897b56";
/// `pbkdf2_hmac("sha1", SIMPLE, SALT, 10)`.
const SIMPLE_PBKDF2: &str = "1bce8ba5ddda58223310b3127bb1a8579daa850b";

fn hashing() -> Hashing {
    Hashing { iterations: 10, ..Hashing::default() }
}

fn of_document(document: &Value) -> Result<Option<StoredPassword>, Error> {
    StoredPassword::of_document(document.as_object().unwrap())
}

/// `stored` is [`PASSWORD`] and no other.
#[track_caller]
fn check(stored: Option<StoredPassword>) {
    let stored = stored.unwrap();
    for (password, expected) in [(PASSWORD, true), ("passwort", false), ("", false), (SIMPLE, false)] {
        assert_eq!(hashing().verify(Some(&stored), password), Ok(expected), "{stored:?} {password}");
    }
}

#[test]
fn every_scheme_of_a_document_is_known() {
    for (prf, key) in KEYS {
        check(
            of_document(&json!({"password_scheme": "pbkdf2", "pbkdf2_prf": prf, "derived_key": key, "salt": SALT,
            "iterations": 10}))
            .unwrap(),
        );
    }
    check(of_document(&json!({"password_sha": SIMPLE, "salt": SALT})).unwrap());
    check(of_document(&json!({"password_scheme": "simple", "password_sha": SIMPLE, "salt": SALT})).unwrap());
    let (sha, both) = (KEYS[0].1, "simple+pbkdf2");
    check(
        of_document(&json!({"password_scheme": "pbkdf2", "derived_key": sha, "salt": SALT, "iterations": 10})).unwrap(),
    );
    check(
        of_document(&json!({"password_scheme": both, "derived_key": SIMPLE_PBKDF2, "salt": SALT, "iterations": 10}))
            .unwrap(),
    );
}

#[test]
fn every_form_of_the_configuration_is_known() {
    let stored = |text: &str| match AdminPassword::parse(text).unwrap() {
        AdminPassword::Stored(stored) => Some(stored),
        AdminPassword::Clear(_) => None,
    };
    for (prf, key) in KEYS {
        let text = format!("-pbkdf2:{prf}-{key},{SALT},10");
        check(stored(&text));
        assert_eq!(stored(&text).unwrap().admin_text(), Some(text));
    }
    check(stored(&format!("-pbkdf2-{},{SALT},10", KEYS[0].1)));
    let simple = format!("-hashed-{SIMPLE},{SALT}");
    check(stored(&simple));
    assert_eq!(stored(&simple).unwrap().admin_text(), Some(simple));
    for clear in ["secret", "-pbkdf2:md5-00,a,1", "-pbkdf2x-", ""] {
        assert_eq!(AdminPassword::parse(clear), Ok(AdminPassword::Clear(clear.to_owned())));
    }
}

#[test]
fn garbled_hashes_of_the_configuration_are_told() {
    let key = KEYS[2].1;
    for text in [
        "-hashed-".to_owned(),
        format!("-hashed-{SIMPLE}"),
        format!("-hashed-{},{SALT}", &SIMPLE[2..]),
        format!("-pbkdf2-{key},{SALT},10"),
        format!("-pbkdf2:sha256-{key},{SALT}"),
        format!("-pbkdf2:sha256-{key},{SALT},x"),
        format!("-pbkdf2:sha256-{key},{SALT},0"),
        format!("-pbkdf2:sha256-{key},{SALT},10,1"),
        format!("-pbkdf2:sha256-{}g,{SALT},10", &key[1..]),
    ] {
        let garbled = Error::misconfigured("the hash of an administrator's password is garbled");
        assert_eq!(AdminPassword::parse(&text), Err(garbled), "{text}");
    }
}

#[test]
fn new_passwords_are_kept_as_couchdb_does() {
    let stored = hashing().store(PASSWORD, Salt(SALT.to_owned()));
    let members: Map<String, Value> =
        stored.members().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let expected = json!({"password_scheme": "pbkdf2", "pbkdf2_prf": "sha256", "salt": SALT, "iterations": 10,
        "derived_key": KEYS[2].1});
    assert_eq!(Value::Object(members.clone()), expected);
    assert_eq!(StoredPassword::of_document(&members), Ok(Some(stored)));
    assert_eq!(Salt::new([0x0f; 16]).0, "0f".repeat(16));
    assert_eq!((Hashing::default().prf, Hashing::default().iterations), (Prf::Sha256, 600_000));
}

#[test]
fn a_cut_key_matches_nothing() {
    for key in ["", "16", &KEYS[2].1[..62]] {
        let document = json!({"password_scheme": "pbkdf2", "pbkdf2_prf": "sha256", "derived_key": key, "salt": SALT,
            "iterations": 10});
        let stored = of_document(&document).unwrap();
        assert_eq!(hashing().verify(stored.as_ref(), PASSWORD), Ok(false), "{key}");
    }
}

#[test]
fn the_number_of_iterations_has_bounds() {
    let told = |iterations: Value| {
        let document =
            json!({"password_scheme": "pbkdf2", "derived_key": KEYS[0].1, "salt": SALT, "iterations": iterations});
        let hashing = Hashing { iterations_min: 5, iterations_max: 20, ..hashing() };
        hashing.verify(of_document(&document).unwrap().as_ref(), PASSWORD).err().map(|told| told.to_string())
    };
    let (low, high) = ("Iteration count is too low for this server", "Iteration count is too high for this server");
    for (iterations, expected) in [
        (json!(5), None),
        (json!(20), None),
        (json!(4), Some(low)),
        (json!(-10), Some(low)),
        (json!(10.5), Some(low)),
        (json!("10"), Some(low)),
        (json!(21), Some(high)),
        (json!(u64::MAX), Some(high)),
    ] {
        assert_eq!(told(iterations.clone()).as_deref(), expected, "{iterations}");
    }
}

#[test]
fn somebody_unknown_has_no_password() {
    assert_eq!(hashing().verify(None, PASSWORD), Ok(false));
    assert_eq!(hashing().verify(None, ""), Ok(false));
}

/// A factor of ten is room enough for a loaded machine; without the derivation it would be thousands.
#[test]
fn somebody_unknown_takes_as_long() {
    let hashing = Hashing { iterations: 3_000, ..Hashing::default() };
    let stored = hashing.store(PASSWORD, Salt::new([1; 16]));
    let time = |stored: Option<&StoredPassword>| {
        let start = Instant::now();
        hashing.verify(stored, "wrong").unwrap();
        start.elapsed()
    };
    let (unknown, known): (Vec<_>, Vec<_>) = (0..5).map(|_| (time(None), time(Some(&stored)))).unzip();
    assert!(unknown.iter().min().unwrap().as_nanos() * 10 > known.iter().min().unwrap().as_nanos());
}

#[test]
fn old_passwords_need_an_upgrade() {
    let needs = |hashing: &Hashing, stored: Option<StoredPassword>| hashing.needs_upgrade(&stored.unwrap());
    let kept = |hashing: Hashing| Some(hashing.store(PASSWORD, Salt::new([1; 16])));
    assert!(!needs(&hashing(), kept(hashing())));
    assert!(needs(&hashing(), kept(Hashing { iterations: 9, ..hashing() })));
    assert!(needs(&hashing(), kept(Hashing { prf: Prf::Sha512, ..hashing() })));
    let simple = of_document(&json!({"password_sha": SIMPLE, "salt": SALT})).unwrap();
    assert!(needs(&hashing(), simple.clone()));
    assert!(!needs(&Hashing { upgrade_on_login: false, ..hashing() }, simple));
}

#[test]
fn nothing_of_a_password_is_shown() {
    let stored = hashing().store(PASSWORD, Salt(SALT.to_owned()));
    assert!(!format!("{stored:?}").contains("key"), "{stored:?}");
}
