//! One of several concurrent writers: it creates, updates, deletes, attaches, writes in bulk, makes conflicts and local
//! documents, all in documents of its own, until the server goes.

use std::{collections::BTreeMap, time::Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::{
    Stop, Victim,
    content::{ATTACHMENT_TYPE, Attachment, escape},
    database::PATH,
    edit::{Change, Edit},
    ledger::{Entry, Leaf, Local, Revision},
};
use crate::{
    client::{Connection, Request},
    document::mix,
};

const BULK_MAX: usize = 40;
const LOCALS: u64 = 8;

/// A writer and its ledger.
#[derive(Debug)]
pub(super) struct Writer {
    number: u64,
    random: StdRng,
    next_marker: u64,
    documents_max: usize,
    /// Its documents by id.
    pub(super) documents: BTreeMap<String, Entry>,
    /// The same ids, to draw from.
    ids: Vec<String>,
    /// Its local documents by name.
    pub(super) locals: BTreeMap<String, Local>,
    /// Writes acknowledged.
    pub(super) acknowledged: u64,
    /// When the server went, as this writer saw it.
    pub(super) lost_at: Option<Instant>,
    /// What it was told wrongly.
    pub(super) violations: Vec<String>,
}

impl Writer {
    /// A writer with a ledger still empty.
    pub(super) fn new(number: u64, seed: u64, documents_max: usize) -> Self {
        Self {
            number,
            random: StdRng::seed_from_u64(seed),
            next_marker: number << 40,
            documents_max,
            documents: BTreeMap::new(),
            ids: Vec::new(),
            locals: BTreeMap::new(),
            acknowledged: 0,
            lost_at: None,
            violations: Vec::new(),
        }
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Writes until the server goes or answers wrongly.
    pub(super) async fn work(mut self, victim: Victim) -> Self {
        if let Err(Stop::Wrong(text)) = self.write_on(&victim).await {
            self.violations.push(text);
        }
        self.lost_at = Some(Instant::now());
        self
    }

    async fn write_on(&mut self, victim: &Victim) -> Result<(), Stop> {
        let mut connection = Connection::open(victim.address).await?;
        loop {
            match self.random.random_range(0..100) {
                0..50 => self.put(victim, &mut connection).await?,
                50..60 => self.delete(victim, &mut connection).await?,
                60..70 => self.attach(victim, &mut connection).await?,
                70..80 => self.bulk(victim, &mut connection).await?,
                80..90 => self.branch(victim, &mut connection).await?,
                _ => self.write_local(victim, &mut connection).await?,
            }
        }
    }

    async fn put(&mut self, victim: &Victim, connection: &mut Connection) -> Result<(), Stop> {
        let id = self.draw_or_make();
        let edit = self.begin(&id, Change::Body);
        let body = Value::Object(edit.json()).to_string();
        let path = format!("{PATH}/{}", escape(&id));
        let answer = victim.ask(connection, Request::json("PUT", &path, body.as_bytes())).await?;
        self.acknowledge(&edit, &answer)
    }

    async fn delete(&mut self, victim: &Victim, connection: &mut Connection) -> Result<(), Stop> {
        let Some(id) = self.draw_live() else { return Ok(()) };
        let edit = self.begin(&id, Change::Delete);
        let path = format!("{PATH}/{}?rev={}", escape(&id), edit.sent_revision());
        let answer = victim.ask(connection, Request::new("DELETE", &path)).await?;
        self.acknowledge(&edit, &answer)
    }

    async fn attach(&mut self, victim: &Victim, connection: &mut Connection) -> Result<(), Stop> {
        let Some(id) = self.draw_live() else { return Ok(()) };
        let (number, name) = (self.marker(), format!("a {}.bin", self.random.random_range(0..3)));
        let attachment = Attachment::new(number);
        let edit = self.begin(&id, Change::Attach { name: name.clone(), attachment });
        let path = format!("{PATH}/{}/{}?rev={}", escape(&id), escape(&name), edit.sent_revision());
        let bytes = attachment.bytes();
        let request = Request { body: Some((ATTACHMENT_TYPE, &bytes)), ..Request::new("PUT", &path) };
        let answer = victim.ask(connection, request).await?;
        self.acknowledge(&edit, &answer)
    }

    async fn bulk(&mut self, victim: &Victim, connection: &mut Connection) -> Result<(), Stop> {
        let mut edits: BTreeMap<String, Edit> = BTreeMap::new();
        for _ in 0..self.random.random_range(2..=BULK_MAX) {
            let id = self.draw_or_make();
            if edits.contains_key(&id) {
                continue;
            }
            let live = self.documents.get(&id).is_some_and(|entry| entry.settled.is_live());
            let change = if live && self.random.random_ratio(1, 5) { Change::Delete } else { Change::Body };
            edits.insert(id.clone(), self.begin(&id, change));
        }
        let docs: Vec<Value> = edits.values().map(|edit| Value::Object(edit.json())).collect();
        let body = json!({ "docs": docs }).to_string();
        let path = format!("{PATH}/_bulk_docs");
        let answer = victim.ask(connection, Request::json("POST", &path, body.as_bytes())).await?;
        let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.len() != edits.len() {
            return Err(Stop::Wrong(format!("{} documents in bulk were answered by {} rows", edits.len(), rows.len())));
        }
        rows.iter().zip(edits.values()).try_for_each(|(row, edit)| self.acknowledge(edit, row))
    }

    /// A branch from the document's first revision on, as a replicator brings it.
    async fn branch(&mut self, victim: &Victim, connection: &mut Connection) -> Result<(), Stop> {
        let id = self.draw_or_make();
        let root = self.documents.get(&id).and_then(|entry| entry.settled.root.clone());
        let oldest = root.as_ref().map_or(1, |root| root.generation + 1);
        let newest = oldest + self.random.random_range(0..3);
        let named = |generation: u64, salt: u64| Revision {
            generation,
            digest: format!("{:016x}{:016x}", mix(salt), mix(salt ^ generation)),
        };
        let salt = self.marker();
        let path: Vec<Revision> =
            (oldest..=newest).rev().map(|generation| named(generation, salt)).chain(root).collect();
        let deleted = self.random.random_ratio(1, 5);
        let leaf = Leaf { deleted, marker: (!deleted).then_some(salt), ..Leaf::default() };
        let edit = Edit::branch(&id, leaf, path);
        self.entry(&id).attempt(edit.attempt.clone());
        let body = json!({ "docs": [edit.json()], "new_edits": false }).to_string();
        let target = format!("{PATH}/_bulk_docs");
        let answer = victim.ask(connection, Request::json("POST", &target, body.as_bytes())).await?;
        if answer != json!([]) {
            return Err(Stop::Wrong(format!("a replicated revision of {id} was answered {answer}")));
        }
        let revision = edit.named_revision().ok_or_else(|| Stop::Wrong("a branch without a name".to_owned()))?;
        self.settle(&edit.id, &revision)
    }

    async fn write_local(&mut self, victim: &Victim, connection: &mut Connection) -> Result<(), Stop> {
        let name = format!("w{}-{}", self.number, self.random.random_range(0..LOCALS));
        let marker = self.marker();
        let local = self.locals.entry(name.clone()).or_default();
        let revision = local.settled.as_ref().map(|(_marker, revision)| revision.clone());
        let path = format!("{PATH}/_local/{name}");
        local.touched = true;
        if let Some(revision) = revision.as_ref().filter(|_revision| self.random.random_ratio(1, 6)) {
            local.pending = Some(None);
            let path = format!("{path}?rev={revision}");
            victim.ask(connection, Request::new("DELETE", &path)).await?;
            local.settled = None;
        } else {
            local.pending = Some(Some(marker));
            let mut body = json!({ "marker": marker });
            if let (Some(members), Some(revision)) = (body.as_object_mut(), revision) {
                members.insert("_rev".to_owned(), revision.into());
            }
            let answer = victim.ask(connection, Request::json("PUT", &path, body.to_string().as_bytes())).await?;
            let revision = answer.get("rev").and_then(Value::as_str).unwrap_or_default();
            local.settled = Some((marker, revision.to_owned()));
        }
        local.pending = None;
        self.acknowledged += 1;
        Ok(())
    }

    /// Plans a change and notes it as under way.
    fn begin(&mut self, id: &str, change: Change) -> Edit {
        let marker = self.marker();
        let settled = &self.documents.entry(id.to_owned()).or_default().settled;
        let live: Vec<(&Revision, &Leaf)> = settled.leaves.iter().filter(|(_rev, leaf)| !leaf.deleted).collect();
        // Mostly the winner, now and then another live leaf: that is how conflicts are resolved.
        let other = live.choose(&mut self.random).copied().filter(|_leaf| self.random.random_ratio(1, 4));
        let parent = other.or_else(|| settled.winner()).map(|(revision, leaf)| (revision.clone(), leaf.clone()));
        let edit = Edit::plan(id, parent, change, marker);
        self.entry(id).attempt(edit.attempt.clone());
        edit
    }

    fn acknowledge(&mut self, edit: &Edit, answer: &Value) -> Result<(), Stop> {
        let revision = answer.get("rev").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let ours = answer.get("id").and_then(Value::as_str) == Some(&edit.id);
        match revision {
            Some(revision) if ours => self.settle(&edit.id, &revision),
            Some(_) | None => Err(Stop::Wrong(format!("a write of {} was answered {answer}", edit.id))),
        }
    }

    fn settle(&mut self, id: &str, revision: &Revision) -> Result<(), Stop> {
        self.acknowledged += 1;
        self.entry(id).acknowledge(revision).map_err(|text| Stop::Wrong(format!("{id}: {text}")))
    }

    fn entry(&mut self, id: &str) -> &mut Entry {
        self.documents.entry(id.to_owned()).or_default()
    }

    fn marker(&mut self) -> u64 {
        self.next_marker += 1;
        self.next_marker
    }

    /// Any document; often a new one while there may be more.
    fn draw_or_make(&mut self) -> String {
        let make = self.ids.len() < self.documents_max && self.random.random_ratio(1, 3);
        match self.ids.choose(&mut self.random) {
            Some(id) if !make => id.clone(),
            Some(_) | None => {
                let count = self.ids.len();
                // Some names need escaping.
                let gap = if count % 7 == 3 { "/ü +" } else { "-" };
                let id = format!("w{}{gap}{count}", self.number);
                self.ids.push(id.clone());
                id
            }
        }
    }

    /// A document that isn't deleted, if a few draws find one.
    fn draw_live(&mut self) -> Option<String> {
        (0..8).find_map(|_draw| {
            let id = self.ids.choose(&mut self.random)?;
            self.documents.get(id)?.settled.is_live().then(|| id.clone())
        })
    }
}
