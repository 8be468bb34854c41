//! Compound sequences on any text: what parses shows itself as something that parses to the same, and nothing is left to
//! tell before the place that it names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_channels::Position;
use tidegate_types::Seq;

fuzz_target!(|text: &str| {
    let Ok(position) = text.parse::<Position>() else { return };
    assert_eq!(position.to_string().parse(), Ok(position));
    // Nothing comes before the first sequence.
    assert!(position.trigger == Some(Seq::ZERO) || Position::at(position.done()) <= position);
});
