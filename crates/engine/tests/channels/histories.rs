//! Random histories with concurrent writers, grants, losses and reconnects, in two collections: in the end each device
//! holds what its user may see of the collection it follows, and nothing else.

use crate::{
    follower::Device,
    site::{Site, delete, doc, name, runtime, winner, write},
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tidegate_engine::{Database, DocRange, Error, Order};
use tidegate_types::{DocId, Rev};

const USERS: [&str; 2] = ["ada", "bob"];
const CHANNELS: [&str; 4] = ["a", "b", "c", "!"];

#[derive(Clone, Debug)]
enum Step {
    Write { side: Side, id: u8, channels: Vec<u8>, grant: Vec<u8>, to: u8, role_grant: Vec<u8>, nurse: bool },
    Delete(Side, u8),
    Purge(Side, u8),
    Grant { user: u8, channels: InBoth, nurse: bool },
    Role(InBoth),
    DeleteRole,
}

/// Which of the collections.
type Side = usize;

/// Channels in either of them.
type InBoth = [Vec<u8>; 2];

/// What a device does until the writers are done: rows at once, and rows until it is cut off.
type Habits = (usize, usize);

fn step() -> impl Strategy<Value = Step> {
    let (side, both) = (|| 0..2usize, || [vec(0u8..3, 0..3), vec(0u8..3, 0..3)]);
    let some = || vec(0u8..4, 0..3);
    let few = || prop_oneof![3 => Just(Vec::new()), 1 => vec(0u8..3, 1..3)];
    prop_oneof![
        10 => (side(), 0u8..5, some(), few(), 0u8..2, few(), prop::bool::weighted(0.15)).prop_map(
            |(side, id, channels, grant, to, role_grant, nurse)| {
                Step::Write { side, id, channels, grant, to, role_grant, nurse }
            }
        ),
        2 => (side(), 0u8..5).prop_map(|(side, id)| Step::Delete(side, id)),
        1 => (side(), 0u8..5).prop_map(|(side, id)| Step::Purge(side, id)),
        4 => (0u8..2, both(), any::<bool>()).prop_map(|(user, channels, nurse)| Step::Grant { user, channels, nurse }),
        2 => both().prop_map(Step::Role),
        1 => Just(Step::DeleteRole),
    ]
}

fn channels(numbers: &[u8]) -> String {
    let names: Vec<&str> = numbers.iter().map(|number| CHANNELS[usize::from(*number)]).collect();
    serde_json::to_string(&names).unwrap()
}

/// What a principal's body says of either collection.
fn granted([here, there]: &InBoth) -> String {
    let (here, there) = (channels(here), channels(there));
    let access = format!("{{\"_default\":{{\"other\":{{\"admin_channels\":{there}}}}}}}");
    format!("\"admin_channels\":{here},\"collection_access\":{access}")
}

fn sides(site: &Site) -> [&Database; 2] {
    [&site.admin, &site.other]
}

async fn play(site: &Site, step: &Step, number: usize) {
    match step {
        Step::Write { side, id, channels: of, grant, to, role_grant, nurse } => {
            let user = USERS[usize::from(*to)];
            let nurses = if *nurse { format!("\"{user}\"") } else { "null".to_owned() };
            let body = format!(
                "{{\"n\":{number},\"channels\":{},\"users\":\"{user}\",\"grant\":{},\"role_grant\":{},\"nurses\":{nurses}}}",
                channels(of),
                channels(grant),
                channels(role_grant)
            );
            let written = write(sides(site)[*side], &format!("d{id}"), &body).await;
            assert!(matches!(written, Ok(_) | Err(Error::Conflict)), "{written:?}");
        }
        Step::Delete(side, id) => {
            let deleted = delete(sides(site)[*side], &format!("d{id}")).await;
            assert!(matches!(deleted, Ok(_) | Err(Error::Conflict)), "{deleted:?}");
        }
        Step::Purge(side, id) => {
            let (db, id) = (sides(site)[*side], format!("d{id}"));
            if let Some(rev) = winner(db, &id).await {
                db.purge(vec![(doc(&id), vec![rev])]).await.unwrap();
            }
        }
        Step::Grant { user, channels: of, nurse } => {
            let roles = if *nurse { "[\"nurse\"]" } else { "[]" };
            let body = format!("{{{},\"admin_roles\":{roles}}}", granted(of));
            site.put_user(USERS[usize::from(*user)], &body).await;
        }
        Step::Role(of) => site.put_role("nurse", &format!("{{{}}}", granted(of))).await,
        Step::DeleteRole => {
            let gone = site.admin.delete_role(&name("nurse")).await;
            assert!(matches!(gone, Ok(()) | Err(Error::NoPrincipal(_))), "{gone:?}");
        }
    }
}

/// What a user sees of a collection by listing.
async fn listed(site: &Site, user: &str, side: Side) -> BTreeMap<DocId, Rev> {
    let all = std::ops::Bound::Unbounded;
    let range = DocRange { start: all.clone(), end: all, order: Order::Ascending };
    let mut list = site.collection_seen_by(user, sides(site)[side]).await.list(range).await.unwrap();
    let rows = list.next(100).await.unwrap();
    rows.into_iter().map(|row| (row.id, row.winner.rev)).collect()
}

/// Follows until it is told to stop, then to the end.
async fn live(
    site: Arc<Site>,
    (user, side): (&'static str, Side),
    habits: Habits,
    stop: tokio_util::sync::CancellationToken,
) -> Device {
    let mut device = Device::new(user, sides(&site)[side].clone());
    while !stop.is_cancelled() {
        if !device.follow(&site, habits.0, habits.1).await {
            device.cut_off();
            continue;
        }
        tokio::select! {
            () = device.changed() => {}
            () = stop.cancelled() => {}
        }
    }
    let done = tokio::time::timeout(Duration::from_secs(20), async {
        while !device.follow(&site, habits.0, usize::MAX).await {}
    });
    done.await.unwrap();
    device
}

async fn history(writers: &[Vec<Step>], habits: [Habits; 2]) {
    let site = Arc::new(Site::new(&USERS).await);
    let stop = tokio_util::sync::CancellationToken::new();
    let mut devices = tokio::task::JoinSet::new();
    for (user, habits) in USERS.into_iter().zip(habits) {
        for side in 0..2 {
            let (site, stop) = (Arc::clone(&site), stop.clone());
            devices.spawn(async move { (user, side, live(site, (user, side), habits, stop).await) });
        }
    }
    let mut writing = tokio::task::JoinSet::new();
    for (writer, steps) in writers.iter().cloned().enumerate() {
        let site = Arc::clone(&site);
        writing.spawn(async move {
            for (number, step) in steps.iter().enumerate() {
                play(&site, step, 100 * writer + number).await;
            }
        });
    }
    writing.join_all().await;
    stop.cancel();
    for (user, side, device) in devices.join_all().await {
        let expected = listed(&site, user, side).await;
        assert_eq!(device.holds, expected, "{user} was told of {side}:\n{}", device.log.join("\n"));
    }
    site.engine.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn devices_hold_in_the_end_what_their_users_may_see(
        writers in vec(vec(step(), 1..25), 1..4), one in (1usize..6, 1usize..12), another in (1usize..6, 1usize..12),
    ) {
        runtime().block_on(history(&writers, [one, another]));
    }
}
