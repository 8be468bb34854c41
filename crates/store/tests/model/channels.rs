//! Channels, grants and principals: whoever follows the feeds of a user, one in each of two collections, holds in the end
//! what that user may see there, whatever was written, granted, taken away, purged and crashed meanwhile.

use crate::fixture::{Folder, check, collection, doc, edit, name, runtime};
use proptest::{collection::btree_set, prelude::*};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_channels::{Losses, Position, Step as Walked, Telling, Walk};
use tidegate_store::{
    Assignment, Change, Database, Documents, Edit, Error, Grant, Granted, History, PrincipalWrite, Reader, Reassigned,
    Reassignment, Store,
};
use tidegate_types::{Channel, DocId, Principal, PrincipalName, Rev, Seq};

const CHANNELS: [&str; 5] = ["a", "b", "c", "!", "*"];
const SIDES: usize = 2;
const DOCUMENTS: u8 = 5;

#[derive(Clone, Debug)]
enum Step {
    In(Side, Inside),
    PutUser(InBoth, bool),
    DeleteUser,
    PutRole(InBoth),
    DeleteRole,
    Crash,
}

/// Which of the two collections.
type Side = usize;

/// Channels in either of them.
type InBoth = [BTreeSet<u8>; SIDES];

/// What happens in one collection.
#[derive(Clone, Debug)]
enum Inside {
    Write(WritePlan),
    Purge(u8),
    /// The winner, and the other leaves, are decided on anew.
    Reassign(WritePlan),
    /// Once the client has followed.
    Forget(u8),
    /// The client reads so many rows, in pages of so many.
    Follow(usize, usize),
}

#[expect(clippy::struct_excessive_bools, reason = "each is drawn on its own")]
#[derive(Clone, Debug)]
struct WritePlan {
    document: u8,
    /// On the winner, or beside it as a conflict.
    beside: bool,
    deleted: bool,
    channels: BTreeSet<u8>,
    /// To the user, and to its role.
    grants: BTreeSet<u8>,
    role_grants: BTreeSet<u8>,
    role: bool,
}

fn inside() -> impl Strategy<Value = Inside> {
    let some = |most: u8| btree_set(0..most, 0..3);
    let few = || prop_oneof![3 => Just(BTreeSet::new()), 1 => btree_set(0u8..3, 1..3)];
    let plan = (
        0..DOCUMENTS,
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.15),
        some(4),
        few(),
        few(),
        prop::bool::weighted(0.1),
    );
    let write = plan.prop_map(|(document, beside, deleted, channels, grants, role_grants, role)| WritePlan {
        document,
        beside,
        deleted,
        channels,
        grants,
        role_grants,
        role,
    });
    prop_oneof![
        14 => write.clone().prop_map(Inside::Write),
        4 => write.prop_map(Inside::Reassign),
        1 => (0..DOCUMENTS).prop_map(Inside::Purge),
        2 => (0..DOCUMENTS).prop_map(Inside::Forget),
        7 => (0usize..4, 1usize..4).prop_map(|(rows, page)| Inside::Follow(rows, page)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let granted = |most: u8| [btree_set(0..most, 0..3), btree_set(0..most, 0..3)];
    prop_oneof![
        28 => (0..SIDES, inside()).prop_map(|(side, inside)| Step::In(side, inside)),
        5 => (granted(5), any::<bool>()).prop_map(|(channels, role)| Step::PutUser(channels, role)),
        1 => Just(Step::DeleteUser),
        2 => granted(3).prop_map(Step::PutRole),
        1 => Just(Step::DeleteRole),
        1 => Just(Step::Crash),
    ]
}

fn channels(numbers: &BTreeSet<u8>) -> Vec<Channel> {
    numbers.iter().map(|number| CHANNELS[usize::from(*number)].parse().unwrap()).collect()
}

/// One channel in the default collection.
fn one(number: u8) -> InBoth {
    [[number].into(), BTreeSet::new()]
}

fn user() -> PrincipalName {
    "ada".parse().unwrap()
}

fn role() -> PrincipalName {
    "nurse".parse().unwrap()
}

struct Play {
    folder: Folder,
    store: Store,
    sides: [Collection; SIDES],
}

/// A collection, and the client that follows it.
struct Collection {
    db: Database,
    written: u64,
    position: Position,
    holds: BTreeMap<DocId, Rev>,
    /// Documents that the user could see at some time.
    seen: BTreeSet<DocId>,
}

impl Play {
    async fn new() -> Self {
        let folder = Folder::new();
        let store = folder.open().await;
        let settings = Documents::InChannels.setting().into_iter().collect();
        let db = store.create_with(&name("db"), 0, settings).await.unwrap();
        let sides = [Collection::new(db.clone()), Collection::new(collection(&db).await)];
        Self { folder, store, sides }
    }

    fn db(&self) -> &Database {
        &self.sides[0].db
    }

    async fn play(&mut self, step: &Step) {
        match step {
            Step::In(side, inside) => self.sides[*side].play(inside).await,
            Step::PutUser(granted, with_role) => {
                let roles = with_role.then(role).into_iter().collect();
                self.put(Principal::User(user()), granted, roles).await;
            }
            Step::DeleteUser => drop(self.db().delete_principal(Principal::User(user()), None).await.unwrap()),
            Step::PutRole(granted) => self.put(Principal::Role(role()), granted, Vec::new()).await,
            Step::DeleteRole => drop(self.db().delete_principal(Principal::Role(role()), None).await.unwrap()),
            Step::Crash => self.crash().await,
        }
        for side in &mut self.sides {
            let visible = side.visible().await;
            side.seen.extend(visible.into_keys());
        }
    }

    async fn put(&self, principal: Principal, [here, there]: &InBoth, roles: Vec<PrincipalName>) {
        let collections = [(self.sides[1].db.collection_name().clone(), channels(there))].into();
        let write = PrincipalWrite { channels: channels(here), collections, roles, ..PrincipalWrite::default() };
        self.db().put_principal(principal, write).await.unwrap();
    }

    async fn crash(&mut self) {
        self.folder.crash();
        self.store.close().await.unwrap();
        self.store = self.folder.open().await;
        let db = self.store.database(&name("db")).await.unwrap();
        self.sides[1].db = db.collection(self.sides[1].db.collection_name()).unwrap();
        self.sides[0].db = db;
    }
}

impl Collection {
    fn new(db: Database) -> Self {
        let (written, position) = (0, Position::START);
        Self { db, written, position, holds: BTreeMap::new(), seen: BTreeSet::new() }
    }

    async fn play(&mut self, step: &Inside) {
        match step {
            Inside::Write(plan) => self.write(plan).await,
            Inside::Purge(number) => self.purge(*number).await,
            Inside::Reassign(plan) => self.reassign(plan).await,
            Inside::Forget(number) => self.forget(*number).await,
            Inside::Follow(rows, page) => self.follow(*rows, *page).await,
        }
    }

    async fn write(&mut self, plan: &WritePlan) {
        self.written += 1;
        let id = format!("d{}", plan.document);
        let winner = self.db.reader().unwrap().winner(&doc(&id)).await.unwrap();
        let parent = winner.filter(|winner| !winner.deleted).map(|winner| winner.rev);
        let members = format!("\"n\":{}", self.written);
        let mut edit = Edit { deleted: plan.deleted, ..edit(&id, parent, &members) };
        if plan.beside {
            edit.history = History::Replicated(vec![format!("1-{:04x}", self.written).parse().unwrap()]);
        }
        edit.assignment = Some(self.assignment(plan));
        let outcome = self.db.edit(vec![edit]).await.unwrap().pop().unwrap();
        // A tombstone has nothing to stand on where the document isn't there, or is deleted already.
        assert!(matches!(outcome, Ok(_) | Err(Error::Conflict)), "{outcome:?}");
    }

    fn assignment(&self, plan: &WritePlan) -> Assignment {
        let to = |to: Principal, numbers: &BTreeSet<u8>| {
            let granted = channels(numbers).into_iter().map(Granted::Channel);
            granted.map(|what| Grant { to: to.clone(), what }).collect::<Vec<_>>()
        };
        let (ada, nurse) = (Principal::User(user()), Principal::Role(role()));
        let mut grants = [to(ada.clone(), &plan.grants), to(nurse, &plan.role_grants)].concat();
        grants.extend(plan.role.then(|| Grant { to: ada, what: Granted::Role(role()) }));
        let judged_by = self.db.rules_version();
        Assignment { channels: channels(&plan.channels), grants, expires_s: None, judged_by }
    }

    async fn reassign(&mut self, plan: &WritePlan) {
        let id = doc(&format!("d{}", plan.document));
        let reader = self.db.reader().unwrap();
        let Some(state) = reader.document(&id).await.unwrap() else { return };
        let bodies: Vec<Seq> = state.tree.leaves().iter().filter_map(|leaf| leaf.body.stored()).collect();
        let before = reader.assigned(bodies[0]).await.unwrap();
        let anew = self.assignment(plan);
        // Of all leaves, or of the winner alone.
        let bodies = if plan.beside { bodies } else { vec![bodies[0]] };
        let revisions = bodies.iter().map(|body| (*body, anew.clone())).collect();
        let seq = self.db.update_seq();
        let reassignment = Reassignment { id: id.clone(), read_at: state.seq, revisions };
        let outcome = self.db.reassign(vec![reassignment]).await.unwrap().pop().unwrap().unwrap();
        let after = self.db.reader().unwrap().assigned(bodies[0]).await.unwrap();
        let set = |channels: &[Channel]| {
            channels.iter().filter(|channel| !channel.is_all()).cloned().collect::<BTreeSet<_>>()
        };
        assert_eq!(set(&after.channels), set(&anew.channels));
        let differs = (&before.channels, &before.grants) != (&after.channels, &after.grants);
        assert!(outcome == Reassigned::Changed || !differs && outcome == Reassigned::Unchanged, "{outcome:?}");
        assert_eq!(self.db.update_seq(), if outcome == Reassigned::Changed { seq.next() } else { seq });
    }

    async fn forget(&mut self, number: u8) {
        self.follow(usize::MAX, 3).await;
        let id = doc(&format!("d{number}"));
        let Some(winner) = self.db.reader().unwrap().winner(&id).await.unwrap() else { return };
        let forgotten = self.db.forget_tombstones(vec![(id.clone(), winner.seq)]).await.unwrap();
        let is_there = self.db.reader().unwrap().winner(&id).await.unwrap().is_some();
        assert_eq!((forgotten, winner.deleted || is_there), (u64::from(!is_there), true));
        if !is_there {
            // Nobody is told: a client that had it as a deleted document has nothing.
            self.holds.remove(&id);
        }
    }

    async fn purge(&mut self, number: u8) {
        let id = doc(&format!("d{number}"));
        let Some(state) = self.db.reader().unwrap().document(&id).await.unwrap() else { return };
        let leaves = state.tree.leaves().into_iter().map(|node| node.rev.clone()).collect();
        self.db.purge(vec![(id, leaves)]).await.unwrap();
    }

    /// What the user may see, by what the winners of all documents say.
    async fn visible(&self) -> BTreeMap<DocId, Rev> {
        let reader = self.db.reader().unwrap();
        let standing = reader.standing(&user()).await.unwrap();
        let mut visible = BTreeMap::new();
        for number in 0..DOCUMENTS {
            let id = doc(&format!("d{number}"));
            let Some(winner) = reader.winner(&id).await.unwrap() else { continue };
            let assigned = reader.assigned(winner.body.unwrap()).await.unwrap();
            if standing.access.sees(&assigned.channels) {
                visible.insert(id, winner.rev);
            }
        }
        visible
    }

    async fn follow(&mut self, limit: usize, page: usize) {
        let reader = self.db.reader().unwrap();
        let standing = reader.standing(&user()).await.unwrap();
        assert!(self.db.is_current(&standing));
        let mut walk = Walk::new(&standing.access, self.position, standing.at, Losses::Told);
        for _ in 0..limit {
            let row = loop {
                match walk.poll() {
                    Walked::Read(read) => {
                        let (rows, more) = reader.channel_rows(&read, page).await.unwrap();
                        walk.handle_read(&read, rows, more);
                    }
                    Walked::Row(row) => break Some(row),
                    Walked::Done => break None,
                }
            };
            let Some(row) = row else {
                self.position = self.position.max(Position::at(standing.at));
                return;
            };
            assert!(row.position > self.position, "{:?} after {:?}", row.position, self.position);
            self.position = row.position;
            self.obey(&reader, &standing.access, Change::clone(&row.about), &row.telling).await;
        }
    }

    async fn obey(&mut self, reader: &Reader, access: &tidegate_channels::Access, change: Change, telling: &Telling) {
        assert!(self.seen.contains(&change.id), "{} was never to be seen", change.id);
        let winner = reader.winner(&change.id).await.unwrap();
        let assigned = match winner.as_ref().and_then(|winner| winner.body) {
            Some(body) => reader.assigned(body).await.unwrap(),
            None => tidegate_store::Assigned::default(),
        };
        let sees = winner.is_some() && access.sees(&assigned.channels);
        match telling {
            Telling::Seen => {
                assert!(sees, "{change:?} can't be seen");
                assert_eq!(winner.map(|winner| (winner.rev, winner.seq)), Some((change.winner.clone(), change.seq)));
                self.holds.insert(change.id, change.winner);
            }
            Telling::Left(_) | Telling::Lost if !sees => drop(self.holds.remove(&change.id)),
            Telling::Left(_) | Telling::Lost => {}
        }
    }
}

async fn play(steps: &[Step]) {
    let mut play = Play::new().await;
    for step in steps {
        play.play(step).await;
    }
    for side in &mut play.sides {
        side.follow(usize::MAX, 2).await;
        assert_eq!(side.holds, side.visible().await, "{}", side.db.collection_name());
    }
    check(play.db()).await;
    play.store.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn what_a_client_holds_in_the_end_is_what_it_may_see(steps in prop::collection::vec(step(), 1..50)) {
        runtime().block_on(play(&steps));
    }
}

/// An edit that was judged before the rules changed, or not at all, isn't written.
#[test]
fn edits_judged_by_other_rules_are_outdated() {
    runtime().block_on(async {
        let play = Play::new().await;
        let write = |judged_by: Option<u64>| {
            let assignment = judged_by.map(|judged_by| Assignment { judged_by, ..Assignment::default() });
            let edit = Edit { assignment, ..edit("d", None, "") };
            async { play.db().edit(vec![edit]).await.unwrap().pop().unwrap() }
        };
        let before = play.db().rules_version();
        play.db().put_setting("sync", b"x").await.unwrap();
        assert!(play.db().rules_version() > before);
        assert!(matches!(write(None).await, Err(Error::Outdated)));
        assert!(matches!(write(Some(before)).await, Err(Error::Outdated)));
        assert!(write(Some(play.db().rules_version())).await.is_ok());
        assert_eq!(play.db().update_seq(), Seq::new(1));
    });
}

/// A standing is stale as soon as what it was made of can't be read any more.
#[test]
fn who_is_granted_something_has_a_stale_standing() {
    runtime().block_on(async {
        let play = Play::new().await;
        let standing = async || play.db().reader().unwrap().standing(&user()).await.unwrap();
        play.put(Principal::User(user()), &one(0), vec![role()]).await;
        let first = standing().await;
        play.put(Principal::User("bob".parse().unwrap()), &one(0), Vec::new()).await;
        assert!(play.db().is_current(&first));
        play.put(Principal::Role(role()), &one(1), Vec::new()).await;
        assert!(!play.db().is_current(&first));
        let second = standing().await;
        assert!(play.db().is_current(&second) && second.roles.contains_key(&role()));
        assert!(!first.access.sees(&channels(&[1].into())) && second.access.sees(&channels(&[1].into())));
    });
}

/// Deciding anew on what has changed since writes nothing, and what was decided by other rules is outdated. The time at
/// which a document expires is nothing that feeds tell.
#[test]
fn what_is_decided_anew_is_of_the_document_as_it_was_read() {
    runtime().block_on(async {
        let play = Play::new().await;
        let judged_by = play.db().rules_version();
        let assignment = Assignment { judged_by, ..Assignment::default() };
        let first = Edit { assignment: Some(assignment.clone()), ..edit("d", None, "") };
        let rev = play.db().edit(vec![first]).await.unwrap().pop().unwrap().unwrap().rev;
        let reassign = async |read_at: u64, assignment: Assignment| {
            let revisions = vec![(Seq::new(1), assignment)];
            let anew = Reassignment { id: doc("d"), read_at: Seq::new(read_at), revisions };
            play.db().reassign(vec![anew]).await.unwrap().pop().unwrap()
        };
        let channel = Assignment { channels: channels(&[0].into()), expires_s: Some(7), ..assignment.clone() };
        assert!(matches!(reassign(0, channel.clone()).await, Ok(Reassigned::Outrun)));
        let outdated = Assignment { judged_by: judged_by + 1, ..channel.clone() };
        assert!(matches!(reassign(1, outdated).await, Err(Error::Outdated)));
        let expired = async || play.db().reader().unwrap().expired(9, 5).await.unwrap();
        assert_eq!((expired().await, play.db().update_seq()), (vec![], Seq::new(1)));
        assert!(matches!(reassign(1, channel.clone()).await, Ok(Reassigned::Changed)));
        assert_eq!((expired().await, play.db().update_seq()), (vec![(7, doc("d"))], Seq::new(2)));
        let later = Assignment { expires_s: Some(8), ..channel };
        assert!(matches!(reassign(2, later).await, Ok(Reassigned::Unchanged)));
        assert_eq!((expired().await, play.db().update_seq()), (vec![(8, doc("d"))], Seq::new(2)));
        assert_eq!(play.store.expiries().await.unwrap(), vec![(name("db"), 8)]);
        let gone = Edit { deleted: true, assignment: Some(assignment), ..edit("d", Some(rev), "") };
        play.db().edit(vec![gone]).await.unwrap().pop().unwrap().unwrap();
        assert_eq!(
            (expired().await, play.db().forget_tombstones(vec![(doc("d"), Seq::new(2))]).await.unwrap()),
            (vec![], 0)
        );
        let census_before = crate::fixture::census(play.store.storage()).await;
        assert!(census_before.contains_key(&'k') && census_before.contains_key(&'x'));
        assert_eq!(play.db().forget_tombstones(vec![(doc("d"), Seq::new(3))]).await.unwrap(), 1);
        let left: String = crate::fixture::census(play.store.storage()).await.into_keys().collect();
        assert_eq!(left, "mnp", "besides counters, names of collections and settings, nothing is left");
        check(play.db()).await;
    });
}

/// Who loses `*` holds nothing of a document that was purged and written anew meanwhile.
#[test]
fn a_purged_document_that_is_there_again_was_there_before() {
    let write = || {
        let (channels, grants, role_grants) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let plan = WritePlan { document: 0, beside: false, deleted: false, channels, grants, role_grants, role: false };
        Inside::Write(plan)
    };
    for side in 0..SIDES {
        let inside = |inside| Step::In(side, inside);
        let steps = [
            Step::PutUser([[4].into(), [4].into()], false),
            inside(write()),
            inside(Inside::Follow(1, 1)),
            inside(Inside::Purge(0)),
            Step::PutUser([BTreeSet::new(), BTreeSet::new()], false),
            inside(write()),
        ];
        runtime().block_on(play(&steps));
    }
}
