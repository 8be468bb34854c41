//! The `since` of a feed on any text: what parses shows itself as something that parses to the same, and a feed never
//! begins behind the database's latest change unless a bare number says so.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_couch::WireSeq;
use tidegate_types::Seq;

fuzz_target!(|text: &str| {
    let Ok(wire) = text.parse::<WireSeq>() else { return };
    assert_eq!(wire.to_string().parse(), Ok(wire));
    let latest = Seq::new(20);
    let since = wire.resolve([7; 8], latest);
    assert!(wire.database.is_none() || since <= latest);
});
