//! Tickets against a plain map of them: whatever is done, all three ways to find them agree.

use crate::fixture::{Folder, check, name};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidegate_store::{Database, Ticket, TicketDigest, Tickets};
use tidegate_types::Seq;

pub(crate) fn ticket(number: u8, owner: &str, expires_s: u64) -> Ticket {
    let content = vec![number; usize::from(number)].into();
    Ticket { digest: [number; 32], owner: owner.parse().unwrap(), expires_s, content }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, &'static str, u64),
    Prolong(u8, u64),
    Take(u8),
    DeleteOf(&'static str),
    DeleteEnded(u64),
}

/// One of them is the beginning of another.
const OWNERS: [&str; 3] = ["ada", "ad", "eve"];

fn step() -> impl Strategy<Value = Step> {
    let owner = || prop::sample::select(&OWNERS[..]);
    prop_oneof![
        4 => (0u8..6, owner(), 0u64..9).prop_map(|(number, owner, end)| Step::Put(number, owner, end)),
        2 => (0u8..6, 0u64..9).prop_map(|(number, end)| Step::Prolong(number, end)),
        1 => (0u8..6).prop_map(Step::Take),
        1 => owner().prop_map(Step::DeleteOf),
        1 => (0u64..9).prop_map(Step::DeleteEnded),
    ]
}

type Model = BTreeMap<TicketDigest, Ticket>;

async fn play(db: &Database, model: &mut Model, step: Step) {
    match step {
        Step::Put(number, owner, end) => {
            let ticket = ticket(number, owner, end);
            db.put_ticket(ticket.clone()).await.unwrap();
            model.insert(ticket.digest, ticket);
        }
        Step::Prolong(number, end) => {
            let known = model.get_mut(&[number; 32]);
            assert_eq!(db.prolong_ticket(&[number; 32], end).await.unwrap(), known.is_some());
            known.into_iter().for_each(|ticket| ticket.expires_s = end);
        }
        Step::Take(number) => {
            assert_eq!(db.take_ticket(&[number; 32]).await.unwrap(), model.remove(&[number; 32]));
        }
        Step::DeleteOf(owner) => {
            let deleted = db.delete_tickets(Tickets::Of(&owner.parse().unwrap()), usize::MAX).await.unwrap();
            assert_eq!(deleted, take(model, |ticket| ticket.owner.as_str() == owner));
        }
        Step::DeleteEnded(time) => {
            let deleted = db.delete_tickets(Tickets::EndedBy(time), usize::MAX).await.unwrap();
            assert_eq!(deleted, take(model, |ticket| ticket.expires_s <= time));
        }
    }
}

fn take(model: &mut Model, which: impl Fn(&Ticket) -> bool) -> u64 {
    let before = model.len();
    model.retain(|_, ticket| !which(ticket));
    (before - model.len()) as u64
}

async fn compare(db: &Database, model: &Model) {
    let sorted = |mut tickets: Vec<&Ticket>| {
        tickets.sort_by_key(|ticket| (ticket.expires_s, ticket.digest));
        tickets.into_iter().cloned().collect::<Vec<_>>()
    };
    for owner in OWNERS {
        let expected = sorted(model.values().filter(|ticket| ticket.owner.as_str() == owner).collect());
        assert_eq!(db.tickets(Tickets::Of(&owner.parse().unwrap()), 100).await.unwrap(), expected);
    }
    assert_eq!(db.tickets(Tickets::EndedBy(u64::MAX), 100).await.unwrap(), sorted(model.values().collect()));
    for number in 0..6 {
        assert_eq!(db.ticket(&[number; 32]).await.unwrap().as_ref(), model.get(&[number; 32]));
    }
    check(db).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn all_ways_to_find_tickets_agree(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let store = folder.open().await;
            let db = store.create(&name("db"), 0).await.unwrap();
            let mut model = Model::new();
            for step in steps {
                play(&db, &mut model, step).await;
                compare(&db, &model).await;
            }
            assert_eq!(db.update_seq(), Seq::ZERO, "feeds tell nothing of tickets");
        });
    }
}

#[tokio::test]
async fn one_caller_gets_a_ticket_that_many_take() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 0).await.unwrap();
    db.put_ticket(ticket(1, "ada", 9)).await.unwrap();
    let takers: Vec<_> = (0..20).map(|_| (db.clone(), [1; 32])).collect();
    let mut taking = tokio::task::JoinSet::new();
    for (db, digest) in takers {
        taking.spawn(async move { db.take_ticket(&digest).await.unwrap() });
    }
    let taken: Vec<_> = taking.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken, [ticket(1, "ada", 9)]);
}

#[tokio::test]
async fn tickets_go_in_the_order_of_their_ends_up_to_a_limit() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 0).await.unwrap();
    for number in 1..=5 {
        db.put_ticket(ticket(number, "ada", 100 - u64::from(number))).await.unwrap();
    }
    assert_eq!(db.delete_tickets(Tickets::Of(&"ada".parse().unwrap()), 2).await.unwrap(), 2);
    let left = db.tickets(Tickets::Of(&"ada".parse().unwrap()), 9).await.unwrap();
    assert_eq!(left.iter().map(|ticket| ticket.expires_s).collect::<Vec<_>>(), [97, 98, 99]);
}
