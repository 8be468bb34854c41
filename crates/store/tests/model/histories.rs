//! Random histories. A failing case prints its seed and its steps.

use crate::{
    compare::compare_contents,
    fixture::runtime,
    play::Play,
    step::{Step, step},
};
use proptest::{collection::vec, prelude::*};

async fn play(steps: &[Step]) {
    let mut play = Play::new().await;
    for (number, step) in steps.iter().enumerate() {
        play.play(step).await;
        if number % 16 == 0 {
            compare_contents(&play).await;
        }
    }
    compare_contents(&play).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_database_does_what_its_model_does(steps in vec(step(), 1..120)) {
        runtime().block_on(play(&steps));
    }
}
