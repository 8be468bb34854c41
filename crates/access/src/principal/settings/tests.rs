//! What stays, what changes, and what comes back.

use super::*;
use proptest::prelude::*;

fn channels(names: &[&str]) -> BTreeSet<Channel> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn roles(names: &[&str]) -> BTreeSet<PrincipalName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn body(json: &str) -> Body {
    Body::parse(json.as_bytes()).unwrap()
}

/// A hash that isn't compared with.
fn hash(last: char) -> PasswordHash {
    PasswordHash::parse(&format!("$2a$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe{last}")).unwrap()
}

fn user() -> UserSettings {
    let made = body(r#"{"admin_channels":["a"],"admin_roles":["r"],"email":"a@b.c"}"#);
    UserSettings::default().updated(&made, Some(hash('W')), Epoch::new([1; 16]))
}

#[test]
fn what_isnt_mentioned_stays() {
    let user = user();
    assert_eq!(user.updated(&Body::default(), None, Epoch::new([2; 16])), user);
    let moved = user.updated(&body(r#"{"admin_channels":[]}"#), None, Epoch::new([2; 16]));
    assert_eq!(moved, UserSettings { channels: channels(&[]), ..user });
}

#[test]
fn sessions_end_with_the_password_and_with_being_disabled() {
    let (user, epoch) = (user(), Epoch::new([2; 16]));
    assert_eq!(user.updated(&Body::default(), Some(hash('G')), epoch).epoch, epoch);
    let disabled = user.updated(&body(r#"{"disabled":true}"#), None, epoch);
    assert_eq!((disabled.epoch, disabled.is_enabled()), (epoch, false));
    let enabled = disabled.updated(&body(r#"{"disabled":false}"#), None, Epoch::new([3; 16]));
    assert_eq!((enabled.epoch, enabled.is_enabled()), (epoch, true));
}

#[test]
fn an_address_that_is_none_changes_nothing() {
    let with = |email: &str| {
        let body = Body { email: Some(email.to_owned()), ..Body::default() };
        user().updated(&body, None, Epoch::default()).email
    };
    assert_eq!(with("x@y.z").as_deref(), Some("x@y.z"));
    assert_eq!(with("x").as_deref(), Some("a@b.c"));
    assert_eq!(with("x y@z").as_deref(), Some("a@b.c"));
    assert_eq!(with(""), None);
}

#[test]
fn who_vouches_adds_to_what_administrators_gave() {
    let said = |channels: &[&str], updated_s| Vouched {
        issuer: "https://id".to_owned(),
        channels: self::channels(channels),
        roles: roles(&["s"]),
        updated_s,
    };
    let vouched = user().with_vouched(said(&["b", "a"], 1), None).unwrap();
    assert_eq!(vouched.explicit_channels(), ["a".parse().unwrap(), "b".parse().unwrap()]);
    assert_eq!(vouched.explicit_roles(), ["r".parse().unwrap(), "s".parse().unwrap()]);
    assert_eq!(vouched.with_vouched(said(&["a", "b"], 2), None), None, "it is the same");
    let less = vouched.with_vouched(said(&[], 3), None).unwrap();
    assert_eq!(less.explicit_channels(), ["a".parse().unwrap()], "the administrator's stays");
    assert!(vouched.with_vouched(said(&["a", "b"], 2), Some("n@w.x".to_owned())).is_some());
}

#[test]
fn collections_are_kept_one_by_one() {
    let epoch = Epoch::default();
    let user = user().updated(
        &body(r#"{"collection_access":{"s":{"c":{"admin_channels":["x"]},"d":{"admin_channels":["y"]}}}}"#),
        None,
        epoch,
    );
    assert_eq!(UserSettings::decode(&user.encode()), Ok(user.clone()));
    let less = user.updated(&body(r#"{"collection_access":{"s":{"c":null}}}"#), None, epoch);
    let left: Vec<_> = less.collections.into_keys().collect();
    assert_eq!(left, [("s".to_owned(), "d".to_owned())]);
}

/// What version 1 wrote: it must stay readable.
#[test]
fn the_first_version_is_read() {
    let text = concat!(
        "\u{1}{\"password\":\"$2a$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\",\"email\":\"a@b.c\",",
        "\"epoch\":\"01010101010101010101010101010101\",\"channels\":[\"a\"],\"roles\":[\"r\"]}"
    );
    assert_eq!(UserSettings::decode(text.as_bytes()), Ok(user()));
    assert_eq!(String::from_utf8(user().encode()).unwrap(), text);
    let role = RoleSettings::default().updated(&body(r#"{"admin_channels":["a"]}"#));
    assert_eq!(RoleSettings::decode("\u{1}{\"channels\":[\"a\"]}".as_bytes()), Ok(role));
}

#[test]
fn other_records_are_named() {
    for record in ["", "\u{2}{}", "\u{1}{}", "\u{1}{\"epoch\":\"01\"}", "\u{1}["] {
        assert_eq!(UserSettings::decode(record.as_bytes()), Err(Error::Corrupt("a user")), "{record:?}");
    }
    assert_eq!(RoleSettings::decode(b"\x01{\"channels\":[\"\"]}"), Err(Error::Corrupt("a role")));
}

proptest! {
    #[test]
    fn what_is_kept_comes_back(names in prop::collection::btree_set("[a-zé*!\"\\\\ ]{1,9}", 0..5), disabled: bool, vouch: bool) {
        let channels: BTreeSet<Channel> = names.iter().map(|name| name.parse().unwrap()).collect();
        let vouched = Vouched { issuer: "i".to_owned(), channels: channels.clone(), roles: roles(&["r"]), updated_s: 7 };
        let user = UserSettings {
            standing: if disabled { Standing::Disabled } else { Standing::Enabled },
            channels: channels.clone(),
            vouched: vouch.then_some(vouched),
            ..user()
        };
        prop_assert_eq!(UserSettings::decode(&user.encode()), Ok(user));
        let role = RoleSettings { channels, collections: Collections::new() };
        prop_assert_eq!(RoleSettings::decode(&role.encode()), Ok(role));
    }
}
