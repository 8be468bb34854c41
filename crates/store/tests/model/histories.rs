//! Random histories. A failing case prints its seed and its steps.

use crate::{
    compare::compare_contents,
    fixture::{Folder, name, replicated, runtime, write},
    play::{Home, Play},
    step::{Step, step},
};
use proptest::{collection::vec, prelude::*};
use tidegate_store::Error;
use tidegate_types::Seq;

async fn play(steps: &[Step], home: Home) {
    let mut play = Play::new(home).await;
    for (number, step) in steps.iter().enumerate() {
        play.play(step).await;
        if number % 16 == 0 {
            compare_contents(&play).await;
        }
    }
    compare_contents(&play).await;
}

#[tokio::test]
async fn a_path_that_is_none_is_refused() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 0).await.unwrap();
    for path in ["", "3-c 1-a", "1-a 2-b", "2-b 2-a"] {
        assert!(matches!(write(&db, replicated("d", path)).await, Err(Error::Conflict)), "{path}");
    }
    assert_eq!(db.info().await.unwrap().update_seq, Seq::ZERO);
}

#[tokio::test]
async fn what_is_sent_again_changes_nothing() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 0).await.unwrap();
    db.set_revs_limit(2).await.unwrap();
    let path = "4-d 3-c 2-b 1-a";
    assert_eq!(write(&db, replicated("d", path)).await.unwrap().seq, Some(Seq::new(1)));
    assert_eq!(write(&db, replicated("d", path)).await.unwrap().seq, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_database_does_what_its_model_does(steps in vec(step(), 1..120)) {
        runtime().block_on(play(&steps, Home::Default));
    }

    #[test]
    fn so_does_a_collection(steps in vec(step(), 1..120)) {
        runtime().block_on(play(&steps, Home::Named));
    }
}
