//! Plays steps on a store and on the model beside it.

use crate::{
    compare::compare,
    database::{Model, Outcome},
    fixture::{self, Folder, doc, stage},
    step::{AttachmentPlan, Closing, ContentPlan, EditPlan, Ending, Place, Step, content},
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_store::{
    AttachmentDigest, Change, Database, Edit, Encoding, Error, Feed, History, LocalDocument, NewAttachment, Revpos,
    Store, Written,
};
use tidegate_types::{DocId, Rev, Seq};

/// A store, its model, and a feed that has followed it from the beginning.
pub(crate) struct Play {
    folder: Folder,
    store: Store,
    pub(crate) db: Database,
    pub(crate) home: Home,
    pub(crate) model: Model,
    feed: Feed,
    /// Changes the feed has given so far.
    followed: usize,
    /// Every revision that any replica knows, with its whole path: never forgotten.
    lineages: BTreeMap<DocId, BTreeMap<Rev, Vec<Rev>>>,
    /// Contents by digest.
    pub(crate) contents: BTreeMap<AttachmentDigest, Bytes>,
    /// Chunks of uploads that were abandoned, one number for each upload.
    pub(crate) abandoned: Vec<usize>,
    made_up: u64,
}

/// In which collection it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Default,
    Named,
}

impl Home {
    pub(crate) async fn of(self, db: &Database) -> Database {
        match self {
            Self::Default => db.clone(),
            Self::Named => fixture::collection(db).await,
        }
    }
}

impl Play {
    pub(crate) async fn new(home: Home) -> Self {
        let folder = Folder::new();
        let store = folder.open().await;
        let db = home.of(&store.create(&fixture::name("db"), 7).await.unwrap()).await;
        let feed = db.follow(Seq::ZERO);
        Self {
            folder,
            store,
            db,
            home,
            model: Model::new(),
            feed,
            followed: 0,
            lineages: BTreeMap::new(),
            contents: BTreeMap::new(),
            abandoned: Vec::new(),
            made_up: 0,
        }
    }

    pub(crate) fn kv(&self) -> &tidegate_kv::Kv {
        self.store.storage()
    }

    pub(crate) async fn play(&mut self, step: &Step) {
        match step {
            Step::Batch(plans) => self.batch(plans).await,
            Step::Concurrent(batches) => self.concurrent(batches).await,
            Step::Purge(picks) => self.purge(picks).await,
            Step::PurgesMax(max) => {
                self.db.set_purges_max(u64::from(*max)).await.unwrap();
                self.model.purges_max = usize::from(*max);
                self.model.settings = 1;
                self.model.trim_purges();
            }
            Step::Compact => {
                fixture::compact(&self.db).await;
                self.model.compact();
            }
            Step::RevsLimit(limit) => {
                self.db.set_revs_limit(*limit).await.unwrap();
                self.model.revs_limit = *limit;
            }
            Step::PutLocal(id, body) => self.put_local(*id, *body).await,
            Step::DeleteLocal(id) => {
                let id = local_id(*id);
                let found = self.db.delete_local(&id).await.unwrap();
                assert_eq!(found, self.model.locals.remove(&id).is_some());
            }
            Step::Upload(number, ending) => self.upload(*number, *ending).await,
            Step::Reopen(closing) => self.reopen(*closing).await,
        }
        self.follow().await;
        compare(self).await;
    }

    async fn batch(&mut self, plans: &[EditPlan]) {
        let (mut edits, mut expected) = (Vec::new(), Vec::new());
        for plan in plans {
            let edit = self.resolve(plan).await;
            let outcome = self.model.edit(&edit);
            self.remember(&edit, &outcome);
            edits.push(edit);
            expected.push(outcome);
        }
        let outcomes: Vec<_> = self.db.edit(edits.clone()).await.unwrap().into_iter().map(outcome_of).collect();
        assert_eq!(outcomes, expected, "{edits:#?}");
    }

    /// Sends batches at once. What was written stands in the order of the sequences it got.
    async fn concurrent(&mut self, batches: &[Vec<EditPlan>]) {
        let mut tasks = tokio::task::JoinSet::new();
        for plans in batches {
            let mut edits = Vec::new();
            for plan in plans {
                edits.push(self.resolve(plan).await);
            }
            let db = self.db.clone();
            tasks.spawn(async move {
                let outcomes = db.edit(edits.clone()).await.unwrap().into_iter().map(outcome_of);
                edits.into_iter().zip(outcomes).collect::<Vec<_>>()
            });
        }
        let mut written = BTreeMap::new();
        for (edit, outcome) in tasks.join_all().await.into_iter().flatten() {
            if let Outcome::Written(_, seq) = outcome {
                written.insert(seq, (edit, outcome));
            }
        }
        for (edit, outcome) in written.into_values() {
            assert_eq!(self.model.edit(&edit), outcome, "{edit:#?}");
            self.remember(&edit, &outcome);
        }
    }

    async fn purge(&mut self, picks: &[(u8, Vec<u8>)]) {
        let mut requests = Vec::new();
        for (document, picks) in picks {
            let id = document_id(*document);
            let known: Vec<Rev> = self.tree(&id).nodes.into_keys().collect();
            let revs: BTreeSet<_> = picks.iter().filter_map(|number| pick(&known, *number)).cloned().collect();
            requests.push((id, revs.into_iter().collect()));
        }
        let expected = self.model.purge(&requests);
        assert_eq!(self.db.purge(requests).await.unwrap(), expected);
    }

    async fn put_local(&mut self, id: u8, body: u8) {
        let (id, members) = (local_id(id), Bytes::from("\"l\":1".repeat(usize::from(body % 3))));
        let number = u64::from(body);
        self.db.put_local(LocalDocument { id: id.clone(), number, members: members.clone() }).await.unwrap();
        self.model.locals.insert(id, (number, members));
    }

    async fn upload(&mut self, number: u8, ending: Ending) {
        let content = content(number);
        match ending {
            Ending::Discarded => {
                let staged = stage(&self.db, &content).await;
                self.db.discard(vec![staged]).await.unwrap();
            }
            Ending::Aborted => {
                let mut upload = self.db.upload();
                upload.write(content).await.unwrap();
                upload.abort().await.unwrap();
            }
            Ending::Abandoned => {
                let chunks = content.len().div_ceil(256 << 10);
                let staged = stage(&self.db, &content).await;
                assert_eq!(staged.length(), content.len() as u64);
                self.abandoned.extend((chunks > 1).then_some(chunks));
            }
        }
    }

    async fn reopen(&mut self, closing: Closing) {
        self.follow().await;
        if let Closing::ByCrash = closing {
            self.folder.crash();
        }
        self.store.close().await.unwrap();
        self.store = self.folder.open().await;
        self.db = self.home.of(&self.store.database(&fixture::name("db")).await.unwrap()).await;
        self.feed = self.db.follow(self.feed.since());
        self.abandoned.clear();
    }

    /// The feed gives every change there has been since it was read last.
    async fn follow(&mut self) {
        loop {
            let limit = 1 + self.followed % 5;
            let changes = self.feed.next(limit).await.unwrap();
            if changes.is_empty() {
                break;
            }
            assert!(changes.len() <= limit);
            let expected = &self.model.announced[self.followed..self.followed + changes.len()];
            assert_eq!(changes.iter().map(|change| Change::clone(change)).collect::<Vec<_>>(), expected);
            self.followed += changes.len();
        }
        assert_eq!(self.followed, self.model.announced.len());
        assert_eq!(self.feed.since(), self.model.update_seq);
    }

    fn tree(&self, id: &DocId) -> crate::tree::Tree {
        self.model.documents.get(id).map(|document| document.tree.clone()).unwrap_or_default()
    }

    async fn resolve(&mut self, plan: &EditPlan) -> Edit {
        let id = document_id(plan.document);
        let history = self.history(&id, plan);
        let mut attachments: Vec<NewAttachment> = Vec::new();
        for planned in &plan.attachments {
            let name = format!("name{}", planned.name);
            if attachments.iter().all(|attachment| attachment.name != name) {
                attachments.extend(self.attachment(name, planned).await);
            }
        }
        let members = format!("\"n\":{}", plan.body % 8).into();
        Edit { id, history, deleted: plan.deleted, members, attachments, assignment: None }
    }

    fn history(&mut self, id: &DocId, plan: &EditPlan) -> History {
        let tree = self.tree(id);
        let leaves: Vec<Rev> = tree.leaves().into_iter().map(|(rev, _)| rev.clone()).collect();
        let known: Vec<Rev> = tree.nodes.into_keys().collect();
        let parent = match &plan.place {
            Place::OnLeaf(number) => pick(&leaves, *number).cloned(),
            Place::WithoutParent => None,
            Place::OnAny(number) => pick(&known, *number).cloned(),
            Place::OnUnknown => Some("2-unknown".parse().unwrap()),
            Place::Replicated { base, fresh, sent } => return self.replicated(id, *base, *fresh, *sent),
            Place::Contradicting(number) => return self.contradicting(id, *number),
        };
        History::Edit { parent, canonical: format!("{{\"n\":{},\"d\":{}}}", plan.body % 8, plan.deleted).into() }
    }

    fn replicated(&mut self, id: &DocId, base: u8, fresh: usize, sent: usize) -> History {
        let bases: Vec<Vec<Rev>> = self.lineages.entry(id.clone()).or_default().values().cloned().collect();
        let mut path = pick(&bases, base).filter(|_| !base.is_multiple_of(8)).cloned().unwrap_or_default();
        for _ in 0..fresh.max(usize::from(path.is_empty())) {
            path.insert(0, self.make_up(path.first().map_or(0, Rev::generation) + 1));
            self.lineages.entry(id.clone()).or_default().insert(path[0].clone(), path.clone());
        }
        path.truncate(sent);
        History::Replicated(path)
    }

    fn contradicting(&mut self, id: &DocId, number: u8) -> History {
        let known: Vec<Rev> = self.tree(id).nodes.into_keys().collect();
        let newest = pick(&known, number).cloned().unwrap_or_else(|| self.make_up(3));
        let older: Vec<Rev> = (1..newest.generation()).rev().take(2).map(|g| self.make_up(g)).collect();
        History::Replicated([vec![newest], older].concat())
    }

    /// A revision nobody has seen: its digest is bytes or a text.
    fn make_up(&mut self, generation: u64) -> Rev {
        self.made_up += 1;
        let digest = self.made_up.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text = if digest.is_multiple_of(2) { format!("{digest:032x}") } else { format!("{digest:x}") };
        format!("{generation}-{text}").parse().unwrap()
    }

    async fn attachment(&mut self, name: String, plan: &AttachmentPlan) -> Option<NewAttachment> {
        match plan.content {
            ContentPlan::New(number) => {
                let content = content(number);
                let staged = stage(&self.db, &content).await;
                self.contents.insert(staged.digest(), content);
                let packed = number % 2 == 1;
                let (length, encoding) =
                    if packed { (3 * staged.length(), Encoding::Gzip) } else { (staged.length(), Encoding::Identity) };
                Some(NewAttachment { length, encoding, ..fixture::attachment(&name, staged) })
            }
            ContentPlan::Carried(number) => {
                let known: Vec<_> = self.model.attachments().into_iter().cloned().collect();
                pick(&known, number).map(|known| NewAttachment {
                    name,
                    content_type: known.content_type.clone(),
                    revpos: Revpos::At(known.revpos),
                    digest: known.digest,
                    length: known.length,
                    stored_length: known.stored_length,
                    encoding: known.encoding,
                    content: None,
                })
            }
            ContentPlan::Unknown => Some(NewAttachment {
                name,
                content_type: "text/plain".to_owned(),
                revpos: Revpos::At(1),
                digest: AttachmentDigest::new([9; 16]),
                length: 1,
                stored_length: 1,
                encoding: Encoding::Identity,
                content: None,
            }),
        }
    }

    /// Other replicas may get what was written here.
    fn remember(&mut self, edit: &Edit, outcome: &Outcome) {
        let (History::Edit { .. }, Outcome::Written(rev, _)) = (&edit.history, outcome) else { return };
        let path = self.tree(&edit.id).path(rev);
        let lineages = self.lineages.entry(edit.id.clone()).or_default();
        let parents = path.get(1).and_then(|parent| lineages.get(parent)).cloned();
        let lineage = parents.map_or(path, |parents| [vec![rev.clone()], parents].concat());
        lineages.insert(rev.clone(), lineage);
    }
}

fn outcome_of(outcome: Result<Written, Error>) -> Outcome {
    match outcome {
        Ok(Written { rev, seq: Some(seq) }) => Outcome::Written(rev, seq),
        Ok(Written { rev, seq: None }) => Outcome::Known(rev),
        Err(Error::Conflict) => Outcome::Conflict,
        Err(Error::MissingStub { name }) => Outcome::MissingStub(name),
        Err(other) => panic!("{other:?}"),
    }
}

fn pick<T>(from: &[T], number: u8) -> Option<&T> {
    from.get(usize::from(number).checked_rem(from.len())?)
}

pub(crate) fn document_id(number: u8) -> DocId {
    doc(&format!("doc{number}"))
}

pub(crate) fn local_id(number: u8) -> DocId {
    doc(&format!("_local/{number}"))
}
