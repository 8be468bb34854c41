//! The bytes of keys: what is stored lies there for ever.

use super::*;
use crate::{Grant, Granted};
use tidegate_types::Principal;

/// Where what is stored lay before there were collections, and lies.
#[test]
fn a_default_collection_lies_where_it_lay() {
    let keys = Keys::new(7);
    let check = |key: Vec<u8>, expected: &[u8]| assert_eq!(key, [b"D\0\0\0\x07", expected].concat());
    let (seq, channel): (Seq, Channel) = (Seq::new(258), "c".parse().unwrap());
    let to: Principal = "ada".parse().unwrap();
    let grant = |what| Grant { to: to.clone(), what };
    check(keys.meta(), b"m");
    check(keys.counters(), b"m");
    check(keys.setting("sync"), b"psync");
    check(keys.own_setting("sync"), b"psync");
    check(keys.document("d"), b"dd");
    check(keys.body(seq), b"b\0\0\0\0\0\0\x01\x02");
    check(keys.channel_row(&channel, seq), b"kc\xff\0\0\0\0\0\0\x01\x02");
    check(keys.principal(&to), b"ruada");
    check(keys.grant(&grant(Granted::Channel(channel))), b"guada\xffcc");
    check(keys.grant(&grant(Granted::Role("r".parse().unwrap()))), b"guada\xffrr");
    assert_eq!((keys.collection(), keys.within(3).home().document("d")), (DEFAULT_COLLECTION, keys.document("d")));
}

#[test]
fn others_lie_within_the_database_but_for_what_is_shared() {
    let (home, keys) = (Keys::new(7), Keys::new(7).within(259));
    let own = |rest: &[u8]| [b"D\0\0\0\x07o\0\0\x01\x03", rest].concat();
    let to: Principal = "role:r".parse().unwrap();
    let channel = Grant { to: to.clone(), what: Granted::Channel("c".parse().unwrap()) };
    let role = Grant { to: "ada".parse().unwrap(), what: Granted::Role("r".parse().unwrap()) };
    assert_eq!(keys.document("d"), own(b"dd"));
    assert_eq!((keys.counters(), keys.own_setting("sync")), (own(b"m"), own(b"psync")));
    assert_eq!((keys.grant(&channel), keys.grant_in(&own(b"grr\xffcc"))), (own(b"grr\xffcc"), Ok(channel)));
    assert_eq!(
        (keys.collection(), keys.id_in(&own(b"dd")), keys.collection_holding(&own(b"x"))),
        (259, Some("d"), Some(259))
    );
    assert_eq!(
        (keys.meta(), keys.setting("x"), keys.principal(&to)),
        (home.meta(), home.setting("x"), home.principal(&to))
    );
    assert_eq!((keys.grant(&role), keys.scope()), (home.grant(&role), home.scope()));
    assert!(!is_meta(&keys.counters()) && is_meta(&keys.meta()));
}
