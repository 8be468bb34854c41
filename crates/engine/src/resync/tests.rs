//! Resyncs end with what the function of now says, whatever happens meanwhile.

use crate::{
    Engine, Error, JobState, Placement, ResyncFrom, Write,
    fixture::{Client, Site, doc, edit, name, run},
};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_types::{Channel, DocId, Rev};

const BY_TAG: &str = "function (doc) { channel(doc.tag); }";

#[test]
fn documents_move_to_the_channels_of_the_new_function_and_feeds_tell() {
    run(async {
        let site = Site::new().await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["b"]}"#).await;
        site.set_function("function (doc) { channel('a'); }").await;
        for id in ["1", "2", "3"] {
            site.write(id, &format!(r#""tag":"{}""#, if id == "2" { "b" } else { "a" })).await.unwrap();
        }
        let (ada, mut client) = (site.seen_by("ada").await, Client::new());
        assert_eq!(client.catch_up(&ada).await, ["myself"]);
        site.set_function(BY_TAG).await;
        assert!(site.db.resync_status().await.unwrap().is_none());
        let before = site.db.update_seq();
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        let status = site.resynced().await;
        assert_eq!(status.state, JobState::Completed);
        assert_eq!(
            (status.docs_changed, status.docs_processed, status.docs_errored, status.docs_targeted),
            (1, 3, 0, 3)
        );
        assert_eq!((site.db.update_seq(), site.channels("2").await), (before.next(), "b".to_owned()));
        assert_eq!(client.catch_up(&ada).await, ["2"]);
        assert_eq!(ada.get(&doc("2"), &crate::Which::Winner, crate::Detail::Plain).await.unwrap().seq, before.next());
        // What stays as it is has no new sequence.
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        assert_eq!((site.resynced().await.docs_changed, site.db.update_seq()), (0, before.next()));
    });
}

#[test]
fn grants_of_documents_come_and_go() {
    run(async {
        let site = Site::new().await;
        site.put_user("ada", r#"{"password":"secret"}"#).await;
        site.put_role("nurse", r#"{"admin_channels":["c"]}"#).await;
        site.write("1", r#""channels":["b"]"#).await.unwrap();
        site.write("2", r#""channels":["c"]"#).await.unwrap();
        let (ada, mut client) = (site.seen_by("ada").await, Client::new());
        client.catch_up(&ada).await;
        assert!(client.holds.is_empty());
        let grants = "function (doc) { channel(doc.channels); access('ada', 'b'); role('ada', 'role:nurse'); }";
        site.set_function(grants).await;
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        site.resynced().await;
        client.catch_up(&ada).await;
        assert_eq!(client.holds.len(), 2);
        site.db.set_sync_function(None).await.unwrap();
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        assert_eq!(site.resynced().await.docs_changed, 2);
        assert_eq!(client.catch_up(&ada).await.iter().filter(|row| row.starts_with("lost")).count(), 2);
    });
}

#[test]
fn what_the_function_refuses_or_fails_on_is_in_no_channel() {
    run(async {
        let site = Site::new().await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
        for id in ["1", "2", "3"] {
            site.write(id, &format!(r#""tag":"a","channels":["a"],"kind":{id}"#)).await.unwrap();
        }
        let (ada, mut client) = (site.seen_by("ada").await, Client::new());
        client.catch_up(&ada).await;
        let refusing = "function (doc) { if (doc.kind == 1) throw({forbidden: 'no ones'}); doc.kind == 2 && nothing(); channel(doc.tag); }";
        site.set_function(refusing).await;
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        let status = site.resynced().await;
        assert_eq!((status.state, status.docs_changed, status.docs_errored), (JobState::Completed, 2, 2));
        assert!(status.last_error.starts_with("2: ReferenceError"), "{}", status.last_error);
        assert_eq!((site.channels("1").await, site.channels("3").await), (String::new(), "a".to_owned()));
        assert_eq!(client.catch_up(&ada).await, ["left 1", "left 2"]);
        // Who is told that they left may ask for what is left of them, and gets nothing of what they say.
        let rev = site.parent("1").await.unwrap();
        let stub = ada.get(&doc("1"), &crate::Which::Rev(rev), crate::Detail::Plain).await.unwrap();
        assert_eq!((stub.shown, stub.members.len()), (crate::Shown::Stub, 0));
    });
}

#[test]
fn losing_leaves_are_judged_by_their_own() {
    run(async {
        let site = Site::new().await;
        site.write("d", r#""tag":"a""#).await.unwrap();
        let replicated = Placement::Replicated(vec!["1-0".parse().unwrap()]);
        site.db.write_one(Write { placement: replicated, ..edit("d", None, r#""tag":"b""#) }).await.unwrap();
        site.set_function(BY_TAG).await;
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        site.resynced().await;
        let reader = site.db.store.reader().unwrap();
        let tree = reader.document(&doc("d")).await.unwrap().unwrap().tree;
        let bodies: Vec<_> = tree.leaves().iter().map(|leaf| leaf.body.stored()).collect();
        let assigned = reader.assigned_many(&bodies).await.unwrap();
        let channels: Vec<&str> = assigned.iter().map(|assigned| assigned.channels[0].as_str()).collect();
        assert_eq!(channels, ["a", "b"]);
    });
}

#[test]
fn it_goes_on_after_a_restart_and_begins_anew_for_another_function() {
    run(async {
        let site = Site::new().await;
        for number in 0..450 {
            site.write(&format!("d{number:03}"), r#""tag":"a""#).await.unwrap();
        }
        site.set_function(BY_TAG).await;
        let first = site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        crate::fixture::until("two pages", async || {
            site.db.resync_status().await.unwrap().unwrap().docs_processed >= 200
        })
        .await;
        let site = site.restarted().await;
        let status = site.resynced().await;
        assert_eq!((status.state, &status.id), (JobState::Completed, &first.id));
        assert_eq!((status.docs_processed, status.docs_changed, status.docs_targeted), (450, 450, 450));
        let site = site.restarted().await;
        assert_eq!(site.db.resync_status().await.unwrap(), Some(status));

        site.set_function("function (doc) { channel('b'); }").await;
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        crate::fixture::until("a page", async || site.db.resync_status().await.unwrap().unwrap().docs_processed >= 100)
            .await;
        site.db.stop_resync().await.unwrap();
        site.resynced().await;
        site.set_function("function (doc) { channel('c'); }").await;
        site.db.start_resync(ResyncFrom::Where).await.unwrap();
        // Whatever else is set meanwhile: what was judged by rules that changed is judged again.
        for _ in 0..20 {
            site.db.set_existence(crate::Existence::Told).await.unwrap();
        }
        let status = site.resynced().await;
        assert_eq!((status.state, status.docs_processed), (JobState::Completed, 450));
        for number in 0..450 {
            assert_eq!(site.channels(&format!("d{number:03}")).await, "c");
        }
    });
}

#[test]
fn it_is_stopped_and_goes_on_where_it_was() {
    run(async {
        let site = Site::new().await;
        for number in 0..250 {
            site.write(&format!("d{number:03}"), r#""tag":"a""#).await.unwrap();
        }
        site.set_function(BY_TAG).await;
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        site.db.stop_resync().await.unwrap();
        let stopped = site.resynced().await;
        assert!(stopped.state == JobState::Stopped && stopped.docs_processed < 250, "{stopped:?}");
        let again = site.db.start_resync(ResyncFrom::Where).await.unwrap();
        assert_eq!((again.id, again.docs_processed), (stopped.id, stopped.docs_processed));
        assert_eq!((site.resynced().await.docs_changed, site.channels("d249").await), (250, "a".to_owned()));
    });
}

#[test]
fn a_database_is_switched_to_channels() {
    run(async {
        let site = Site::new().await;
        let (admin, plain) = (Engine::own_caller(), "plain".parse().unwrap());
        site.engine.create_database(&admin, &plain, crate::Layout::Whole).await.unwrap();
        let db = site.engine.database(&admin, &plain).await.unwrap();
        assert!(matches!(db.start_resync(ResyncFrom::Where).await, Err(Error::Access(_))));
        db.write_one(edit("1", None, r#""channels":["a"]"#)).await.unwrap();
        let before = db.update_seq();
        db.use_channels().await.unwrap();
        let site = Site { db, ..site };
        assert_eq!(site.resynced().await.docs_changed, 1);
        assert_eq!((site.channels("1").await, site.db.update_seq()), ("a".to_owned(), before.next()));
        site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
        let db = site.engine.database(&admin, &plain).await.unwrap();
        let ada = crate::Caller::user(tidegate_access::UserCtx::nobody().clone(), db.uuid(), name("ada"));
        let ada = site.engine.database(&ada, &plain).await.unwrap();
        assert_eq!(Client::new().catch_up(&ada).await, ["1", "myself"]);
    });
}

#[test]
fn only_administrators_start_one() {
    run(async {
        let site = Site::new().await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["*"]}"#).await;
        let ada = site.seen_by("ada").await;
        assert!(matches!(ada.start_resync(ResyncFrom::Where).await, Err(Error::Access(_))));
        assert!(matches!(ada.stop_resync().await, Err(Error::Access(_))));
        assert!(matches!(ada.resync_status().await, Err(Error::Access(_))));
        assert!(matches!(ada.use_channels().await, Err(Error::Access(_))));
    });
}

/// What a function says of a document, in JavaScript and here.
const FUNCTIONS: [&str; 5] = [
    "function (doc) { channel(doc.tag); }",
    "function (doc) { channel('x' + doc.tag); }",
    "function (doc) { channel(doc.tag); if (doc.owner) access(doc.owner, 'x' + doc.tag); }",
    "function (doc) { if (doc.n % 3 === 0) throw({forbidden: 'no'}); channel(doc.tag); channel('all'); }",
    "function (doc) { role(doc.owner, 'role:nurse'); channel('r' + doc.tag); }",
];

#[derive(Debug, Default, PartialEq, Eq)]
struct Says {
    channels: BTreeSet<String>,
    to_ada: BTreeSet<String>,
    nurse: bool,
}

fn says(function: usize, members: &str) -> Says {
    let document: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    let (tag, is_adas) = (text("tag"), text("owner").as_deref() == Some("ada"));
    let named = tag.clone().unwrap_or_else(|| "undefined".to_owned());
    let own: BTreeSet<String> = tag.into_iter().collect();
    let refused = document.get("n").and_then(Value::as_u64).is_some_and(|n| n % 3 == 0);
    match function {
        0 => Says { channels: own, ..Says::default() },
        1 => Says { channels: [format!("x{named}")].into(), ..Says::default() },
        2 => Says { to_ada: is_adas.then(|| format!("x{named}")).into_iter().collect(), channels: own, nurse: false },
        3 if refused => Says::default(),
        3 => Says { channels: own.into_iter().chain(["all".to_owned()]).collect(), ..Says::default() },
        _ => Says { channels: [format!("r{named}")].into(), nurse: is_adas, ..Says::default() },
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write { document: u8, tag: u8, owner: bool, beside: bool },
    Delete(u8),
    SetFunction(usize),
    Resync,
    Stop,
    PutUser(BTreeSet<u8>),
    Follow(usize),
}

const CHANNELS: [&str; 6] = ["a", "b", "xa", "xb", "all", "xundefined"];

fn step() -> impl Strategy<Value = Step> {
    let write = (0u8..6, 0u8..2, any::<bool>(), prop::bool::weighted(0.1));
    prop_oneof![
        10 => write.prop_map(|(document, tag, owner, beside)| Step::Write { document, tag, owner, beside }),
        2 => (0u8..6).prop_map(Step::Delete),
        2 => (0..FUNCTIONS.len()).prop_map(Step::SetFunction),
        3 => Just(Step::Resync),
        1 => Just(Step::Stop),
        2 => prop::collection::btree_set(0u8..6, 0..3).prop_map(Step::PutUser),
        4 => (1usize..5).prop_map(Step::Follow),
    ]
}

struct Play {
    site: Site,
    client: Client,
    function: usize,
    written: u64,
    has: BTreeSet<String>,
}

impl Play {
    async fn new() -> Self {
        let site = Site::new().await;
        site.put_user("ada", r#"{"password":"secret"}"#).await;
        site.put_role("nurse", r#"{"admin_channels":["ra"]}"#).await;
        site.set_function(FUNCTIONS[0]).await;
        Self { site, client: Client::new(), function: 0, written: 0, has: BTreeSet::new() }
    }

    async fn play(&mut self, step: &Step) {
        match step {
            Step::Write { document, tag, owner, beside } => {
                self.written += 1;
                let owner = if *owner { r#","owner":"ada""# } else { "" };
                let members = format!(r#""tag":"{}","n":{}{owner}"#, CHANNELS[usize::from(*tag)], self.written);
                let id = format!("d{document}");
                let mut write = edit(&id, self.site.parent(&id).await, &members);
                if *beside {
                    write.placement = Placement::Replicated(vec![format!("1-{:04x}", self.written).parse().unwrap()]);
                }
                let outcome = self.site.db.write_one(write).await;
                assert!(outcome.is_ok() || self.function == 3 && self.written.is_multiple_of(3), "{outcome:?}");
            }
            Step::Delete(document) => drop(self.site.delete(&format!("d{document}")).await),
            Step::SetFunction(function) => {
                self.function = *function;
                self.site.set_function(FUNCTIONS[*function]).await;
            }
            Step::Resync => drop(self.site.db.start_resync(ResyncFrom::Beginning).await.unwrap()),
            Step::Stop => drop(self.site.db.stop_resync().await.unwrap()),
            Step::PutUser(channels) => {
                self.has = channels.iter().map(|number| CHANNELS[usize::from(*number)].to_owned()).collect();
                let channels = serde_json::to_string(&self.has).unwrap();
                self.site.put_user("ada", &format!(r#"{{"admin_channels":{channels}}}"#)).await;
            }
            Step::Follow(rows) => drop(self.client.follow(&self.site.seen_by("ada").await, *rows).await),
        }
    }

    /// What the function of now lets the user see.
    async fn visible(&self) -> BTreeMap<DocId, Rev> {
        let reader = self.site.db.store.reader().unwrap();
        let (mut said, mut has) = (Vec::new(), self.has.clone());
        for (id, state) in reader.documents_after(None, 100).await.unwrap() {
            let winner = state.tree.winner().unwrap();
            let body = reader.body(winner.body.stored().unwrap()).await.unwrap().unwrap();
            let says = says(self.function, str::from_utf8(&body.members).unwrap());
            has.extend(says.to_ada.iter().cloned());
            has.extend(says.nurse.then(|| "ra".to_owned()));
            said.push((id, winner.rev.clone(), says.channels));
        }
        let seen = said.into_iter().filter(|(_, _, channels)| !channels.is_disjoint(&has));
        seen.map(|(id, rev, _)| (id, rev)).collect()
    }
}

async fn play(steps: &[Step]) {
    let mut play = Play::new().await;
    for step in steps {
        play.play(step).await;
    }
    play.site.resynced_if_any().await;
    play.site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
    // While it runs.
    let ada = play.site.seen_by("ada").await;
    play.client.follow(&ada, 2).await;
    assert_eq!(play.site.resynced().await.state, JobState::Completed);
    play.client.catch_up(&ada).await;
    assert_eq!(play.client.holds, play.visible().await);
    let found = play.site.db.store.check().await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    play.site.engine.close().await.unwrap();
}

impl Site {
    async fn resynced_if_any(&self) {
        if self.db.resync_status().await.unwrap().is_some() {
            self.resynced().await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_the_end_a_client_holds_what_the_function_of_now_lets_it_see(steps in prop::collection::vec(step(), 1..40)) {
        run(play(&steps));
    }
}

#[test]
fn channels_of_tests_are_channels() {
    assert!(CHANNELS.iter().all(|channel| channel.parse::<Channel>().is_ok()));
}
